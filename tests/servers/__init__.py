"""Servers that keep states, started for tests and benchmarks on loopback ports of their own."""
