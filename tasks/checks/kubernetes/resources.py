"""The parts that we read of the API's JSON (https://kubernetes.io/docs/reference/kubernetes-api/).

Where the API says nothing of a field, it leaves it out, or its value is null.
"""

from __future__ import annotations

from typing import TypedDict


class Owner(TypedDict, total=False):
    """What made a resource; its controller is the one that counts."""

    kind: str
    name: str
    uid: str
    controller: bool


class Metadata(TypedDict, total=False):
    """What every resource has."""

    name: str
    uid: str
    generation: int
    annotations: dict[str, str] | None
    labels: dict[str, str] | None
    ownerReferences: list[Owner] | None
    creationTimestamp: str
    deletionTimestamp: str | None


class Condition(TypedDict, total=False):
    """One condition: `status` is `True`, `False` or `Unknown`."""

    type: str
    status: str
    reason: str
    message: str


class Requirement(TypedDict, total=False):
    """One expression of a label selector."""

    key: str
    operator: str
    values: list[str] | None


class Selector(TypedDict, total=False):
    """A label selector."""

    matchLabels: dict[str, str] | None
    matchExpressions: list[Requirement] | None


class Rolling(TypedDict, total=False):
    """How a rollout proceeds."""

    partition: int | None


class Strategy(TypedDict, total=False):
    """How pods are replaced."""

    type: str
    rollingUpdate: Rolling | None


class Spec(TypedDict, total=False):
    """What a workload wants."""

    replicas: int | None
    selector: Selector | None
    updateStrategy: Strategy | None
    suspend: bool | None


class Phase(TypedDict, total=False):
    """What a container does: why it waits, or how it ended."""

    reason: str | None
    message: str
    exitCode: int


class Container(TypedDict, total=False):
    """A container's status; its states are `waiting`, `running` and `terminated`."""

    name: str
    ready: bool
    state: dict[str, Phase] | None
    lastState: dict[str, Phase] | None


class Status(TypedDict, total=False):
    """What a controller or a node says of a resource."""

    phase: str
    conditions: list[Condition] | None
    containerStatuses: list[Container] | None
    initContainerStatuses: list[Container] | None
    observedGeneration: int
    replicas: int
    updatedReplicas: int
    readyReplicas: int
    availableReplicas: int
    currentRevision: str
    updateRevision: str
    desiredNumberScheduled: int
    updatedNumberScheduled: int
    numberAvailable: int
    active: int
    succeeded: int
    failed: int


class Resource(TypedDict, total=False):
    """A pod, a workload, or what is between the two."""

    metadata: Metadata
    spec: Spec
    status: Status | None


class Event(TypedDict, total=False):
    """What happened to a resource."""

    metadata: Metadata
    reason: str
    message: str
    lastTimestamp: str | None
    eventTime: str | None


def condition(resource: Resource, kind: str) -> Condition:
    """A condition of a resource; empty if it has none of that kind."""
    found = (resource.get("status") or Status()).get("conditions") or []
    return next((item for item in found if item.get("type") == kind), Condition())


def owner(resource: Resource) -> Owner | None:
    """The controller that owns a resource."""
    return next((item for item in resource["metadata"].get("ownerReferences") or [] if item.get("controller")), None)
