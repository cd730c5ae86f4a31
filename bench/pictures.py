"""Takes the pictures of docs/images: `python bench/pictures.py [FOLDER] [--tree TREE]`.

It needs `tofu`, node and chromium on PATH, the built app (`tools/app build`), and the packages of the browser tests
(`tests/browser`). The console and the comments are of real runs in a repository of 50 stacks, the dashboard is of the
records of `estate.py`. `--tree` takes them of another working tree, to compare with it; its records may have another
format, so `--records` can name some.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import pty
import re
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import termios
import time
import urllib.request
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from estate import Estate
from markdown_it import MarkdownIt
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_by_name
from pygments.util import ClassNotFound
from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent
COLUMNS = (60, 100, 200)
GROUPS = {
    "network": ("vpc", "dns", "peering", "firewall", "transit"),
    "platform": ("cluster", "ingress", "runners", "registry", "monitoring", "vault", "backup", "logging", "tracing"),
    "data": ("orders-db", "events", "warehouse", "cache", "lake", "customer-accounts-replica"),
    "apps": ("shop", "checkout", "search", "mail", "api", "billing", "catalog", "admin", "notifications", "accounts"),
    "edge": tuple(f"region-{name}" for name in ("eu-west-1", "eu-central-1", "us-east-1", "us-west-2", "ap-south-1")),
    "ci": tuple(f"builder-{number:02}" for number in range(1, 16)),
}
STACKS = [f"{group}/{name}" for group, names in GROUPS.items() for name in names]
BROKEN = """
resource "terraform_data" "bucket" {
  provisioner "local-exec" {
    command = "echo 'BucketAlreadyExists: the requested bucket name is not available' >&2; exit 1"
  }
}
"""
STYLE = """
body { margin: 0; background: #fff; color: #1f2328; font: 14px/1.5 "Noto Sans", "DejaVu Sans", sans-serif }
main { width: 860px; padding: 16px 20px; overflow-wrap: break-word }
h2, h3 { border-bottom: 1px solid #d1d9e0b3; padding-bottom: .3em; margin: 20px 0 12px }
table { border-collapse: collapse; margin-bottom: 14px } th, td { border: 1px solid #d1d9e0; padding: 5px 12px }
code { background: #818b981f; border-radius: 6px; padding: .15em .4em; font: 12px "DejaVu Sans Mono", monospace }
pre { background: #f6f8fa; border-radius: 6px; padding: 12px; overflow: auto; font: 12px/1.45 "DejaVu Sans Mono" }
pre code { background: none; padding: 0 } .gd { background: #ffebe9 } .gi { background: #dafbe1 } .gu { color: #8250df }
a { color: #0969da }
blockquote { border-left: 4px solid #d1d9e0; margin: 0; padding-left: 1em }
"""
Job = dict[str, Any]


def main() -> None:
    """Take them all."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("folder", type=Path, nargs="?", default=ROOT / "docs/images")
    options.add_argument("--tree", type=Path, default=ROOT)
    options.add_argument("--records", type=Path, help="records for the dashboard instead of new ones")
    chosen = options.parse_args()
    missing = [name for name in ("tofu", "node", "chromium") if not shutil.which(name)]
    if missing:
        sys.exit(f"not on PATH: {', '.join(missing)}")
    chosen.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        records = chosen.records or work / "estate"
        if not chosen.records:
            Estate(records, datetime.now(UTC)).write(300)
        jobs = [*consoles(chosen.tree, work, chosen.folder)]
        with dashboard(chosen.tree, records) as origin:
            take([*jobs, *pages(origin, records, chosen.folder)], work)


def consoles(tree: Path, work: Path, folder: Path) -> Iterator[Job]:
    """A deploy of 50 stacks of which one fails, and the comments of a plan that destroys and of that deploy."""
    root = repository(tree, work)
    with (root / "stacks/platform/registry/main.tf").open("a") as stream:
        stream.write(BROKEN)
    git(root, "commit", "--all", "--message=registry")
    for columns in COLUMNS:
        shutil.rmtree(root / ".deploy", ignore_errors=True)
        shutil.rmtree(root / ".state", ignore_errors=True)
        page = work / f"console-{columns}.html"
        page.write_text(rendered(on_terminal(root, columns, "deploy"), columns))
        yield {"url": page.as_uri(), "to": str(folder / f"console-{columns}.webp"), "width": 1700, "select": "pre"}
    reports = root / ".deploy/local/reports"
    comments = {}
    for name in ("deploy", "plan"):
        if name == "plan":
            (root / "stacks/apps/shop/main.tf").write_text(stack("apps/shop", 1, "4"))
            (root / "stacks/data/cache/main.tf").write_text(stack("data/cache", 3, "9"))
            on_terminal(root, 100, "plan")
        report = reports / f"{name}.md"
        comments[name] = report.read_text() if report.exists() else (reports / "plan.md").read_text()
    for name, text in comments.items():
        page = work / f"comment-{name}.html"
        page.write_text(comment(text))
        yield {"url": page.as_uri(), "to": str(folder / f"comment-{name}.webp"), "width": 900, "height": 1200}


def pages(origin: str, records: Path, folder: Path) -> Iterator[Job]:
    """The pages of the dashboard, on a desk and on a phone, in both themes."""
    failed = latest(records)
    paths = {
        "overview": "/",
        "environment": "/env/prod",
        "run": f"/env/{failed['environment']}/runs/{failed['id']}",
        "stack": f"/env/{failed['environment']}/stacks/{failed['stack']}",
        "drift": "/env/staging/drift",
        "trends": "/env/prod/trends",
        "compare": "/compare?one=staging&other=prod",
        "search": "/search?q=vpc",
    }
    for name, path in paths.items():
        for scheme in ("light", "dark"):
            for kind, width, height in (("", 1280, 900), ("-phone", 390, 844)):
                to = folder / f"dashboard-{name}{kind}-{scheme}.webp"
                yield {"url": origin + path, "to": str(to), "width": width, "height": height, "scheme": scheme}


def latest(records: Path) -> dict[str, str]:
    """The latest deploy with a failure, and the stack that failed."""
    runs = [json.loads(path.read_text()) for path in records.glob("*/runs/*.json")]
    deploys = [run for run in runs if run["exit_code"] == 1 and "deploy" in run["stages"] and len(run["graph"]) > 1]
    found = max(deploys, key=lambda run: str(run["started_at"]))
    stack = next(task["stack"] for task in found["tasks"] if task["status"] == "failed")
    return {"environment": found["environment"], "id": found["id"], "stack": stack}


def repository(tree: Path, work: Path) -> Path:
    """A repository of 50 stacks that uses a tree's package."""
    root = work / "infrastructure"
    (root / "config").mkdir(parents=True)
    (root / "dodo.py").write_text(f"import sys\nsys.path.insert(0, {str(tree)!r})\nfrom tasks import *\n")
    (root / "config/pipeline.yaml").write_text('version: 1\ndiscover: ["stacks/*/*"]\n')
    (root / ".gitignore").write_text(".deploy/\n.state/\n__pycache__/\n")
    for number, name in enumerate(STACKS):
        folder = root / "stacks" / name
        folder.mkdir(parents=True)
        (folder / "main.tf").write_text(stack(name, number % 3 + 1, "3"))
    git(root, "init", "--quiet", "--initial-branch=main")
    git(root, "add", ".")
    git(root, "commit", "--quiet", "--message=fifty stacks")
    return root


def stack(name: str, resources: int, size: str) -> str:
    """A stack with so many resources."""
    state = f"../../../.state/{name.replace('/', '-')}.tfstate"
    parts = [f'terraform {{\n  backend "local" {{\n    path = "{state}"\n  }}\n}}\n']
    values = f'{{\n    name = "{name}"\n    size = {size}\n  }}'
    parts += [f'resource "terraform_data" "node_{number}" {{\n  input = {values}\n}}\n' for number in range(resources)]
    return "\n".join(parts)


def git(root: Path, *arguments: str) -> None:
    """Run git with an identity of its own."""
    identity = ["-c", "user.name=ada", "-c", "user.email=ada@example.com"]
    subprocess.run(["git", *identity, *arguments], cwd=root, check=True, stdout=subprocess.DEVNULL)


def on_terminal(root: Path, columns: int, *arguments: str) -> str:
    """What doit prints on a terminal of so many columns, with its colours; once it has ended."""
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(root)
        named = {"TERM": "xterm", "DOIT_TOFU_PROGRAM": "doit"}  # not where Python is on this machine
        os.execve(sys.executable, [sys.executable, "-m", "doit", *arguments], {**os.environ, **named})  # noqa: S606
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    said = b""
    while True:
        try:
            part = os.read(terminal, 65536)
        except OSError:  # it has ended
            break
        if not part:
            break
        said += part
    os.waitpid(child, 0)
    return settled(said.decode(errors="replace"))


def settled(said: str) -> str:
    """What is left on the terminal once the live display, which erases its lines and writes them again, has gone."""
    lines, row = [""], 0
    for part in re.split(r"(\n|\r|\x1b\[\d*A|\x1b\[2K|\x1b\[\?\d+[lh])", said):
        if part == "\n":
            row += 1
            lines += [""] * (row + 1 - len(lines))
        elif part.endswith("A") and part.startswith("\x1b["):
            row -= int(part[2:-1] or 1)
        elif part == "\x1b[2K":
            lines[row] = ""
        elif part and part != "\r" and not part.startswith("\x1b[?"):
            lines[row] += part
    return "\n".join(lines).rstrip()


def rendered(said: str, columns: int) -> str:
    """The end of it as a page, as a terminal of 46 lines shows it."""
    console = Console(record=True, width=columns, file=Path(os.devnull).open("w"))  # noqa: SIM115 - until we end
    console.print(Text.from_ansi(said), soft_wrap=False)
    body = console.export_html(theme=MONOKAI, code_format="{code}", inline_styles=True)
    lines = "\n".join(body.rstrip().split("\n")[-46:])
    style = f"min-width:{columns}ch;margin:0;padding:12px;display:inline-block;background:#16181d;color:#d8dee9"
    return f'<meta charset="utf-8"><pre style="{style};font:13px/1.35 DejaVu Sans Mono,monospace">{lines}</pre>'


def comment(text: str) -> str:
    """A comment as a page, roughly as the forges show it."""

    def coloured(code: str, language: str, _: str) -> str:
        try:
            return highlight(code, get_lexer_by_name(language), HtmlFormatter(nowrap=True))
        except ClassNotFound:
            return ""

    parser = MarkdownIt("commonmark", {"html": True, "highlight": coloured}).enable("table").enable("strikethrough")
    body = parser.render(text).replace("[!CAUTION]", '<b style="color: #cf222e">Caution</b><br>')
    return f'<meta charset="utf-8"><style>{STYLE}</style><body><main>{body}</main>'


@contextmanager
def dashboard(tree: Path, records: Path) -> Iterator[str]:
    """The dashboard of a tree on some records."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    variables = {**os.environ, "HOST": "127.0.0.1", "PORT": str(port), "DASHBOARD_SOURCE": str(records)}
    server = subprocess.Popen(["node", tree / "app/build/index.js"], env=variables, stdout=subprocess.DEVNULL)
    try:
        origin = f"http://127.0.0.1:{port}"
        for _ in range(600):
            try:
                urllib.request.urlopen(f"{origin}/healthz", timeout=5).close()  # noqa: S310 - our own server
                break
            except OSError:
                time.sleep(0.1)
        yield origin
    finally:
        server.terminate()
        server.wait()


def take(jobs: list[Job], work: Path) -> None:
    """Take the pictures."""
    known = work / "jobs.json"
    known.write_text(json.dumps(jobs))
    cache = Path(os.environ.get("DOIT_TOFU_CACHE", Path.home() / ".cache/doit-tofu"))
    playwright = next(cache.glob("browser-*/node_modules/playwright-core/index.mjs"))
    script = ROOT / "bench/pictures.mjs"
    subprocess.run(["node", script, shutil.which("chromium") or "", playwright, known], check=True)


if __name__ == "__main__":
    main()
