"""The one door to the OpenTofu process."""
