# Sourced by the scripts beside it: an environment of its own in .venv, from locked and hashed requirements.

root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"
venv=$root/.venv

# environment LOCK: makes .venv, or brings it up to what LOCK says; nothing is done when it is there already.
environment() {
    if cmp -s "$1" "$venv/locked" || { [ "$1" = tools/requirements.txt ] && cmp -s tools/requirements-dev.txt "$venv/locked"; }; then
        return
    fi
    python=
    for name in python3 python3.13 python3.12 python3.11; do
        if command -v "$name" >/dev/null && "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            python=$name
            break
        fi
    done
    if [ -z "$python" ]; then
        echo "Python 3.11 or newer is needed; put one on PATH (Debian: apt-get install python3 python3-venv)" >&2
        exit 1
    fi
    echo "setup: making a Python environment in .venv with $(grep -c '^[^ #]*==' "$1") packages, once; $python is $("$python" -V)" >&2
    rm -rf "$venv"
    "$python" -m venv "$venv"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes --requirement "$1"
    cp "$1" "$venv/locked"
}
