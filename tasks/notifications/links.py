"""Where a run can be looked at, when it is a CI's."""

from __future__ import annotations

import os


def run_link() -> str:
    """The URL of the job, else of the pipeline or workflow run; empty outside of CI.

    https://docs.gitlab.com/ci/variables/predefined_variables/ and
    https://docs.github.com/en/actions/reference/workflows-and-actions/variables name the variables.
    """
    for name in ("CI_JOB_URL", "CI_PIPELINE_URL"):
        if url := os.environ.get(name):
            return url
    parts = [os.environ.get(name, "") for name in ("GITHUB_SERVER_URL", "GITHUB_REPOSITORY", "GITHUB_RUN_ID")]
    return "{}/{}/actions/runs/{}".format(*parts) if all(parts) else ""
