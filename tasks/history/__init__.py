"""The history of runs: a record of each, an overview of all stacks, and their publication."""
