"""What to do next after a builder failed, told from what builders have really said."""

from __future__ import annotations

import pytest

from tasks.builds import hints


@pytest.mark.parametrize(
    ("said", "step"),
    [
        ("process failed to start with error: fork/exec /hello: exec format error", "qemu-user-static"),
        ("#5 0.059 exec /hello: exec format error", "qemu-user-static"),
        ("Reading allowed ID mappings: no subuid ranges found for user", "usermod --add-subuids"),
        ("error setting supplemental groups list: operation not permitted", "usermod --add-subuids"),
        (
            "checking whether a blob exists in x/y: unauthorized: authentication required",
            "the user of A and B may write",
        ),
        ("unexpected status from HEAD request to http://x/v2/y: 401 Unauthorized", "the user of A and B may write"),
        ("denied: requested access to the resource is denied", "the user of A and B may write"),
        ("toomanyrequests: You have reached your pull rate limit", "later"),
        ("received unexpected HTTP status: 503 Service Unavailable", "later"),
        ('COPY nowhere /x: no such file or directory "nowhere"', "fix the cause"),
    ],
)
def test_the_next_step_is_that_of_the_symptom(said: str, step: str) -> None:
    assert step in hints.next_step(f"STEP 1\n{said}\nmore\n", "A and B")


def test_without_a_login_nobodys_rights_are_asked_for() -> None:
    assert "an anonymous user may write" in hints.next_step("denied: no", None)
