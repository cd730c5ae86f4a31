"""The `plan_empty` check: right after the apply, a plan has no changes; a stack that always has some never settles."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from ..base.errors import DeployError
from ..base.model import Seconds
from ..base.problem import doit
from ..base.text import few
from .check import Check, Observation

if TYPE_CHECKING:
    from .check import Look

_FEW = 5


class PlanEmptyCheck(Check):
    """True if a fresh plan of the stack, made right after the apply, has no changes."""

    ends_by_itself: ClassVar[bool] = True  # the engine is never left behind, because it holds the state lock

    kind: Literal["plan_empty"] = Field(description="`plan_empty`.")
    timeout: Seconds = Field(0, description="Seconds during which to plan again; 0 plans once.")
    interval: Annotated[float, Field(gt=0, le=3600)] = Field(5, description="Seconds between the first two plans.")

    def title(self) -> str:
        """The same text for every stack."""
        return "the plan is empty"

    def observe(self, look: Look) -> Observation:
        """Plan once."""
        try:
            found = look.plan()
        except DeployError as error:
            return Observation(False, error.message)
        if found.counts.empty:
            return Observation(True, "a fresh plan has no changes")
        names = [str(item["address"]) for item in found.resources]
        names += [f"output {item['name']}" for item in found.outputs]
        text = f"a fresh plan is not empty: {found.counts.text()}: {few(names, _FEW)}"
        return Observation(False, text, commands=(doit(f"plan:{look.stack}"), doit(f"drift:{look.stack}")))
