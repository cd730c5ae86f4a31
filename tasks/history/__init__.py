"""The history of runs: a record of each, what they say of every stack, and where both are published."""
