"""Everything about the OpenTofu process: obtaining the binary, running it, keys, locks."""
