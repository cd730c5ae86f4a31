"""The kubernetes_pods check against a real API; the tests write what controllers and kubelets would."""

from __future__ import annotations

import json
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from tasks.checks.kubernetes.check import KubernetesPodsCheck
from tests.repository import wait_for
from tests.servers.kubernetes import TOKEN, Kubernetes, Namespace
from tests.unit.site import Site

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tasks.checks.waiting import Outcome

PATIENT = 60.0


@pytest.fixture
def space(kubernetes: Kubernetes, request: pytest.FixtureRequest) -> Namespace:
    """A namespace for this test alone."""
    return Namespace(kubernetes, f"t{abs(hash(request.node.name)) % 10**12}")


@pytest.fixture
def site() -> Site:
    """Where the check looks from."""
    return Site()


@pytest.fixture
def check(space: Namespace, site: Site) -> Callable[..., Outcome]:
    """Waits for pods of the namespace; looks once unless told otherwise."""

    def wait(selector: str | None = "app=web", **more: Any) -> Outcome:
        keys = {"timeout": 0, "interval": 0.05, "backoff": 1, "kubeconfig": str(space.cluster.kubeconfig), **more}
        keys = {"look_timeout": PATIENT, **keys}  # a busy machine's API may need longer than a user would wait
        keys = {"selector": None if "workload" in keys else selector, **keys}
        return site.wait(KubernetesPodsCheck(kind="kubernetes_pods", namespace=space.name, **keys))

    return wait


@pytest.fixture
def then(site: Site) -> Iterator[Callable[..., None]]:
    """Does things one after the other while a check waits, each when it has looked in vain once more."""
    started: list[threading.Thread] = []

    def do(*actions: Callable[[], Any]) -> None:
        def work() -> None:
            for action in actions:
                seen = site.progress.looks
                wait_for(lambda seen=seen: site.progress.looks > seen, "the check to look")
                action()

        started.append(threading.Thread(target=work))
        started[-1].start()

    yield do
    for thread in started:
        thread.join()


def rollout(space: Namespace, **status: int) -> None:
    """The Deployment's controller says how far it is."""
    space.cluster.status(f"{space.apps}/deployments/web", {"observedGeneration": 1, **status})


def test_all_pods_of_a_selector_ready_is_success(space: Namespace, check: Callable[..., Outcome]) -> None:
    space.pod("web-1")
    space.pod("web-2")
    space.ready("web-1")
    found = check()
    assert (found.passed, found.text.split(":")[0]) == (False, "1 of 2 pods ready")
    assert any("describe pod web-2" in command for command in found.commands)
    space.ready("web-2")
    assert check().passed


def test_a_selector_that_matches_nothing_is_no_success(space: Namespace, check: Callable[..., Outcome]) -> None:
    space.pod()
    space.ready()
    found = check("app=wbe")
    assert not found.passed
    assert f"no pod matches app=wbe in namespace {space.name}" in found.text


def test_fewer_than_min_ready_is_no_success(space: Namespace, check: Callable[..., Outcome]) -> None:
    space.pod()
    space.ready()
    found = check(min_ready=2)
    assert not found.passed
    assert "1 of 1 pod ready, expected 2" in found.text


def test_a_pod_that_turns_ready_late_is_waited_for(
    space: Namespace, check: Callable[..., Outcome], then: Callable[..., None]
) -> None:
    then(space.pod, space.ready)
    found = check(timeout=PATIENT)
    assert found.passed
    assert found.looks > 2


def test_completed_failed_and_terminating_pods_do_not_count(space: Namespace, check: Callable[..., Outcome]) -> None:
    for name in ("web-1", "done", "evicted"):
        space.pod(name)
    space.pod("going", finalizer=True)
    for name in ("web-1", "going"):
        space.ready(name)
    space.phase("done", "Succeeded")
    space.phase("evicted", "Failed")
    space.cluster.call("DELETE", f"{space.core}/pods/going")
    found = check()
    assert found.passed
    assert found.text == "1 of 1 pod ready; not counted: 1 completed, 1 failed, 1 terminating"
    space.phase("web-1", "Succeeded")
    assert not check().passed  # none is left that counts


