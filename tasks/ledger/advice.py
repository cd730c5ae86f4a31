"""What to do when a check of the ledger finds a problem, in the words of the forge's settings pages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..base.problem import doit
from .check import Check, Found

if TYPE_CHECKING:
    from ..base.ci import Kind
    from ..base.problem import Steps
    from ..project.model import Ledger


def headline(found: Check) -> str:
    """The outcome of a check, in one sentence."""
    text = {
        Found.WRITABLE: "this job can read and write the ledger at {}",
        Found.ABSENT: "there is no ledger at {}",
        Found.UNREADABLE: "this job is not allowed to read the ledger at {}",
        Found.READABLE: "this job can read the ledger at {}, but may not write to it",
        Found.UNREACHABLE: "the ledger at {} does not respond",
        Found.UNCONDITIONAL: "two deploys could overwrite each other's records at {}",
        Found.BROKEN: "what is at {} is not a ledger, or is damaged",
        Found.FAILED: "the ledger at {} cannot be used",
    }[found.found].format(found.name)
    return f"{text}: {found.said}" if found.said else text


def next_step(found: Check, settings: Ledger, environment: str, forge: Kind) -> Steps:
    """What to do next; empty if the ledger can be written, or if there is no general advice."""
    git = settings.kind == "git"
    if found.found is Found.ABSENT:
        where = "restore the branch" if git else "restore its files"
        return ("if nothing was ever recorded here, ", doit("ledger", "init"), f" creates it; otherwise {where}")
    if found.found is Found.READABLE:
        return _write(settings, environment, forge) if git else f"let {_store_credential(settings)} write there"
    if found.found is Found.UNREADABLE:
        return _read(forge) if git else f"let {_store_credential(settings)} read there"
    if found.found is Found.UNCONDITIONAL:
        return "use a store that honours `If-Match`, or `ledger: {kind: git}`; GitLab's generic packages do not"
    if found.found is Found.BROKEN:
        return (doit("audit"), " shows the first bad entry; docs/ledger.md explains how to repair it")
    return ()


def _read(forge: Kind) -> str:
    if forge == "gitlab":
        return "in Settings > CI/CD > Job token permissions, let this project's jobs read the repository"
    if forge == "github":
        return "give the job `permissions: {contents: read}`"
    return "let the clone's credentials read the repository"


def _write(settings: Ledger, environment: str, forge: Kind) -> str:
    branch = settings.ref.replace("{environment}", environment).removeprefix("refs/heads/")
    if forge == "gitlab":
        return (
            "in Settings > Access tokens, create a project access token with the scope `write_repository`. In Settings"
            f" > Repository > Protected branches, protect `{branch}`: its bot alone is allowed to push and merge, and"
            f" force push is off. In Settings > CI/CD > Variables, set the token as {settings.token}: masked,"
            f" protected, with the environment scope `{environment}`"
        )
    if forge == "github":
        return (
            f"in Settings > Rules > Rulesets, add a branch ruleset for `{branch}` that restricts creations, updates"
            " and deletions and blocks force pushes, with the ledger's GitHub App or deploy key in its bypass list."
            f" In Settings > Environments > {environment}, set its token as the secret {settings.token}"
        )
    return f"let the account of {settings.token}, and no other, push to `{branch}`, without force"


def _store_credential(settings: Ledger) -> str:
    return f"the token in {settings.token}" if (settings.url or "").startswith("http") else "these credentials"
