"""Builds and images: what is made of sources before stacks are planned, and known by the digest of those sources."""
