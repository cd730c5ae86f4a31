"""The few requests to a Kubernetes API, through its official client; responses are the API's own JSON."""

from __future__ import annotations

import json
import math
import os
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..check import shown
from .answers import Answers

if TYPE_CHECKING:
    from collections.abc import Callable

    from kubernetes.client import ApiClient, ApiException, AppsV1Api, BatchV1Api, Configuration, CoreV1Api
    from urllib3 import PoolManager

    from ..check import Look
    from .resources import Event, Resource

    # a kubeconfig's inode, size and time of change; None if it cannot be read
    _Seen = tuple[int, int, int] | None
    # a method of an API, typed for what it makes of a response; we ask for the response itself
    Request = Callable[["_Connection"], Callable[..., Any]]

_UNAUTHORIZED, _FORBIDDEN, _NOT_FOUND = 401, 403, 404
_FEW = 2
INSTALL = "pip install 'doit-tofu[kubernetes]'"
_NO_KUBECONFIG = "no kubeconfig was found: set KUBECONFIG or the check's key `kubeconfig`"
_LASTS = 1.0  # seconds for which looks share a connection; the next one reads renewed credentials


@dataclass(frozen=True)
class Access:
    """A cluster and namespace: `kubeconfig` and `context` as in `kubectl`, or the cluster that this runs in."""

    namespace: str
    kubeconfig: str | None = None
    context: str | None = None
    in_cluster: bool = False


class ApiError(Exception):
    """A request to the API failed; `final` if trying again is pointless."""

    def __init__(self, message: str, *, final: bool = False) -> None:
        super().__init__(message)
        self.final = final


@dataclass(frozen=True)
class _Connection:
    """A cluster's address, its APIs, their latest responses, the client's secrets, and when it was begun."""

    host: str
    core: CoreV1Api
    apps: AppsV1Api
    batch: BatchV1Api
    answers: Answers
    secrets: list[str]
    began: float


class _Shared:
    """The connection to one cluster, for the looks that begin at about the same time.

    A kubeconfig takes milliseconds to read and a login plugin seconds, which thousands of looks would wait for in turn.
    """

    def __init__(self) -> None:
        self._lock, self._began = threading.Lock(), -math.inf
        self._made: _Connection | ApiError | None = None
        self._seen: list[_Seen] = []

    def connection(self, make: Callable[[], _Connection], seen: list[_Seen], lasts: float) -> _Connection:
        """One that is at most `lasts` seconds old, from kubeconfigs that were seen like this.

        Raises:
            ApiError: None could be made since this was called; an earlier failure is not repeated.
        """
        called = time.monotonic()
        with self._lock:
            age = lasts if isinstance(self._made, _Connection) else 0
            if self._seen != seen or self._began < called - age:
                self._began, self._seen = time.monotonic(), seen
                try:
                    self._made = make()
                except ApiError as error:
                    self._made = error
            made = self._made
        if isinstance(made, _Connection):
            return made
        raise ApiError(str(made), final=made is not None and made.final)


_connections: dict[tuple[Access, Path, str | None], _Shared] = {}


