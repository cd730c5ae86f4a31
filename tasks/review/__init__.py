"""Reviewed against fresh: what a merge request's plan said is compared with what is about to be deployed."""
