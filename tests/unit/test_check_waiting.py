"""Waiting for a check: until it is true as often as asked, in vain, at once, stopped, stuck; many at the same time."""

from __future__ import annotations

import _thread
import itertools
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from tasks.checks import waiting
from tasks.checks.check import Check, Look, Observation
from tasks.checks.command import CommandCheck
from tasks.checks.tcp import TcpCheck
from tasks.verify import tell
from tests.repository import alive
from tests.servers.web import Server, answer

if TYPE_CHECKING:
    from tests.unit.site import Site

PATIENT = 60.0


class Scripted(Check):
    """Finds what the test says, look by look; the last one stays."""

    kind: str = "scripted"
    script: ClassVar[list[Callable[[Look], Observation]]] = []
    times: ClassVar[list[float]] = []

    def observe(self, look: Look) -> Observation:
        self.times.append(time.monotonic())
        return self.script[min(len(self.times), len(self.script)) - 1](look)


@pytest.fixture
def scripted() -> Callable[..., Scripted]:
    """A check with a script: `+` is true, `-` is not, `!` is in vain for good."""
    signs = {"+": (True, "up", False), "-": (False, "down", False), "!": (False, "gone", True)}

    def make(script: str, **keys: Any) -> Scripted:
        Scripted.times.clear()
        Scripted.script[:] = [lambda _, found=signs[sign]: Observation(*found) for sign in script]
        return Scripted(**{"timeout": PATIENT, "interval": 0.01, "backoff": 1, **keys})

    return make


def test_a_flapping_service_is_not_taken_for_a_healthy_one(scripted: Callable[..., Scripted], site: Site) -> None:
    found = site.wait(scripted("+-+-++-+++", consecutive=3))
    assert (found.passed, found.looks) == (True, 10)
    flapping = site.wait(scripted("+-" * 500, consecutive=2, timeout=0.2))
    assert not flapping.passed
    assert flapping.looks > 2


def test_too_few_looks_in_a_row_are_said(scripted: Callable[..., Scripted], site: Site) -> None:
    found = site.wait(scripted("+", consecutive=5, timeout=0))
    assert found.text == "up (true 1 of 5 times in a row; looked once)"


def test_the_time_that_was_spent_is_said_and_not_the_time_that_was_allowed(
    scripted: Callable[..., Scripted], site: Site
) -> None:
    found = site.wait(scripted("-", timeout=PATIENT, interval=PATIENT + 1))
    assert found.text == "down (last of 1 look in 0 s)"
    assert found.seconds < PATIENT / 2


def test_a_final_observation_ends_the_wait_at_once(scripted: Callable[..., Scripted], site: Site) -> None:
    found = site.wait(scripted("-!", timeout=86_400))
    assert (found.passed, found.looks) == (False, 2)
    assert found.text.startswith("gone (gave up: waiting will not change this")


def test_the_interval_grows_up_to_its_limit(scripted: Callable[..., Scripted], site: Site) -> None:
    assert site.wait(scripted("-----+", interval=0.02, backoff=3, max_interval=0.1)).passed
    times = Scripted.times
    pauses = [after - before for before, after in itertools.pairwise(times)]
    assert pauses[0] >= 0.02
    assert pauses[1] >= 0.06
    assert all(pause >= 0.1 for pause in pauses[2:])


def test_what_asks_for_a_pause_gets_it(scripted: Callable[..., Scripted], site: Site) -> None:
    asked = scripted("+")
    Scripted.script[:] = [lambda _: Observation(False, "429", pause=0.3), lambda _: Observation(True, "up")]
    assert site.wait(asked).passed
    assert Scripted.times[1] - Scripted.times[0] >= 0.3


def test_a_stop_ends_the_wait_at_once_even_in_a_look_that_is_stuck(
    scripted: Callable[..., Scripted], site: Site
) -> None:
    asked, stuck, ended = scripted("+", look_timeout=3600, timeout=86_400), threading.Event(), threading.Event()

    def hang(look: Look) -> Observation:
        look.note("in a name lookup")
        stuck.set()
        ended.wait(PATIENT)
        return Observation(True, "too late")

    Scripted.script[:] = [hang]
    threading.Thread(target=lambda: (stuck.wait(PATIENT), site.stop._handle(signal.SIGTERM, None))).start()
    found = site.wait(asked)
    ended.set()
    assert (found.passed, found.text) == (False, "in a name lookup (stopped)")