class Api:
    """The requests of one look, on a connection that it shares with others.

    Raises:
        ApiError: The client is not installed, or no usable configuration was found.
    """

    def __init__(self, access: Access, look: Look) -> None:
        try:
            import kubernetes.client  # noqa: F401
        except ImportError:
            message = f"the Kubernetes client is not installed: {INSTALL}"
            raise ApiError(message, final=True) from None
        self._look, self._namespace = look, access.namespace
        self._access, self._began = access, time.monotonic()
        key = (replace(access, namespace=""), look.root, os.environ.get("KUBECONFIG"))
        self._shared = _connections.setdefault(key, _Shared())
        self._connection = self._connected(_LASTS)

    def pods(self, selector: str) -> list[Resource]:
        """The pods of the namespace that match a selector."""
        found: list[Resource] = self._list(lambda to: to.core.list_namespaced_pod, "list pods", label_selector=selector)
        return found

    def replica_sets(self, selector: str) -> list[Resource]:
        """The ReplicaSets that match a selector."""
        found: list[Resource] = self._list(
            lambda to: to.apps.list_namespaced_replica_set, "list replicasets", label_selector=selector
        )
        return found

    def workload(self, kind: str, name: str) -> Resource | None:
        """A workload; None if it does not exist."""
        read: dict[str, Request] = {
            "Deployment": lambda to: to.apps.read_namespaced_deployment,
            "StatefulSet": lambda to: to.apps.read_namespaced_stateful_set,
            "DaemonSet": lambda to: to.apps.read_namespaced_daemon_set,
            "Job": lambda to: to.batch.read_namespaced_job,
        }
        found: Resource | None = self._ask(read[kind], f"get {kind.lower()}s", name, self._namespace)
        return found

    def warnings(self, pod: Resource) -> list[str]:
        """The latest warnings among a pod's events, newest first; empty if events cannot be read."""
        field = f"involvedObject.uid={pod['metadata'].get('uid')},type=Warning"
        try:
            found: list[Event] = self._list(
                lambda to: to.core.list_namespaced_event, "list events", field_selector=field
            )
        except ApiError:
            return []
        found.sort(key=_when, reverse=True)
        texts = [f"{event.get('reason')}: {shown(event.get('message'), 300)}" for event in found]
        return list(dict.fromkeys(texts))[:_FEW]

    def _connected(self, lasts: float) -> _Connection:
        seen = _seen(_kubeconfigs(self._access, self._look.root))
        connection = self._shared.connection(lambda: _connect(self._access, self._look), seen, lasts)
        self._look.mask.add(connection.secrets)
        return connection

    def _list(self, request: Request, what: str, **query: str) -> Any:
        """All items, with their kind, which the API omits in lists."""
        answer = self._ask(request, what, self._namespace, **query) or {}
        return list(answer.get("items") or [])

    def _ask(self, request: Request, what: str, *arguments: str, **query: str) -> Any:
        """A response as JSON; None if the object does not exist.

        Raises:
            ApiError: No response, or a refusal.
        """
        from kubernetes.client import ApiException

        try:
            return self._json(request, *arguments, **query)
        except ApiException as error:
            refusal = error
        if refusal.status == _UNAUTHORIZED and self._connection.began < self._began:  # renewed since, perhaps
            self._connection = self._connected(lasts=time.monotonic() - self._began)
            try:
                return self._json(request, *arguments, **query)
            except ApiException as error:
                refusal = error
        if refusal.status == _NOT_FOUND:
            return None
        raise self._refused(what, refusal)

    def _json(self, request: Request, *arguments: str, **query: str) -> Any:
        """A response as JSON, which looks that began together share.

        Raises:
            ApiError: No response.
            ApiException: A refusal.
        """
        import urllib3

        from ...base.http import cause

        call, look = request(self._connection), self._look

        def ask() -> Any:
            return json.loads(call(*arguments, **query, _preload_content=False, _request_timeout=look.seconds).data)

        what = (call.__qualname__, arguments, *query.items())
        try:
            return self._connection.answers.get(what, ask, since=look.moment, ends=look.deadline)
        except TimeoutError:
            raise ApiError(f"cannot reach the API at {self._connection.host}: no response in time") from None
        except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            host = self._connection.host
            reason = "no response in time" if "timed out" in str(error) else cause(error, host)
            raise ApiError(f"cannot reach the API at {host}: {reason}") from None

    def _refused(self, what: str, error: ApiException) -> ApiError:
        said = error.reason
        with suppress(ValueError, KeyError, TypeError):
            said = json.loads(error.body or "")["message"]
        if error.status == _UNAUTHORIZED:
            message = f"the API at {self._connection.host} does not accept the credentials (401): expired or invalid"
            return ApiError(message, final=True)
        if error.status == _FORBIDDEN:  # roles are often granted by the same apply and take a moment to work
            return ApiError(f"the credentials may not {what} (403): {shown(said, 300)}")
        return ApiError(f"the API at {self._connection.host} responded with status {error.status}: {shown(said, 200)}")


