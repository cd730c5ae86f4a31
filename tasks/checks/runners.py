"""The `gitlab_runner` and `github_runner` checks: the expected runners are registered and online."""

from __future__ import annotations

import shlex
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from fnmatch import fnmatchcase
from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self
from urllib.parse import quote

from pydantic import Field, field_validator, model_validator

from ..base import urls
from ..base.model import Seconds
from ..base.version import VersionConstraint
from .check import Check, Observation, SecretName, shown

if TYPE_CHECKING:
    from ..base.http import Client, NoAnswerError
    from .check import Look

_FEW = 3
_LONGEST_PAUSE, _USUAL_PAUSE = 60.0, 5.0
_SUCCESS = 2  # 2xx
_OPTIONAL = (HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND)


@dataclass(frozen=True)
class Runner:
    """A runner of either forge; what a forge does not report is None."""

    name: str
    online: bool
    status: str
    tags: frozenset[str] = field(default_factory=frozenset)
    paused: bool = False
    versions: tuple[str, ...] = ()
    contacted: datetime | None = None


class _RunnerCheck(Check):
    """The keys of both kinds."""

    timeout: Seconds = Field(120, description="Seconds until the check has failed; 0 looks once.")
    interval: Annotated[float, Field(gt=0, le=3600)] = Field(3, description="Seconds between the first two looks.")
    runner: str = Field("*", description="A glob for the runner's description or name.")
    tags: list[str] = Field(default_factory=list, description="Tags (labels) that it must all have.")
    count: Annotated[int, Field(ge=1)] = Field(1, description="The minimum number of such runners.")

    if TYPE_CHECKING:
        api: str
        token: str
    _HEADER: ClassVar[str]

    def title(self) -> str:
        """Which runners it looks at."""
        return f"runners of {self._place}" + (f" ({', '.join(self.tags)})" if self.tags else "")

    def commands(self) -> tuple[str, ...]:
        """The same request as a curl command; the token stays in its variable."""
        return (f'curl -sS -H "{self._HEADER}${self.token}" {shlex.quote(self._base + self._path)}',)

    def observe(self, look: Look) -> Observation:
        """List the runners once; requests are not retried, because the check looks again anyway."""
        from ..base.http import Client, NoAnswerError

        token = look.secret(self.token)
        if token is None:
            return Observation(False, f"the environment variable {self.token} is not set", final=True)
        look.mask.add(urls.secrets(self.api))
        look.note("the API did not answer in time")
        name, _, scheme = self._HEADER.partition(": ")
        client = Client(
            look.stop.wait, base=self._base, secret={name: scheme + token, "Accept": "application/json"},
            seconds=look.seconds, tries=1, timeout=look.seconds, moved=_moved,
        )  # fmt: skip
        with closing(client):
            try:
                found = self._found(client, look)
            except NoAnswerError as error:
                return self._failure(error)
        return self._judge(found, self._place)

    @property
    def _base(self) -> str:
        return self.api.rstrip("/")

    @property
    def _place(self) -> str:
        """Where the runners are registered."""
        raise NotImplementedError

    @property
    def _path(self) -> str:
        """The path of the list in the API."""
        raise NotImplementedError

    def _found(self, api: Client, look: Look) -> list[tuple[Runner, str | None]]:
        """The matching runners, each with what is wrong with it."""
        raise NotImplementedError

    def _failure(self, error: NoAnswerError) -> Observation:
        answer, token = error.answer, f"the token in {self.token}"
        if answer is None or answer.status // 100 == _SUCCESS:
            return Observation(False, f"{urls.shown(self.api)}: {error}", commands=self.commands())
        status, asked, final, pause = answer.status, answer.asked_pause, False, 0.0
        if status == HTTPStatus.TOO_MANY_REQUESTS or (status == HTTPStatus.FORBIDDEN and asked is not None):
            pause = min(_USUAL_PAUSE if asked is None else asked, _LONGEST_PAUSE)
            text = f"too many requests ({status}), next try after {pause:g} s"
        elif status == HTTPStatus.UNAUTHORIZED:
            text, final = f"{token} is not accepted (401): expired or invalid", True
        elif status == HTTPStatus.FORBIDDEN:
            text, final = f"{token} may not read this (403)", True
        elif status == HTTPStatus.NOT_FOUND:
            text = f"not found, or {token} may not see it (404)"
        else:
            text = f"status {status}: {shown(answer.content.decode('utf-8', 'replace'))}"
        text = f"{urls.shown(answer.url)}: {text}"
        return Observation(False, text, final=final, commands=self.commands(), pause=pause)

    def _judge(self, found: list[tuple[Runner, str | None]], place: str) -> Observation:
        """Whether enough runners are as expected, and what is wrong with the others."""
        good = [runner.name for runner, problem in found if problem is None]
        text = f"{len(good)} of {len(found)} runner{'s' if len(found) != 1 else ''} of {place} as expected"
        if len(good) >= self.count:
            return Observation(True, f"{text}: {', '.join(sorted(good)[:_FEW])}")
        wanted = f" with the tags {', '.join(self.tags)}" if self.tags else ""
        if not found:
            named = "" if self.runner == "*" else f" '{self.runner}'"
            return Observation(False, f"no runner{named}{wanted} is registered in {place}")
        bad = [f"{runner.name}: {problem}" for runner, problem in found if problem is not None]
        more = f" and {len(bad) - _FEW} more" if len(bad) > _FEW else ""
        return Observation(False, f"{text}, {self.count} required; {'; '.join(bad[:_FEW])}{more}")

    def _meant(self, runner: Runner) -> bool:
        return fnmatchcase(runner.name, self.runner)

    def _lacks(self, runner: Runner) -> str | None:
        missing = sorted(set(self.tags) - runner.tags)
        return f"missing tag {', '.join(missing)}" if missing else None