def test_a_look_that_is_stuck_is_given_up_and_tells_how_far_it_came(
    scripted: Callable[..., Scripted], site: Site
) -> None:
    asked, ended = scripted("+", look_timeout=0.05, timeout=0), threading.Event()
    Scripted.script[:] = [lambda look: (look.note("asked"), ended.wait(PATIENT), Observation(True, "late"))[2]]
    found = site.wait(asked)
    ended.set()
    assert (found.passed, found.text) == (False, "asked (looked once)")


def test_an_exception_in_a_check_is_an_observation(scripted: Callable[..., Scripted], site: Site) -> None:
    asked = scripted("+", timeout=0)
    Scripted.script[:] = [lambda _: Observation(met=1)]  # type: ignore[call-arg]
    assert site.wait(asked).text.startswith("TypeError: ")


def test_50_checks_at_once_take_no_longer_than_the_slowest_in_turn_would(site: Site) -> None:
    """Each answer is held back until all 50 were asked for: one after the other, none would ever be given."""
    server, everybody = Server(), threading.Barrier(50)

    def together(request: Any) -> None:
        everybody.wait(PATIENT)
        answer(200)(request)

    server.answers["/x"] = together
    from concurrent.futures import ThreadPoolExecutor

    from tasks.checks.http import HttpCheck

    checks = [HttpCheck(kind="http", url=server.url("/x"), timeout=PATIENT, look_timeout=PATIENT) for _ in range(50)]
    with ThreadPoolExecutor(50) as pool:
        found = list(pool.map(site.wait, checks))
    server.close()
    assert [outcome.passed for outcome in found] == [True] * 50
    assert sum(outcome.seconds for outcome in found) > 5 * max(outcome.seconds for outcome in found)


def test_progress_names_what_still_waits_and_what_it_saw_last() -> None:
    waits = [
        waiting.Progress("a", seen="down"),
        waiting.Progress("b", ended=True),
        waiting.Progress("c", seen="refused"),
    ]
    assert tell(waits) == "2 of 3 checks pending: a: down; c: refused"
    assert tell(waits[1:2]) == ""


# tcp and command


def test_a_port_that_takes_connections(site: Site) -> None:
    server = Server()
    asked = TcpCheck(kind="tcp", host="127.0.0.1", port=server.server_port, timeout=0)
    assert site.wait(asked).passed
    server.close()
    found = site.wait(asked)
    assert found.text.startswith("connection refused (")
    assert found.commands == (f"nc -vz 127.0.0.1 {asked.port}",)


def test_a_port_of_no_host(site: Site) -> None:
    asked = TcpCheck(kind="tcp", host="no-such-host.invalid", port="80", timeout=0)
    assert site.wait(asked).text.startswith("the host name cannot be resolved")
    assert "is not a port number" in site.wait(TcpCheck(kind="tcp", host="x", port="http", timeout=3600)).text


def run(site: Site, *command: str, **keys: Any) -> waiting.Outcome:
    """Run a command check once."""
    return site.wait(CommandCheck(kind="command", command=list(command), **{"timeout": 0, **keys}))


def test_a_command_is_true_when_it_ends_as_expected(site: Site) -> None:
    assert run(site, "sh", "-c", "exit 0").passed
    assert run(site, "sh", "-c", "exit 3", exit_code=3).passed
    found = run(site, "sh", "-c", "echo first; echo why it failed >&2; exit 3")
    assert found.text == "exited with 3: why it failed (looked once)"


def test_no_shell_reads_a_command(site: Site) -> None:
    assert run(site, "echo", "$(id)", ";", "x").text == "exited with 0: $(id) ; x"


