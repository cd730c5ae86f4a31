"""Plan artifacts, receipts and inputs: what may be applied, and what was applied from which inputs."""