@pytest.mark.parametrize(
    ("reason", "event"),
    [
        ("CrashLoopBackOff", ("BackOff", "Back-off restarting failed container app")),
        ("ImagePullBackOff", ("Failed", "Failed to pull image: manifest unknown")),
    ],
)
def test_a_pod_that_will_not_start_ends_the_wait_at_once_with_its_event(
    space: Namespace, check: Callable[..., Outcome], reason: str, event: tuple[str, str]
) -> None:
    pod = space.pod()
    space.event(pod, "Pulled", "not this one", "Normal")
    space.event(pod, *event)
    space.waiting("web-1", reason, exit_code=3 if reason.startswith("Crash") else None)
    found = check(timeout=3600)
    assert (found.passed, found.looks) == (False, 1)
    assert f"container app: {reason}" in found.text
    assert f"event: {event[0]}: {event[1]}" in found.text
    assert "not this one" not in found.text
    assert f"kubectl -n {space.name}" in found.commands[0]
    assert "describe pod web-1" in found.commands[0]
    if reason.startswith("Crash"):
        assert "it last exited with 3 (Error)" in found.text
        assert "logs web-1 -c app --previous" in found.commands[1]


def test_a_pod_without_a_node_ends_the_wait_at_once_with_its_event(
    space: Namespace, check: Callable[..., Outcome]
) -> None:
    pod = space.pod()
    why = "0/3 nodes are available: 3 Insufficient cpu."
    space.event(pod, "FailedScheduling", why)
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": why}
    space.cluster.status(f"{space.core}/pods/web-1", {"conditions": [condition]})
    found = check(timeout=3600)
    assert (found.passed, found.looks) == (False, 1)
    assert "web-1 cannot be scheduled" in found.text
    assert f"event: FailedScheduling: {why}" in found.text


def test_within_the_grace_a_crash_does_not_end_the_wait(
    space: Namespace, check: Callable[..., Outcome], then: Callable[..., None]
) -> None:
    space.pod()
    space.waiting("web-1", "CrashLoopBackOff")
    then(space.ready)
    assert check(timeout=PATIENT, grace=PATIENT).passed


def test_a_rollout_is_complete_only_when_all_pods_are_new(space: Namespace, check: Callable[..., Outcome]) -> None:
    """By the Deployment and by a selector alike: ready pods of the old ReplicaSet are no success."""
    made = space.deployment(replicas=2)
    old, new = space.replica_set(made, 9), space.replica_set(made, 10)
    for number in (1, 2):
        space.pod(f"old-{number}", old, "ReplicaSet", pod_template_hash="r9")
        space.ready(f"old-{number}")
    both: list[dict[str, Any]] = [{"workload": "deployment/web"}, {}]
    for keys in both:
        assert "has not seen generation 1 yet" in check(**keys).text
    rollout(space, replicas=2, updatedReplicas=0, availableReplicas=2, readyReplicas=2)
    for keys in both:
        assert "0 of 2 pods are of the new revision" in check(**keys).text
    # Stuck half way: one new pod is ready, the other is not there; an old one still serves.
    space.pod("new-1", new, "ReplicaSet", pod_template_hash="r10")
    space.ready("new-1")
    rollout(space, replicas=3, updatedReplicas=1, availableReplicas=3, readyReplicas=3)
    for keys in both:
        found = check(**keys)
        assert not found.passed
        assert "1 of 2 pods are of the new revision; 1 of 1 pod ready; not counted: 2 of an old revision" in found.text
    space.pod("new-2", new, "ReplicaSet", pod_template_hash="r10")
    space.ready("new-2")
    rollout(space, replicas=3, updatedReplicas=2, availableReplicas=3, readyReplicas=3)
    for keys in both:
        assert "1 pod of an old revision still there" in check(**keys).text
    rollout(space, replicas=2, updatedReplicas=2, availableReplicas=2, readyReplicas=2)
    for keys in both:
        assert check(**keys).passed


def test_a_rollout_that_was_given_up_ends_the_wait(space: Namespace, check: Callable[..., Outcome]) -> None:
    made = space.deployment()
    space.pod("new-1", space.replica_set(made, 1), "ReplicaSet", pod_template_hash="r1")
    space.cluster.status(f"{space.apps}/deployments/web", {
        "observedGeneration": 1, "replicas": 1, "updatedReplicas": 1, "unavailableReplicas": 1,
        "conditions": [{"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded",
                        "message": "ReplicaSet \"web-r1\" has timed out progressing."}],
    })  # fmt: skip
    found = check(workload="deployment/web", timeout=3600)
    assert (found.passed, found.looks) == (False, 1)
    assert 'its rollout failed: ReplicaSet "web-r1" has timed out progressing.' in found.text
    assert "describe deployment web" in found.commands[0]


