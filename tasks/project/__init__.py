"""Everything that is known before anything runs: configuration, stacks, their graph, and the content of their files."""
