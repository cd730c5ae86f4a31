"""An upstream repository: pinned, fetched, and merged below this one."""
