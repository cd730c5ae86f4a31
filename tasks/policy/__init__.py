"""Policy: whether a plan may be applied. Every plan is judged in the run that applies it, by what is planned then.

What an earlier job found is not trusted: a plan that was handed over is judged again before anything is applied.
"""

from __future__ import annotations

from .finding import Finding

__all__ = ["Finding"]
