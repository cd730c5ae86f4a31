"""Everything that is known before anything runs: configuration, stacks, their graph, what their files say."""
