"""Reports: one model made from results, and its output formats. They run nothing and call no service."""