def test_a_command_that_hangs_is_ended_with_all_that_it_started(site: Site) -> None:
    found = run(site, "sh", "-c", "sleep 61 & echo $! > pid; wait", look_timeout=0.3)
    assert found.text.startswith("took longer than 0.3 s")
    pid = (site.root / "pid").read_text().strip()
    end = time.monotonic() + 10
    while alive(pid):
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_command_that_is_not_there_ends_the_wait(site: Site) -> None:
    found = run(site, "no-such-program", timeout=3600)
    assert (found.passed, found.looks) == (False, 1)
    assert found.text.startswith("cannot run: No such file")


def test_a_stop_ends_a_command(site: Site) -> None:
    threading.Thread(target=lambda: (_appears(site), site.stop._handle(signal.SIGTERM, None))).start()
    found = run(site, "sh", "-c", "touch began; sleep 61", timeout=3600, look_timeout=3600)
    assert not found.passed
    assert found.text == "was ended (stopped)"
    assert found.seconds < 30


def _appears(site: Site) -> None:
    while not (site.root / "began").exists():
        time.sleep(0.01)


class Later(Check):
    """A check whose second look is true."""

    seen: ClassVar[dict[str, int]] = {}

    def observe(self, look: Look) -> Observation:
        """Look."""
        del look
        name = str(self.name)
        self.seen[name] = self.seen.get(name, 0) + 1
        return Observation(self.seen[name] > 1, f"look {self.seen[name]}")


def test_a_check_between_two_looks_has_no_thread_and_a_stop_reaches_it(site: Site) -> None:
    Later.seen.clear()
    checks = [Later(kind="later", name=f"c{number}", interval=60, timeout=600) for number in range(300)]
    progress = [waiting.Progress(str(check.name)) for check in checks]
    found: list[waiting.Outcome] = []
    waits = threading.Thread(target=lambda: found.extend(waiting.all_of(checks, site.look, progress)))
    before = _thread._count()
    waits.start()
    began = time.process_time()
    while any(state.looks == 0 for state in progress) or _thread._count() > before + 1:
        assert time.process_time() - began < PATIENT
        time.sleep(0.01)
    assert found == []
    site.stop._handle(signal.SIGTERM, None)
    waits.join(PATIENT)
    assert [outcome.text for outcome in found] == ["look 1 (stopped)"] * 300
    assert [outcome.title for outcome in found] == [check.name for check in checks]


def test_a_kind_is_prepared_once_before_the_first_look(site: Site) -> None:
    happened: list[str] = []

    class Prepared(Check):
        """A kind whose library is missing."""

        kind: str = "prepared"

        @classmethod
        def prepare(cls) -> None:
            happened.append("prepared")
            raise ImportError("no such library")

        def observe(self, look: Look) -> Observation:
            del look
            happened.append("look")
            return Observation(True, "up")

    found = waiting.all_of([Prepared() for _ in range(20)], site.look, [waiting.Progress("") for _ in range(20)])
    assert all(outcome.passed for outcome in found)
    assert happened == ["prepared"] + ["look"] * 20


def test_crowds_of_looks_have_longer_turns_until_the_last_has_ended() -> None:
    usual = sys.getswitchinterval()
    with waiting._turns(10):
        assert sys.getswitchinterval() == usual
    one, other = waiting._turns(5_000), waiting._turns(5_000)
    with one:
        other.__enter__()
    assert sys.getswitchinterval() > usual
    other.__exit__(None, None, None)
    assert sys.getswitchinterval() == usual


def test_a_look_begins_without_waiting_for_its_thread(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def waited_for(self: threading.Thread) -> None:
        raise AssertionError(f"{self.name} is waited for when it starts")

    monkeypatch.setattr(threading.Thread, "start", waited_for)
    checks = [Later(kind="later", name=f"s{number}", timeout=0) for number in range(3)]
    assert len(waiting.all_of(checks, site.look, [waiting.Progress("") for _ in checks])) == 3


def test_many_checks_at_once_each_keep_their_own_pace(site: Site) -> None:
    Later.seen.clear()
    checks = [Later(kind="later", name=f"c{number}", interval=0.2, timeout=60) for number in range(300)]
    found = waiting.all_of(checks, site.look, [waiting.Progress("") for _ in checks])
    assert all(outcome.passed for outcome in found)
    assert {outcome.looks for outcome in found} == {2}