def _connect(access: Access, look: Look) -> _Connection:
    """A new connection, with the credentials as they are now."""
    from kubernetes import client

    began, settings = time.monotonic(), client.Configuration()
    _configure(access, look, settings)
    settings.retries = False
    made: ApiClient = client.ApiClient(settings)
    _share_context(made.rest_client.pool_manager)
    apis = client.CoreV1Api(made), client.AppsV1Api(made), client.BatchV1Api(made)
    settings.refresh_api_key_hook = None  # it reads the environment at each request; a connection is renewed instead
    return _Connection(settings.host, *apis, Answers(), _token(settings), began)


def _share_context(manager: PoolManager) -> None:
    """Let all connections to a cluster have one TLS context: each would read its CAs again, and keep them."""
    from urllib3.util.ssl_ import create_urllib3_context

    keys = manager.connection_pool_kw
    if manager.proxy is not None or keys.get("cert_file") or keys.get("ca_cert_data"):
        return
    context = create_urllib3_context(cert_reqs=keys["cert_reqs"])
    with suppress(OSError):  # the connection says what is wrong with the file
        if keys["ca_certs"]:
            context.load_verify_locations(keys["ca_certs"])
        else:
            context.load_default_certs()
        keys |= {"ssl_context": context, "ca_certs": None}


def unfound(access: Access, root: Path) -> str | None:
    """Why there are no credentials to read, as a sentence; None if there are some, which may be of no use."""
    in_cluster = "KUBERNETES_SERVICE_HOST" in os.environ
    if access.in_cluster:
        return None if in_cluster else "this is not a pod of a cluster, as `in_cluster` says"
    paths = _kubeconfigs(access, root)
    if not paths:
        return None if in_cluster else _NO_KUBECONFIG
    return None if any(_seen(paths)) else f"the kubeconfig {access.kubeconfig or paths} does not exist"


def _kubeconfigs(access: Access, root: Path) -> str:
    """The files to read, separated as in `KUBECONFIG`; empty if there are none."""
    usual = Path.home() / ".kube/config"
    named = str(root / access.kubeconfig) if access.kubeconfig else os.environ.get("KUBECONFIG", "")
    return named or (str(usual) if usual.is_file() else "")


def _seen(paths: str) -> list[_Seen]:
    """How the files look now: one that is renewed looks different."""
    found: list[_Seen] = []
    for path in paths.split(os.pathsep):
        try:
            stat = Path(path).stat()
        except OSError:
            found.append(None)
        else:
            found.append((stat.st_ino, stat.st_size, stat.st_ctime_ns))
    return found


def _configure(access: Access, look: Look, settings: Configuration) -> None:
    """Address and credentials, from the given place, else from where `kubectl` looks.

    The client's own `load_config` is no help: it reads `KUBECONFIG` at import, mistakes a list of files for a missing
    one, and prints.
    """
    from kubernetes import config

    load_in_cluster: Any = config.load_incluster_config
    load_file: Any = config.load_kube_config
    paths = _kubeconfigs(access, look.root)
    try:
        if access.in_cluster or (not paths and "KUBERNETES_SERVICE_HOST" in os.environ):
            load_in_cluster(client_configuration=settings)
        elif paths:
            load_file(config_file=paths, context=access.context, client_configuration=settings)
        else:
            raise ApiError(_NO_KUBECONFIG, final=True)
    except config.ConfigException as error:
        raise ApiError(f"the kubeconfig is invalid: {shown(error, 300)}", final=True) from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ApiError(f"the kubeconfig cannot be read: {type(error).__name__}: {shown(error)}", final=True) from None


def _token(settings: Configuration) -> list[str]:
    """The secrets in a client's configuration."""
    found = [text.split()[-1] for text in settings.api_key.values() if text]
    return [*found, *([settings.password] if settings.password else [])]


def _when(event: Event) -> str:
    """When an event was last seen, as ISO 8601 in UTC, which sorts as text."""
    return str(event.get("lastTimestamp") or event.get("eventTime") or event["metadata"].get("creationTimestamp") or "")
