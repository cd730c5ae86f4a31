"""Checks of what was deployed: each kind a plug-in with its own model, all waited for by one loop.

`check` is the interface, `registry` finds a kind, `waiting` looks again until it is true; the kinds stand beside them.
"""
