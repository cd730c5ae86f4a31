"""Reads a pod's status: whether it is ready, still starting, or beyond hope.

The fields: https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/. When a pod is ready and how
it ends: https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..check import shown
from .resources import Phase, Status, condition

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .resources import Resource

# Reasons why a container waits that waiting does not fix; `ErrImagePull` is only a first try, which is repeated.
_HOPELESS = frozenset({"CrashLoopBackOff", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"})
_STARTING = frozenset({"ContainerCreating", "PodInitializing", None, ""})


@dataclass(frozen=True)
class Problem:
    """Why a pod is not ready; `hopeless` if it will not become ready by itself.

    `container` is the container at fault; `ran` says whether it has run before and left a log.
    """

    pod: Resource
    text: str
    hopeless: bool
    container: str | None = None
    ran: bool = False


def name(pod: Resource) -> str:
    """Its name."""
    return str(pod["metadata"]["name"])


def left_out(pod: Resource) -> str | None:
    """Why a pod does not count, whatever owns it; None if it counts."""
    if pod["metadata"].get("deletionTimestamp"):  # "Terminating" is not a phase
        return "terminating"
    phase = (pod.get("status") or Status()).get("phase")
    return {"Succeeded": "completed", "Failed": "failed"}.get(str(phase))


def counts(pod: Resource) -> bool:
    """Whether it has to be ready: neither terminating, nor completed, nor failed."""
    return left_out(pod) is None


def is_ready(pod: Resource) -> bool:
    """Whether its `Ready` condition is true: all containers are ready and all readiness gates are true."""
    return condition(pod, "Ready").get("status") == "True"


def problem(pod: Resource) -> Problem | None:
    """What is wrong with a pod; None if it is merely not ready yet."""
    found = list(_problems(pod))
    return max(found, key=lambda item: item.hopeless) if found else None


def why_not_ready(pod: Resource) -> str:
    """What an unready pod waits for."""
    status = pod.get("status") or Status()
    for container in status.get("containerStatuses") or []:
        if not container.get("ready"):
            kinds = ("waiting", "terminated", "running")
            state = next((kind for kind in kinds if (container.get("state") or {}).get(kind)), "not started")
            reason = ((container.get("state") or {}).get(state) or Phase()).get("reason")
            return f"{name(pod)}: container {container['name']} is {state}, not ready" + (
                f" ({reason})" if reason else ""
            )
    ready = condition(pod, "Ready")
    told = ready.get("message") or ready.get("reason") or f"phase {status.get('phase', 'unknown')}"
    return f"{name(pod)}: {shown(told, 200)}"


def _problems(pod: Resource) -> Iterator[Problem]:
    status, called = pod.get("status") or Status(), name(pod)
    scheduled = condition(pod, "PodScheduled")
    if scheduled.get("status") == "False" and scheduled.get("reason") == "Unschedulable":
        yield Problem(pod, f"{called} cannot be scheduled: {shown(scheduled.get('message', ''), 300)}", True)
    for container in [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]:
        waiting = (container.get("state") or {}).get("waiting") or Phase()
        reason = waiting.get("reason")
        if reason in _STARTING:
            continue
        last = (container.get("lastState") or {}).get("terminated") or Phase()
        text = f"{called}: container {container['name']}: {reason}"
        text += f": {shown(waiting['message'], 300)}" if waiting.get("message") else ""
        if last:
            why = f" ({last['reason']})" if last.get("reason") else ""
            told = f": {shown(last['message'], 200)}" if last.get("message") else ""
            text += f"; it last exited with {last.get('exitCode')}{why}{told}"
        yield Problem(pod, text, reason in _HOPELESS, str(container["name"]), bool(last))
