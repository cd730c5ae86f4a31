"""How a run ended, in words, and what to do next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..base.errors import ExitCode
from ..base.text import few, plural
from ..drifts import words
from ..run.details import DriftDetails, PlanDetails
from ..run.result import Status
from . import stackreport, together

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ..run.result import Result
    from ..run.run import Run

_FEW = 20
_FEW_FAILED = 5  # names that fit a line


def of(run: Run, selected: set[str], code: ExitCode, found: list[Result], program: str = "") -> str:
    """How a run ended, in words, and what to do next.

    Args:
        run: The run.
        selected: The commands.
        code: The exit code.
        found: The results.
        program: How doit is started where it is read; empty for `doit`, as in all that is kept.
    """
    return _Verdict(run, selected, code, found, program).text()


@dataclass(frozen=True)
class _Verdict:
    run: Run
    selected: set[str]
    code: ExitCode
    found: list[Result]
    program: str

    def text(self) -> str:
        """How the run ended."""
        selected, code, found = self.selected, self.code, self.found
        failed = sorted({item.stack for item in found if item.failed})
        names = ", ".join(failed) if len(failed) <= _FEW_FAILED else plural(len(failed), "stack")
        if self.run.stop.requested:
            return "stopped; run the same command again to continue"
        if code.failed:
            tried = any(item.stage == "deploy" and item.failed for item in found)
            if "deploy" in selected and not self.run.applied and not tried:
                return f"failed: {names or 'see above'}; nothing was deployed"
            return f"failed: {names or 'see above'}"
        if code is ExitCode.DRIFT or any(item.status is Status.DRIFTED for item in found):
            return self._drift()
        left = len({item.stack for item in found if item.status is Status.SKIPPED})
        skipped = f", {left} skipped" if left else ""
        if "deploy" in selected:
            if self.run.request.repair is not None:
                return f"{len(self.run.applied)} repaired" if self.run.applied else "nothing was repaired"
            if self.run.applied:
                return f"{len(self.run.applied)} deployed{skipped}"
            if skipped:
                return f"nothing deployed{skipped}"
            return f"nothing to deploy, {self._owed(found) or 'all up to date'}"
        if "plan" in selected:
            return self._planned(skipped)
        if adopted := [item.stack for item in found if item.status is Status.ADOPTED]:
            deploys = self._deploys()
            return f"the code of {adopted[0]} took over drift; review and commit it, then run {deploys}"
        part = self.run.request.shard
        if part is not None and "drift" in selected and not any(item.stage == "drift" for item in found):
            return f"no stack belongs to shard {part}: nothing was checked here; the other shards check them"
        if "drift" in selected and (counted := words.counted(_news(found))):
            return f"all passed; {counted} since the previous check"
        return self._unbuilt() or _unverified(selected, found) or "all passed"

    def _planned(self, skipped: str) -> str:
        """What a deploy does with the plans; it refuses those with mocks."""
        none = (Status.UNAFFECTED, Status.SKIPPED)
        plans = [item for item in self.found if item.stage == "plan" and item.status not in none]
        deferred = sum(item.status is Status.DEFERRED for item in plans)
        known = [item.details for item in plans if isinstance(item.details, PlanDetails)]
        mocked, unpinned = sum(bool(each.mocked) for each in known), sum(bool(each.unpinned) for each in known)
        deploys = self._deploys(*self._allowed())
        if mocked:
            again = self.run.command("mocks=no", "plan").seen_from(self.program).quoted
            return f"planned{skipped}, {mocked} with mocks, for review only; {again} plans them for {deploys}"
        if plans:
            more = f", and plans and applies {deferred} deferred" if deferred else ""
            more += f", and plans {unpinned} again once its image is there" if unpinned else ""
            return f"planned{skipped}; {deploys} applies exactly this{more}"
        return f"nothing planned{skipped}" if skipped else "no stack is affected"

    def _unbuilt(self) -> str:
        """Why a `build` had nothing to build; empty if it had."""
        config = self.run.project.config
        if self.selected != {"build"} or config.builds or config.images:
            return ""
        return "there are no builds and no images, so nothing was built; docs/builds.md has their kinds"

    def _deploys(self, *variables: str) -> str:
        return self.run.command(*variables, "deploy").seen_from(self.program).quoted

    def _allowed(self) -> list[str]:
        """The overrides of this plan as the deploy needs them, too: it judges every plan itself."""
        allowed = self.run.request.allowances
        rules = ",".join(rule if stack == "*" else f"{rule}:{stack}" for rule, stack, _ in allowed)
        return [f"allow={rules}", f"reason={allowed[0].reason}"] if allowed else []

    def _owed(self, found: Sequence[Result]) -> str:
        """What passed of stacks that were deployed before: their checks, or only the hooks after the deploy."""
        done = [item.stack for item in found if item.stage == "deploy" and item.status is Status.OK]
        checked = any(self.run.project.stacks[name].settings.verify for name in done)
        return "its checks passed" if checked else "its hooks passed" if done else ""

    def _drift(self) -> str:
        found, lines = self.found, list[str]()
        drifted = sorted(item.stack for item in found if item.status is Status.DRIFTED)
        undeployed = sorted(item.stack for item in found if item.status is Status.UNDEPLOYED)
        if drifted:
            counted = words.counted(_news(found))
            lines.append(f"{few(drifted, _FEW)} drifted{f' ({counted})' if counted else ''}. What to do next:")
            lines += self._ways([item for item in found if item.status is Status.DRIFTED])
        if undeployed:
            deploys = self._deploys()
            lines.append(f"{few(undeployed, _FEW)}: undeployed code; {deploys} deploys it")
        return "\n".join(lines)

    def _ways(self, drifted: list[Result]) -> list[str]:
        """The commands for what has drifted, numbered: one for all stacks, or one for each of the first few."""
        offered = [
            stackreport.drift_ways(result, self.run.named_environment)
            for result in sorted(drifted, key=lambda item: item.stack)
        ]
        here = [[(name, step.seen_from(self.program)) for name, step in each] for each in offered]
        lines = []
        for number, way in enumerate(together.ways(here, self.run.project.stacks), 1):
            first, *rest = way.commands
            lines += [f"  {number}. {way.name + ':':<28} `{first}`", *(f"{'':<33} `{command}`" for command in rest)]
            lines += [f"{'':<33} … {plural(way.left, 'more stack')}, one command each"] if way.left else []
        return [*lines, f"  all of it: .deploy/{self.run.project.environment}/reports/drift.md"]


def _unverified(selected: set[str], found: Sequence[Result]) -> str:
    """Why a `verify` had nothing to verify, which is not the same as that all passed; empty if it had."""
    ended = [item.status for item in found if item.stage == "verify"]
    if selected != {"verify"} or any(status is not Status.UNAFFECTED for status in ended):
        return ""
    if not ended:
        return "no stack has checks, so nothing was verified; docs/checks.md has their kinds"
    return "no stack that has checks is deployed from here, so nothing was verified"


def _news(found: Iterable[Result]) -> dict[str, int]:
    """How much drift is new, changed again, known and resolved."""
    total: dict[str, int] = {}
    for item in found:
        if isinstance(item.details, DriftDetails):
            for word, number in item.details.news.items():
                total[word] = total.get(word, 0) + number
    return total
