"""Checks of pods: the API's client, what the pods are owned by, and the check itself."""
