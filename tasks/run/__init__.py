"""One doit process: what its tasks share, and a stack made ready for the engine."""
