"""The product as a user runs it: real repositories, real processes, the real engine."""