def test_a_crash_of_an_old_pod_does_not_fail_a_rollout(space: Namespace, check: Callable[..., Outcome]) -> None:
    made = space.deployment()
    old, new = space.replica_set(made, 1), space.replica_set(made, 2)
    space.pod("old-1", old, "ReplicaSet", pod_template_hash="r1")
    space.waiting("old-1", "CrashLoopBackOff")
    space.pod("new-1", new, "ReplicaSet", pod_template_hash="r2")
    space.ready("new-1")
    rollout(space, replicas=1, updatedReplicas=1, availableReplicas=1, readyReplicas=1)
    assert check(workload="deployment/web").passed


def test_a_workload_that_wants_no_pods_or_is_not_there_is_no_success(
    space: Namespace, check: Callable[..., Outcome]
) -> None:
    assert f"namespace {space.name} has no Deployment web" in check(workload="deployment/web").text
    space.deployment(replicas=0)
    rollout(space)
    found = check(workload="deployment/web")
    assert not found.passed
    assert "wants no pods: its replicas are 0" in found.text


def test_a_statefulset_is_ready_when_all_pods_are_of_the_update_revision(
    space: Namespace, check: Callable[..., Outcome]
) -> None:
    labels = {"matchLabels": {"app": "web"}}
    template = space.deployment(name="other")["spec"]["template"]
    made = space.cluster.create(
        f"{space.apps}/statefulsets",
        "web",
        {"selector": labels, "serviceName": "web", "replicas": 2, "template": template},
    )
    for number, revision in ((0, "a"), (1, "b")):
        space.pod(f"web-{number}", made, "StatefulSet", controller_revision_hash=revision)
        space.ready(f"web-{number}")
    path = f"{space.apps}/statefulsets/web"
    status = {"observedGeneration": 1, "replicas": 2, "readyReplicas": 2, "currentRevision": "a", "updateRevision": "b"}
    space.cluster.status(path, {**status, "updatedReplicas": 1})
    found = check(workload="statefulset/web")
    assert not found.passed
    assert "1 of 2 pods are of the new revision; 1 of 1 pod ready; not counted: 1 of an old revision" in found.text
    space.cluster.call("DELETE", f"{space.core}/pods/web-0")
    space.pod("web-0", made, "StatefulSet", controller_revision_hash="b")
    space.ready("web-0")
    space.cluster.status(path, {**status, "updatedReplicas": 2, "currentRevision": "b"})
    assert check(workload="statefulset/web").passed


def test_a_daemonset_is_ready_when_every_node_has_a_new_pod(space: Namespace, check: Callable[..., Outcome]) -> None:
    template = space.deployment(name="other")["spec"]["template"]
    labels = {"matchLabels": {"app": "web"}}
    made = space.cluster.create(f"{space.apps}/daemonsets", "web", {"selector": labels, "template": template})
    path = f"{space.apps}/daemonsets/web"
    status = {"observedGeneration": 1, "currentNumberScheduled": 2, "numberMisscheduled": 0, "numberReady": 2}
    space.cluster.status(path, {**status, "desiredNumberScheduled": 0})
    assert "wants no pods: no node matches it" in check(workload="daemonset/web").text
    space.cluster.status(
        path, {**status, "desiredNumberScheduled": 2, "updatedNumberScheduled": 1, "numberAvailable": 2}
    )
    assert "1 of 2 pods are of the new revision" in check(workload="daemonset/web").text
    for number in (1, 2):
        space.pod(f"web-{number}", made, "DaemonSet")
        space.ready(f"web-{number}")
    space.cluster.status(
        path, {**status, "desiredNumberScheduled": 2, "updatedNumberScheduled": 2, "numberAvailable": 2}
    )
    assert check(workload="daemonset/web").passed


