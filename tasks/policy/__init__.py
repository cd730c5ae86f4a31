"""Decides whether a plan may be applied, in the run that applies it.

What an earlier job found is not trusted: a plan that was handed over is judged again before anything is applied.
"""