class GitlabRunnerCheck(_RunnerCheck):
    """True if runners are registered with GitLab, online, and have contacted it since the deploy began."""

    _HEADER = "PRIVATE-TOKEN: "

    kind: Literal["gitlab_runner"] = Field(description="`gitlab_runner`.")
    api: str = Field("${CI_API_V4_URL:-https://gitlab.com/api/v4}", description="The API's base URL.")
    project: int | str | None = Field(None, description="The project whose runners to check, by number or path.")
    group: int | str | None = Field(
        None, description="Or the group. Without either: the runners of the instance, which needs an admin token."
    )
    token: SecretName = Field(
        "GITLAB_TOKEN",
        description="The environment variable that holds a token with the scope `read_api`; a job token does not work.",
    )
    version: str | None = Field(None, description="The runner's version, or a constraint such as `>=17, <19`.")
    paused: bool = Field(False, description="Whether it must be paused.")
    contacted_within: Seconds = Field(
        900, description="The runner must have contacted GitLab within this many seconds, and after the deploy began."
    )

    @model_validator(mode="after")
    def _is_one_scope(self) -> Self:
        if self.project is not None and self.group is not None:
            raise ValueError("set `project` or `group`, not both")
        return self

    @field_validator("version")
    @classmethod
    def _is_a_constraint(cls, value: str | None) -> str | None:
        if value is not None and "{" not in value:
            VersionConstraint.parse(value)
        return value

    @property
    def _place(self) -> str:
        if self.project is not None:
            return f"project {self.project}"
        return f"group {self.group}" if self.group is not None else "the instance"

    @property
    def _path(self) -> str:
        if self.project is not None:
            return f"/projects/{quote(str(self.project), safe='')}/runners"
        return f"/groups/{quote(str(self.group), safe='')}/runners" if self.group is not None else "/runners/all"

    def _found(self, api: Client, look: Look) -> list[tuple[Runner, str | None]]:
        """List the runners, and fetch each one that matches (https://docs.gitlab.com/api/runners/)."""
        query = {"tag_list": ",".join(self.tags)} if self.tags else {}
        found = [self._read(api, item["id"]) for item in api.items(self._path, query) if self._listed(item)]
        skew = _skew(api)
        return [(runner, self._problem(runner, look, skew)) for runner in found]

    def _listed(self, item: dict[str, Any]) -> bool:
        names = (item.get("description") or "", item.get("name") or "")
        return any(fnmatchcase(name, self.runner) for name in names)

    def _read(self, api: Client, number: int) -> Runner:
        """A runner with its managers: the machines behind one registration, which report the versions."""
        from ..base.http import RefusedError

        item = api.request("GET", f"/runners/{number}").json()
        try:
            managers = list(api.items(f"/runners/{number}/managers", {}))
        except RefusedError as error:
            if error.answer.status not in _OPTIONAL:
                raise
            managers = []
        contacts = [_moment(entry.get("contacted_at")) for entry in (item, *managers)]
        status = str(item.get("status") or "unknown")
        paused = item.get("paused")
        live = [entry for entry in managers if entry.get("status") == "online"] or managers or [item]
        return Runner(
            f"{item.get('description') or item.get('name') or 'runner'} (#{number})", status == "online", status,
            frozenset(item.get("tag_list") or ()), item.get("active") is False if paused is None else bool(paused),
            tuple(sorted({str(entry["version"]) for entry in live if entry.get("version")})),
            max((moment for moment in contacts if moment), default=None),
        )  # fmt: skip

    def _problem(self, runner: Runner, look: Look, skew: timedelta) -> str | None:
        """What is wrong with a runner; its status "online" may be two hours old."""
        if problem := self._lacks(runner):
            return problem
        if runner.paused is not self.paused:
            return "it is paused" if runner.paused else "it is not paused"
        if not runner.online:
            return f"it is {runner.status}"
        if runner.contacted is None:
            return "it has never contacted GitLab"
        if look.since is not None and runner.contacted < look.since + skew:
            return f"its last contact was at {runner.contacted:%H:%M:%S} UTC, before the deploy began"
        age = (datetime.now(UTC) + skew - runner.contacted).total_seconds()
        if age > self.contacted_within:
            return f"its last contact was {age:.0f} s ago, expected within {self.contacted_within:g} s"
        if self.version is not None:
            constraint = VersionConstraint.parse(self.version)
            wrong = [version for version in runner.versions if not constraint.allows(version)]
            if wrong or not runner.versions:
                return f"its version is {', '.join(wrong) or 'not known'}, expected {self.version}"
        return None


