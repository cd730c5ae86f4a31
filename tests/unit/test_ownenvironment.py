"""Secrets of our environment: not in what the system shows of this process, and still there for whoever needs them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
SHOW = """
import ctypes, json, os, subprocess, sys
from tasks.base import ownenvironment
ownenvironment.hide(json.loads(sys.argv[1]))
reader = "import os; print(repr(open(f'/proc/{os.getppid()}/environ', 'rb').read()))"
shown = subprocess.run([sys.executable, "-c", reader], env={}, capture_output=True, text=True, check=True).stdout
getenv = ctypes.CDLL(None).getenv
getenv.restype = ctypes.c_char_p
names = json.loads(sys.argv[2])
print(json.dumps({
    "shown": shown,
    "python": {name: os.environ.get(name) for name in names},
    "c": {name: (getenv(name.encode()) or b"").decode(errors="surrogateescape") for name in names},
    "child": subprocess.run(["env"], capture_output=True, text=True, check=True).stdout,
}))
"""
VALUES = ["correct-horse-battery-staple=", "a=b=c", "x" * 100_000, "zwei\nZeilen", "ü"]


@pytest.mark.parametrize("value", VALUES)
def test_a_hidden_secret_is_shown_to_no_child_and_stays_where_it_is_needed(value: str) -> None:
    environment = {"FIRST": "first", "KEY": value, "LAST": "last", "PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        [sys.executable, "-c", SHOW, '["KEY", "ABSENT"]', '["FIRST", "KEY", "LAST"]'], cwd=ROOT, env=environment,
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    found = json.loads(done.stdout)
    assert "KEY=" not in found["shown"]
    assert value.encode().decode("latin1")[:50] not in found["shown"]
    assert repr(value.encode())[2:30] not in found["shown"]
    assert "FIRST=first" in found["shown"]
    assert "LAST=last" in found["shown"]
    assert found["python"] == found["c"] == {"FIRST": "first", "KEY": value, "LAST": "last"}
    assert f"KEY={value}" in found["child"]


def test_a_variable_of_almost_the_same_name_is_left() -> None:
    environment = {"KEY": "secret-value", "KEYS": "kept", "A_KEY": "KEY=secret-value"}
    done = subprocess.run(
        [sys.executable, "-c", SHOW, '["KEY"]', "[]"], cwd=ROOT, env={**environment, "PATH": "/usr/bin:/bin"},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    shown = json.loads(done.stdout)["shown"]
    assert "KEYS=kept" in shown
    assert shown.count("secret-value") == 1  # in A_KEY, which nobody asked to hide


def test_where_the_system_does_not_say_where_it_is_nothing_happens() -> None:
    script = (
        "from pathlib import Path\nfrom tasks.base import ownenvironment\nimport os\n"
        "ownenvironment._STAT = Path('/nowhere')\nownenvironment.hide(['KEY'])\nprint(os.environ['KEY'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, env={"KEY": "x"}, capture_output=True, text=True, check=True
    )
    assert done.stdout == "x\n"
