"""Forges: what a run tells GitLab or GitHub, and asks of them. Only the publisher and the review gate come here."""