def test_a_job_is_judged_by_its_conditions(space: Namespace, check: Callable[..., Outcome]) -> None:
    from tests.servers.kubernetes import POD

    path = f"/apis/batch/v1/namespaces/{space.name}/jobs"
    spec = {"template": {"spec": {**POD, "restartPolicy": "Never"}}}
    space.cluster.create(path, "good", spec)
    assert "is not complete: 0 active, 0 succeeded, 0 failed" in check(workload="job/good").text
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    done = [{"type": kind, "status": "True"} for kind in ("SuccessCriteriaMet", "Complete")]
    space.cluster.status(f"{path}/good", {"succeeded": 1, "startTime": now, "completionTime": now, "conditions": done})
    assert check(workload="job/good").passed
    space.cluster.create(path, "bad", spec)
    over = [{"type": kind, "status": "True", "reason": "BackoffLimitExceeded", "message": "it failed 6 times"}
            for kind in ("FailureTarget", "Failed")]  # fmt: skip
    space.cluster.status(f"{path}/bad", {"failed": 6, "startTime": now, "conditions": over})
    found = check(workload="job/bad", timeout=3600)
    assert (found.passed, found.looks) == (False, 1)
    assert "failed: BackoffLimitExceeded: it failed 6 times" in found.text


def test_an_expired_token_ends_the_wait_at_once_and_is_not_shown(
    space: Namespace, check: Callable[..., Outcome], tmp_path: Path
) -> None:
    expired = space.cluster.write_kubeconfig(tmp_path / "kubeconfig", "expired-token-31aa")
    found = check(timeout=3600, kubeconfig=str(expired))
    assert (found.passed, found.looks) == (False, 1)
    assert "does not accept the credentials (401): expired or invalid" in found.text
    assert "expired-token-31aa" not in json.dumps(found.__dict__)


def test_credentials_that_may_not_look_are_told_from_invalid_ones(
    space: Namespace, check: Callable[..., Outcome], tmp_path: Path
) -> None:
    weak = space.cluster.write_kubeconfig(tmp_path / "kubeconfig", "nobody-token-9c2d")
    found = check(kubeconfig=str(weak))
    assert "the credentials may not list pods (403)" in found.text
    assert 'User "nobody" cannot list resource "pods"' in found.text


def test_credentials_that_are_renewed_between_two_looks_are_read_at_once(
    space: Namespace, check: Callable[..., Outcome], tmp_path: Path
) -> None:
    file = space.cluster.write_kubeconfig(tmp_path / "kubeconfig", "expired-token-31aa")
    assert "(401): expired or invalid" in check(kubeconfig=str(file)).text
    space.cluster.write_kubeconfig(file, TOKEN)
    assert "no pod matches app=web" in check(kubeconfig=str(file)).text


def test_an_api_that_goes_away_in_mid_wait_and_comes_back_is_waited_for(
    own_kubernetes: Kubernetes, site: Site, then: Callable[..., None]
) -> None:
    space = Namespace(own_kubernetes, "outage")
    space.pod()
    seen: list[str] = []

    def note() -> None:
        seen.append(site.progress.seen)

    def back() -> None:
        own_kubernetes.start()
        space.ready()

    then(own_kubernetes.stop, lambda: None, note, back)  # a look may have been under way when it went
    found = site.wait(
        KubernetesPodsCheck(
            kind="kubernetes_pods", namespace="outage", selector="app=web", timeout=PATIENT, interval=0.05, backoff=1,
            kubeconfig=str(own_kubernetes.kubeconfig),
        )
    )  # fmt: skip
    assert found.passed
    assert "cannot reach the API at" in seen[0]
    assert "connection refused" in seen[0]


def test_the_list_of_kubeconfigs_in_the_environment_is_read_as_kubectl_does(
    space: Namespace, check: Callable[..., Outcome], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", f"{tmp_path / 'none'}:{space.cluster.kubeconfig}")
    space.pod()
    space.ready()
    assert check(kubeconfig=None).passed
    assert check(kubeconfig=None, context="test").passed
    found = check(kubeconfig=None, context="nowhere", timeout=3600)
    assert (found.passed, found.looks) == (False, 1)
    assert "the kubeconfig is invalid" in found.text


def test_in_a_pod_its_service_account_is_used(
    space: Namespace, check: Callable[..., Outcome], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "token").write_text(TOKEN)
    authority = space.cluster.kubeconfig.parent / "certs/apiserver.crt"
    monkeypatch.setattr("kubernetes.config.incluster_config.SERVICE_TOKEN_FILENAME", str(tmp_path / "token"))
    monkeypatch.setattr("kubernetes.config.incluster_config.SERVICE_CERT_FILENAME", str(authority))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("KUBECONFIG", raising=False)
    space.pod()
    space.ready()
    assert "no kubeconfig was found" in check(kubeconfig=None, timeout=3600).text
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", str(space.cluster.port))
    assert check(kubeconfig=None).passed
    assert check(kubeconfig=None, in_cluster=True).passed
