"""Decides whether a plan may be applied, in the run that applies it.

The findings of earlier jobs are not trusted: a plan that was handed over is judged again before anything is applied.
"""
