"""Reports: one model made from results, and its faces. A report runs nothing and asks no service."""
