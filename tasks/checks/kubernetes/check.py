"""The `kubernetes_pods` check: the pods of a workload or of a selector are up to date and ready."""

from __future__ import annotations

import shlex
import time
from importlib.util import find_spec
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import Field, PrivateAttr, model_validator

from ...base.model import Seconds
from ...base.text import plural
from ..check import Check, Lack, Observation, shown
from . import pods, workloads
from .api import INSTALL, Access, Api, ApiError, unfound

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ..check import Look
    from .pods import Problem
    from .resources import Resource
    from .workloads import Workload

_FEW = 3


class KubernetesPodsCheck(Check):
    """True if pods run as deployed: the rollout of `workload` is complete, or all pods of `selector` are ready."""

    kind: Literal["kubernetes_pods"] = Field(description="`kubernetes_pods`.")
    timeout: Seconds = Field(300, description="Seconds until the check has failed; 0 looks once.")
    namespace: str = Field("default", description="The namespace.")
    selector: str | None = Field(None, description="A label selector: `app=web,tier!=cache`.")
    workload: str | None = Field(
        None,
        description="Instead of a selector: `deployment/NAME`, `statefulset/NAME`, `daemonset/NAME` or `job/NAME`.",
    )
    min_ready: Annotated[int, Field(ge=1)] = Field(1, description="The minimum number of pods that must be ready.")
    grace: Seconds = Field(
        0, description="Seconds before a pod that crashes, cannot pull its image or cannot be scheduled ends the wait."
    )
    kubeconfig: str | None = Field(
        None,
        description="The kubeconfig, relative to the repository's root; by default KUBECONFIG, `~/.kube/config`, or"
        " in-cluster.",
    )
    context: str | None = Field(None, description="The kubeconfig context; by default the current one.")
    in_cluster: bool = Field(False, description="True: use the service account of the pod that doit runs in.")
    _began: float = PrivateAttr(default_factory=time.monotonic)

    @model_validator(mode="after")
    def _is_one_of_two(self) -> Self:
        if (self.selector is None) == (self.workload is None):
            raise ValueError("set either `selector` or `workload`")
        if self.workload is not None and "{" not in self.workload:
            workloads.parse(self.workload)
        return self

    def lacks(self, root: Path) -> Iterator[Lack]:
        """The secrets, the client, and where the credentials are."""
        yield from super().lacks(root)
        if find_spec("kubernetes") is None:
            yield Lack("the Kubernetes client is not installed", f"run `{INSTALL}`")
        if self.kubeconfig and "{" in self.kubeconfig:
            return
        if lack := unfound(Access(self.namespace, self.kubeconfig, self.context, self.in_cluster), root):
            yield Lack(lack, key="kubeconfig" if self.kubeconfig else None, may_come=True)

    @classmethod
    def prepare(cls) -> None:
        """Import the client."""
        from kubernetes import client, config  # noqa: F401

        from ...base import http  # noqa: F401

    def title(self) -> str:
        """The namespace, and the workload or selector."""
        return f"{self.namespace}: {self.workload or self.selector}"

    def commands(self) -> tuple[str, ...]:
        """kubectl commands that show the pods and their events."""
        what = ["get", self.workload] if self.workload else ["get", "pods", "-l", str(self.selector), "-o", "wide"]
        return (self._kubectl(*what), self._kubectl("get", "events", "--sort-by=.lastTimestamp"))

    def observe(self, look: Look) -> Observation:
        """Look once."""
        look.note("the API did not respond in time")
        try:
            api = Api(Access(self.namespace, self.kubeconfig, self.context, self.in_cluster), look)
            return self._by_workload(api) if self.workload else self._by_selector(api)
        except ApiError as error:
            return Observation(False, str(error), final=error.final, commands=self.commands())

    def _by_workload(self, api: Api) -> Observation:
        kind, name = workloads.parse(str(self.workload))
        found = workloads.read(api, kind, name)
        if found is None:
            return Observation(False, f"namespace {self.namespace} has no {kind} {name}")
        return self._judge(api, [found], api.pods(found.selector))

    def _by_selector(self, api: Api) -> Observation:
        every = api.pods(str(self.selector))
        if not every:
            return Observation(False, f"no pod matches {self.selector} in namespace {self.namespace}")
        return self._judge(api, workloads.owning(api, every), every)

    def _judge(self, api: Api, owners: list[Workload], every: list[Resource]) -> Observation:
        """Look at workloads first, as pods alone do not show a rollout that has not started; then at pods."""
        current = [pod for pod in every if pods.counts(pod) and all(owner.takes(pod) for owner in owners)]
        problems = [found for pod in current if (found := pods.problem(pod)) is not None]
        unready = [owner.unready for owner in owners if owner.unready]
        ready = [pod for pod in current if pods.is_ready(pod)]
        text = self._counts(every, current, ready)
        if unready:
            text = f"{'; '.join(unready)}; {text}"
        over = next((owner for owner in owners if owner.over), None)
        if problems:
            return self._failing(api, text, max(problems, key=lambda item: item.hopeless), over)
        if over:
            return Observation(False, text, final=True, commands=self._describe(over))
        if any(owner.complete for owner in owners):
            return Observation(True, text)
        met = not unready and len(ready) >= self.min_ready and len(ready) == len(current)
        waits = [pod for pod in current if pod not in ready]
        if waits and not unready:
            text += f": {pods.why_not_ready(waits[0])}"
        look = self._describe(owners[0]) if owners else self.commands()
        return Observation(met, text, commands=(*map(self._describe_pod, waits[:_FEW]), *look))

    def _counts(self, every: list[Resource], current: list[Resource], ready: list[Resource]) -> str:
        """How many pods there are, by state."""
        text = f"{len(ready)} of {plural(len(current), 'pod')} ready"
        if len(ready) == len(current) and len(ready) < self.min_ready:
            text += f", expected {self.min_ready}"
        left = [pod for pod in every if pod not in current]
        if not left:
            return text
        sorts: dict[str, int] = {}
        for pod in left:
            sort = pods.left_out(pod) or "of an old revision"
            sorts[sort] = sorts.get(sort, 0) + 1
        return f"{text}; not counted: {', '.join(f'{number} {sort}' for sort, number in sorted(sorts.items()))}"

    def _failing(self, api: Api, text: str, problem: Problem, over: Workload | None) -> Observation:
        """A pod that cannot become ready, with the event that says why; it ends the wait after the grace period."""
        waited = time.monotonic() - self._began
        said = "; ".join(api.warnings(problem.pod))
        found = f"{text}: {problem.text}" + (f"; event: {said}" if said else "")
        look = [self._describe_pod(problem.pod)]
        if problem.container:
            name = pods.name(problem.pod)
            look.append(self._kubectl("logs", name, "-c", problem.container, *(["--previous"] if problem.ran else [])))
        final = over is not None or (problem.hopeless and waited >= self.grace)
        return Observation(False, found, final=final, commands=tuple(look))

    def _describe(self, owner: Workload) -> tuple[str, ...]:
        return (self._kubectl("describe", owner.kind.lower(), owner.name),)

    def _describe_pod(self, pod: Resource) -> str:
        return self._kubectl("describe", "pod", pods.name(pod))

    def _kubectl(self, *arguments: str) -> str:
        words = ["kubectl", "-n", self.namespace]
        words += ["--context", self.context] if self.context else []
        words += ["--kubeconfig", self.kubeconfig] if self.kubeconfig else []
        return shown(shlex.join([*words, *arguments]), 500)
