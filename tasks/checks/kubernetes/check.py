"""The `kubernetes_pods` check: the pods of a workload, or those that a selector finds, are the new ones and ready."""

from __future__ import annotations

import shlex
import time
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import Field, PrivateAttr, model_validator

from ...base.model import Seconds
from ...base.text import plural
from ..check import Check, Observation, shown
from . import pods, workloads
from .api import Access, Api, ApiError

if TYPE_CHECKING:
    from ..check import Look
    from .pods import Pod, Problem
    from .workloads import Workload

_FEW = 3


class KubernetesPodsCheck(Check):
    """True when pods run as they were deployed: by `workload` its rollout is complete, by `selector` all are ready."""

    kind: Literal["kubernetes_pods"] = Field(description="`kubernetes_pods`.")
    timeout: Seconds = Field(300, description="Seconds until the check has failed; 0 looks once.")
    namespace: str = Field("default", description="The namespace.")
    selector: str | None = Field(None, description="A label selector: `app=web,tier!=cache`.")
    workload: str | None = Field(
        None,
        description="In place of a selector: `deployment/NAME`, `statefulset/NAME`, `daemonset/NAME` or `job/NAME`.",
    )
    min_ready: Annotated[int, Field(ge=1)] = Field(1, description="How many pods must be ready at least.")
    grace: Seconds = Field(
        0, description="Seconds in which a pod that crashes, has no image or no node does not end the wait yet."
    )
    kubeconfig: str | None = Field(
        None,
        description="The kubeconfig, relative to the root; by default KUBECONFIG, `~/.kube/config`, or in-cluster.",
    )
    context: str | None = Field(None, description="The context in it; by default its current one.")
    in_cluster: bool = Field(False, description="True: the service account of the pod that this runs in.")
    _began: float = PrivateAttr(default_factory=time.monotonic)

    @model_validator(mode="after")
    def _is_one_of_two(self) -> Self:
        if (self.selector is None) == (self.workload is None):
            raise ValueError("a check of pods has either a `selector` or a `workload`")
        if self.workload is not None and "{" not in self.workload:
            workloads.parse(self.workload)
        return self

    def title(self) -> str:
        """The namespace, and what is looked at in it."""
        return f"{self.namespace}: {self.workload or self.selector}"

    def commands(self) -> tuple[str, ...]:
        """What shows the pods and what happened to them."""
        what = ["get", self.workload] if self.workload else ["get", "pods", "-l", str(self.selector), "-o", "wide"]
        return (self._kubectl(*what), self._kubectl("get", "events", "--sort-by=.lastTimestamp"))

    def observe(self, look: Look) -> Observation:
        """Look once."""
        look.note("the API did not answer in time")
        try:
            api = Api(Access(self.namespace, self.kubeconfig, self.context, self.in_cluster), look)
            return self._by_workload(api) if self.workload else self._by_selector(api)
        except ApiError as error:
            return Observation(False, str(error), final=error.final, commands=self.commands())

    def _by_workload(self, api: Api) -> Observation:
        kind, name = workloads.parse(str(self.workload))
        found = workloads.read(api, kind, name)
        if found is None:
            return Observation(False, f"there is no {kind} {name} in namespace {self.namespace}")
        return self._judge(api, [found], api.pods(found.selector))

    def _by_selector(self, api: Api) -> Observation:
        every = api.pods(str(self.selector))
        if not every:
            return Observation(False, f"no pod matches {self.selector} in namespace {self.namespace}")
        return self._judge(api, workloads.owning(api, every), every)

    def _judge(self, api: Api, owners: list[Workload], every: list[Pod]) -> Observation:
        """The workloads first, as pods alone do not tell a rollout that has not begun; then the pods that count."""
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

    def _counts(self, every: list[Pod], current: list[Pod], ready: list[Pod]) -> str:
        """How many pods there are of which sort."""
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
        """A pod that cannot turn ready: why, with the event that says so; it ends the wait, after the grace."""
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

    def _describe_pod(self, pod: Pod) -> str:
        return self._kubectl("describe", "pod", pods.name(pod))

    def _kubectl(self, *arguments: str) -> str:
        words = ["kubectl", "-n", self.namespace]
        words += ["--context", self.context] if self.context else []
        words += ["--kubeconfig", self.kubeconfig] if self.kubeconfig else []
        return shown(shlex.join([*words, *arguments]), 500)
