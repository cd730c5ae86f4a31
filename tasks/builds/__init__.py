"""Runs builds and makes images before stacks are planned, identified by the digest of their inputs."""