class GithubRunnerCheck(_RunnerCheck):
    """True if self-hosted runners are registered with GitHub and online."""

    _HEADER = "Authorization: Bearer "

    kind: Literal["github_runner"] = Field(description="`github_runner`.")
    api: str = Field("${GITHUB_API_URL:-https://api.github.com}", description="The API's base URL.")
    repository: str | None = Field(None, description="The repository whose runners to check, `OWNER/NAME`.")
    organization: str | None = Field(None, description="Or the organization.")
    enterprise: str | None = Field(None, description="Or the enterprise.")
    token: SecretName = Field(
        "GITHUB_TOKEN", description="The environment variable that holds a token that may read runners."
    )
    busy: bool | None = Field(None, description="True: it must be running a job. False: it must be idle.")

    @model_validator(mode="after")
    def _is_one_scope(self) -> Self:
        if sum(scope is not None for scope in (self.repository, self.organization, self.enterprise)) != 1:
            raise ValueError("set exactly one of `repository`, `organization` and `enterprise`")
        return self

    @property
    def _place(self) -> str:
        return str(self.repository or self.organization or self.enterprise)

    @property
    def _path(self) -> str:
        if self.repository is not None:
            scope = f"/repos/{quote(self.repository)}"
        elif self.organization is not None:
            scope = f"/orgs/{quote(self.organization, safe='')}"
        else:
            scope = f"/enterprises/{quote(str(self.enterprise), safe='')}"
        return f"{scope}/actions/runners"

    def _found(self, api: Client, look: Look) -> list[tuple[Runner, str | None]]:  # noqa: ARG002 - GitHub does not say when
        """List the runners (https://docs.github.com/en/rest/actions/self-hosted-runners)."""
        found = [_github(item) for item in api.items(self._path, {}, within="runners")]
        meant = [(runner, busy) for runner, busy in found if self._meant(runner) and not self._lacks(runner)]
        return [(runner, self._problem(runner, busy)) for runner, busy in meant]

    def _problem(self, runner: Runner, busy: bool) -> str | None:
        if not runner.online:
            return f"it is {runner.status}"
        if self.busy is not None and busy is not self.busy:
            return "it is busy" if busy else "it is idle"
        return None


def _github(item: dict[str, Any]) -> tuple[Runner, bool]:
    status = str(item.get("status") or "unknown")
    labels = frozenset(str(label["name"]) for label in item.get("labels") or ())
    return Runner(shown(item.get("name") or item.get("id")), status == "online", status, labels), bool(item.get("busy"))


def _moved(_method: str, _url: str, target: str) -> None:
    from ..base.http import NoAnswerError

    raise NoAnswerError(f"redirected to {urls.shown(target)}; set `api` to that address")


def _skew(api: Client) -> timedelta:
    """How far the API's clock is ahead of ours, according to its last response."""
    try:
        ahead = parsedate_to_datetime(api.last.headers["Date"] if api.last else "") - datetime.now(UTC)
    except (KeyError, ValueError, TypeError):
        return timedelta()
    return ahead if abs(ahead) >= timedelta(seconds=2) else timedelta()  # the header has no fractions


def _moment(text: Any) -> datetime | None:
    try:
        return datetime.fromisoformat(str(text)).astimezone(UTC) if text else None
    except ValueError:
        return None
