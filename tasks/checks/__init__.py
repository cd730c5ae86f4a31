"""Checks of deployed stacks: each kind is a plug-in with its own model, and one loop waits for all of them.

`check` is the interface, `registry` finds a kind, `waiting` repeats its looks; the other modules are the kinds.
"""
