"""Communication with GitLab or GitHub, used by the publisher and the review gate only."""
