"""Small packages for builds of the kind `node`, and programs that note each of their starts."""

from __future__ import annotations

import json
import shutil
import stat
import subprocess
from typing import TYPE_CHECKING

from tests.repository import ROOT
from tests.servers import dashboard

if TYPE_CHECKING:
    from tests.repository import Repository

# Writes its sources' texts to build/, and what a test wants to know of its environment.
BUILD_SCRIPT = """\
const fs = require('fs');
if (process.env.SLOW) { fs.mkdirSync('build'); fs.writeFileSync('build/half', ''); Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 60000); }
if (process.env.FAIL) { console.error('it broke with ' + process.env.NPM_TOKEN); process.exit(3); }
fs.mkdirSync('build/static', {recursive: true});
fs.writeFileSync('build/index.js', 'console.log(' + JSON.stringify(fs.readFileSync('src/text.txt', 'utf8')) + ')\\n');
fs.writeFileSync('build/static/mode.txt', process.env.MODE || 'none');
fs.writeFileSync('build/static/secrets.txt', [process.env.NPM_TOKEN, process.env.OTHER_TOKEN].map(v => v ? 'given' : 'withheld').join(' '));
"""


def package(path: str = "app", *, dependencies: dict[str, str] | None = None, **more: object) -> list[str]:
    """The files of a package whose script `build` makes `build/` of `src/text.txt`; as `path:content`."""
    body = {
        "name": "app", "version": "1.0.0", "private": True, "scripts": {"build": "node build.js"},
        **({"dependencies": dependencies} if dependencies else {}), **more,
    }  # fmt: skip
    return [
        f"{path}/package.json:{json.dumps(body)}",
        f"{path}/build.js:{BUILD_SCRIPT}",
        f"{path}/src/text.txt:first",
        f"{path}/.gitignore:node_modules\nbuild\n",
    ]


def lock(repository: Repository, path: str = "app", program: str = "npm") -> None:
    """Have the package manager write the lock file."""
    command = {
        "npm": ["npm", "install", "--package-lock-only", "--no-audit", "--no-fund"],
        "pnpm": ["pnpm", "install", "--lockfile-only"],
    }[program]
    subprocess.run(command, cwd=repository.path / path, env=repository.environment(), check=True, capture_output=True)


def watch(repository: Repository, *programs: str) -> None:
    """Put scripts before programs that note each start in `programs.log`."""
    repository.bin.mkdir(exist_ok=True)
    for program in programs:
        real = shutil.which(program, path=repository.environment()["PATH"])
        assert real is not None, f"{program} is not there"
        script = repository.bin / program
        if real == str(script):
            real = str(script.rename(script.with_suffix(".before")))
        script.write_text(
            f"#!/bin/sh\nprintf '%s\\n' \"{program} $*\" >> '{repository.home}/programs.log'\nexec '{real}' \"$@\"\n"
        )
        script.chmod(script.stat().st_mode | stat.S_IXUSR)


# What npm would install and build of this very app is copied: that takes a second, and half a minute else. Of any other
# one, and for whatever else, npm itself is started.
_COPYING = """\
#!/bin/sh
if cmp -s package.json '{app}/package.json' && cmp -s package-lock.json '{app}/package-lock.json'; then
    case "$*" in
    'ci --no-audit --no-fund')
        rm -rf node_modules
        mkdir node_modules
        cd '{app}/node_modules'
        exec cp -a [!.]* .bin .package-lock.json "$OLDPWD/node_modules" # without what those that run meanwhile keep here
        ;;
    'run build')
        if [ "$(node version.js)" = "$(cat '{app}/build/version')" ]; then
            rm -rf build
            exec cp -a '{app}/build' build
        fi
        ;;
    esac
fi
exec '{npm}' "$@"
"""


def with_built_dashboard(repository: Repository) -> None:
    """Have npm copy what `tools/app build` made of the same sources of the dashboard, by the same commands."""
    dashboard.build()
    npm = repository.bin / "npm"
    real = shutil.which("npm", path=repository.environment()["PATH"])
    assert real is not None, "npm is not there"
    assert real != str(npm), "its starts are noted already"
    repository.bin.mkdir(exist_ok=True)
    npm.write_text(_COPYING.format(app=ROOT / "app", npm=real))
    npm.chmod(0o755)


def started(repository: Repository) -> list[str]:
    """The starts of watched programs since the last look, without those that only ask for a version."""
    path = repository.home / "programs.log"
    lines = path.read_text().splitlines() if path.exists() else []
    path.unlink(missing_ok=True)
    return [line for line in lines if not line.endswith("--version")]
