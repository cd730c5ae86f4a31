"""The pipelines that `doit ci` writes: how stacks are divided into jobs, in each forge's format."""
