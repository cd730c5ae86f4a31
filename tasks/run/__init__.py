"""One doit process: what its tasks share, and how a stack is prepared for the engine."""
