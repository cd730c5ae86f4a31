"""Deployments, StatefulSets, DaemonSets and Jobs: whether a rollout is complete, and which pods are its newest.

The rules are those of `kubectl rollout status`
(https://github.com/kubernetes/kubectl/blob/master/pkg/polymorphichelpers/rollout_status.go), with two exceptions: a
workload that wants no pods fails, and a Job is judged by its conditions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...base.text import plural
from ..check import shown
from .resources import Metadata, Resource, Rolling, Selector, Status, Strategy, condition, owner

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from .api import Api

KINDS = {"deployment": "Deployment", "statefulset": "StatefulSet", "daemonset": "DaemonSet", "job": "Job"}
_SHORT = {"deploy": "deployment", "sts": "statefulset", "ds": "daemonset"}
_REVISION = "deployment.kubernetes.io/revision"


@dataclass(frozen=True)
class Workload:
    """The state of a workload.

    Args:
        kind: Its kind in the API.
        name: Its name.
        selector: The label selector of its pods.
        takes: Whether a pod belongs to its newest revision.
        unready: What its rollout waits for; empty if complete.
        over: Whether it has failed permanently.
        complete: Whether it is done regardless of its pods: a Job whose pods have completed.
    """

    kind: str
    name: str
    selector: str
    takes: Callable[[Resource], bool]
    unready: str = ""
    over: bool = False
    complete: bool = False


def parse(text: str) -> tuple[str, str]:
    """Kind and name of `deployment/web`.

    Raises:
        ValueError: The text has another form.
    """
    from ...base.errors import nearest

    kind, _, name = text.partition("/")
    found = KINDS.get(_SHORT.get(kind.lower().rstrip("s"), kind.lower().removesuffix("s")))
    if found is None or not name or "/" in name:
        hint = nearest(kind.lower(), list(KINDS)) if found is None else ""
        raise ValueError(f"write a workload as deployment/NAME{hint}")
    return found, name


def read(api: Api, kind: str, name: str) -> Workload | None:
    """A workload's current state; None if it does not exist.

    Raises:
        ApiError: The request failed.
    """
    found = api.workload(kind, name)
    return _RULES[kind](api, found) if found is not None else None


def owning(api: Api, every: Iterable[Resource]) -> list[Workload]:
    """The workloads that own some pods, each once; other kinds are left out.

    Raises:
        ApiError: The request failed.
    """
    names: set[tuple[str, str]] = set()
    sets: dict[str, Resource] | None = None
    for pod in every:
        reference = owner(pod)
        if reference and reference["kind"] == "ReplicaSet":
            if sets is None:
                sets = {item["metadata"]["name"]: item for item in api.replica_sets("")}
            reference = owner(sets.get(reference["name"]) or Resource(metadata=Metadata()))
        if reference and reference["kind"] in KINDS.values():
            names.add((reference["kind"], reference["name"]))
    found = [read(api, kind, name) for kind, name in sorted(names)]
    return [item for item in found if item is not None]


def _deployment(api: Api, found: Resource) -> Workload:
    """Complete when its newest ReplicaSet has all the pods, all of them are available, and no other has any."""
    status, wanted = found.get("status") or Status(), _wanted(found)
    mine = [item for item in api.replica_sets(_selector(found)) if _made_by(item, found)]
    newest = max(mine, key=_revision, default=None)
    progressing = condition(found, "Progressing")
    over = progressing.get("status") == "False" and progressing.get("reason") == "ProgressDeadlineExceeded"
    updated, total = status.get("updatedReplicas", 0), status.get("replicas", 0)
    available = status.get("availableReplicas", 0)
    unready = _not_observed(found)
    if not unready and over:
        unready = f"its rollout failed: {shown(progressing.get('message', 'its progress deadline has passed'), 200)}"
    elif not unready and updated < wanted:
        unready = f"{updated} of {wanted} pods are of the new revision"
    elif not unready and total > updated:
        unready = f"{plural(total - updated, 'pod')} of an old revision still there"
    elif not unready and available < wanted:
        unready = f"{available} of {wanted} pods are available"
    failure = condition(found, "ReplicaFailure")
    if unready and failure.get("status") == "True":
        unready += f" ({shown(failure.get('message', failure.get('reason', '')), 300)})"
    return Workload(
        "Deployment", _name(found), _selector(found), lambda pod: newest is not None and _made_by(pod, newest),
        _named("Deployment", found, unready), over and not _not_observed(found),
    )  # fmt: skip


def _stateful_set(_api: Api, found: Resource) -> Workload:
    """Complete when all pods at or above the partition are of the update revision and all pods are ready."""
    status, wanted = found.get("status") or Status(), _wanted(found)
    strategy = found["spec"].get("updateStrategy") or Strategy()
    rolling = strategy.get("type", "RollingUpdate") == "RollingUpdate"
    partition = (strategy.get("rollingUpdate") or Rolling()).get("partition") or 0
    revision = status.get("updateRevision")
    ready, updated = status.get("readyReplicas", 0), status.get("updatedReplicas", 0)
    unready = _not_observed(found)
    if not unready and rolling and updated < wanted - partition and revision != status.get("currentRevision"):
        unready = f"{updated} of {wanted - partition} pods are of the new revision"
    elif not unready and ready < wanted:
        unready = f"{ready} of {wanted} pods are ready"

    def takes(pod: Resource) -> bool:
        labels = pod["metadata"].get("labels") or {}
        old = labels.get("controller-revision-hash") != revision
        return _made_by(pod, found) and not (rolling and partition == 0 and revision and old)

    return Workload("StatefulSet", _name(found), _selector(found), takes, _named("StatefulSet", found, unready))


def _daemon_set(_api: Api, found: Resource) -> Workload:
    """Complete when every node that should run a pod has an available one of the newest revision."""
    status = found.get("status") or Status()
    rolling = (found["spec"].get("updateStrategy") or Strategy()).get("type", "RollingUpdate") == "RollingUpdate"
    wanted, updated = status.get("desiredNumberScheduled", 0), status.get("updatedNumberScheduled", 0)
    available = status.get("numberAvailable", 0)
    unready = _not_observed(found)
    if not unready and wanted == 0:
        unready = "wants no pods: no node matches it"
    elif not unready and rolling and updated < wanted:
        unready = f"{updated} of {wanted} pods are of the new revision"
    elif not unready and available < wanted:
        unready = f"{available} of {wanted} pods are available"
    generation = str(found["metadata"].get("generation", ""))

    def takes(pod: Resource) -> bool:
        # Pods carry the generation of the template they were made from, if the controller still sets it.
        label = (pod["metadata"].get("labels") or {}).get("pod-template-generation")
        return _made_by(pod, found) and not (rolling and label is not None and label != generation)

    return Workload("DaemonSet", _name(found), _selector(found), takes, _named("DaemonSet", found, unready))


def _job(_api: Api, found: Resource) -> Workload:
    """Complete when its condition says so; its pods have ended by then."""
    status = found.get("status") or Status()
    failed, complete = condition(found, "Failed"), condition(found, "Complete")
    over, done = failed.get("status") == "True", complete.get("status") == "True"
    if over:
        reason = failed.get("reason", "failed")
        unready = f"failed: {reason}: {shown(failed.get('message', ''), 200)}"
    else:
        parts = [f"{status.get(key, 0)} {key}" for key in ("active", "succeeded", "failed")]
        suspended = "; it is suspended" if found["spec"].get("suspend") else ""
        unready = "" if done else f"is not complete: {', '.join(parts)}{suspended}"
    return Workload(
        "Job",
        _name(found),
        _selector(found),
        lambda pod: _made_by(pod, found),
        _named("Job", found, unready),
        over,
        done,
    )


_RULES: dict[str, Callable[[Api, Resource], Workload]] = {
    "Deployment": _deployment,
    "StatefulSet": _stateful_set,
    "DaemonSet": _daemon_set,
    "Job": _job,
}


def _revision(replica_set: Resource) -> int:
    return int((replica_set["metadata"].get("annotations") or {}).get(_REVISION, 0))


def _not_observed(found: Resource) -> str:
    """What to report while the controller has not seen the newest spec, or if it wants no pods at all."""
    generation = found["metadata"].get("generation", 0)
    if (found.get("status") or Status()).get("observedGeneration", 0) < generation:
        return f"its controller has not seen generation {generation} yet"
    return "wants no pods: its replicas are 0" if found["spec"].get("replicas", 1) == 0 else ""


def _named(kind: str, found: Resource, unready: str) -> str:
    return f"{kind} {_name(found)} {unready}" if unready else ""


def _name(found: Resource) -> str:
    return str(found["metadata"]["name"])


def _wanted(found: Resource) -> int:
    replicas = found["spec"].get("replicas")
    return 1 if replicas is None else int(replicas)


def _made_by(made: Resource, maker: Resource) -> bool:
    reference = owner(made)
    return reference is not None and reference.get("uid") == maker["metadata"].get("uid")


def _selector(found: Resource) -> str:
    """A workload's label selector as a query parameter of the API."""
    selector = found["spec"].get("selector") or Selector()
    parts = [f"{key}={value}" for key, value in (selector.get("matchLabels") or {}).items()]
    for item in selector.get("matchExpressions") or []:
        key, values = item["key"], ",".join(item.get("values") or [])
        words = {"In": f"{key} in ({values})", "NotIn": f"{key} notin ({values})", "Exists": key}
        parts.append(words.get(item["operator"], f"!{key}"))
    return ",".join(parts)
