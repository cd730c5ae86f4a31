"""Saved plans: made by the engine, judged by policy, kept as artifacts, accepted or refused when they are deployed."""
