"""Thousands of checks at once: `python bench/checks.py [--checks N] [--seconds S] [--only bare,http,https,pods,each]`.

A server in a process of its own answers every request after the same number of seconds, so that checks that cost
nothing would all be done then. What is more is ours: the processor time of this process says how much of it. `https`
trusts the usual CAs and one more, `pods` is the answer of a Kubernetes API over TLS, its address from a kubeconfig; all
of them ask for the same pods, and in `each` no two do.
`bare` is `requests.get` in a thread for each, as little as a check with this client can take.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import certifi
import requests
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from repository import ROOT

sys.path.insert(0, str(ROOT))

from tasks.base.masking import Masker
from tasks.base.stop import Stop
from tasks.checks import registry, waiting
from tasks.checks.check import FreshPlan, Look

_HOST = "127.0.0.1"
_BACKLOG = 5_000
_POD = {"metadata": {"name": "web-1"}, "status": {"conditions": [{"type": "Ready", "status": "True"}]}}
_BODY = json.dumps({"kind": "PodList", "items": [_POD]}).encode()
_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(_BODY), _BODY)


def main() -> None:
    """Print a line for each kind of check."""
    options = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    options.add_argument("--checks", type=int, default=5_000)
    options.add_argument("--seconds", type=float, default=10.0, help="until the server answers")
    options.add_argument("--only", default="bare,http,https,pods,each")
    options.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    chosen = options.parse_args()
    if chosen.serve:
        asyncio.run(_serve(chosen.serve, chosen.seconds))
        return
    with tempfile.TemporaryDirectory(prefix="checks-") as folder:
        base = Path(folder)
        _certificate(base)
        (base / "bundle.pem").write_bytes(Path(certifi.where()).read_bytes() + (base / "ca.pem").read_bytes())
        os.environ["REQUESTS_CA_BUNDLE"] = str(base / "bundle.pem")
        server = subprocess.Popen(
            [sys.executable, __file__, "--serve", folder, "--seconds", str(chosen.seconds)], stdout=subprocess.PIPE
        )
        try:
            assert server.stdout is not None
            plain, secure = (int(port) for port in server.stdout.readline().split())
            _kubeconfig(base, secure)
            pods = {"kind": "kubernetes_pods", "kubeconfig": str(base / "kubeconfig")}
            kinds = {
                "http": {"kind": "http", "url": f"http://{_HOST}:{plain}/"},
                "https": {"kind": "http", "url": f"https://{_HOST}:{secure}/"},
                "pods": {**pods, "selector": "app=web"},
                "each": {**pods, "selector": "app=web-{number}"},
            }
            for name in chosen.only.split(","):
                if name == "bare":
                    _measure_bare(f"http://{_HOST}:{plain}/", chosen.checks, chosen.seconds)
                else:
                    _measure(name, kinds[name], chosen.checks, chosen.seconds)
        finally:
            server.kill()
            server.wait()


def _measure(name: str, keys: dict[str, str], number: int, seconds: float) -> None:
    limits = {"look_timeout": 600, "timeout": 600}
    checks = [
        registry.parse({**{key: text.format(number=count) for key, text in keys.items()}, **limits})
        for count in range(number)
    ]
    progress = [waiting.Progress(check.title()) for check in checks]
    began = time.perf_counter(), time.process_time()
    outcomes = waiting.all_of(checks, _looking(Stop(print), Masker()), progress)
    _row(name, number, seconds, began, [outcome.text for outcome in outcomes if not outcome.passed])


def _measure_bare(url: str, number: int, seconds: float) -> None:
    failed: list[str] = []

    def ask() -> None:
        with requests.get(url, stream=True, timeout=600) as response:
            if not response.ok:
                failed.append(response.reason)

    began = time.perf_counter(), time.process_time()
    before = threading.stack_size(256 << 10)  # as thousands of looks have
    threads = [threading.Thread(target=ask) for _ in range(number)]
    for thread in threads:
        thread.start()
    threading.stack_size(before)
    for thread in threads:
        thread.join()
    _row("bare", number, seconds, began, failed)


def _row(name: str, number: int, seconds: float, began: tuple[float, float], failed: list[str]) -> None:
    wall, processor = time.perf_counter() - began[0], time.process_time() - began[1]
    print(
        f"  {number:,} {name:<6} {wall:6.1f} s, {wall - seconds:5.1f} more than an answer takes ({wall / seconds:.2f});"
        f" processor time {processor:.1f} s, {processor / number * 1000:.2f} ms each"
        f" {f'FAILED {len(failed)}: {failed[0]}' if failed else ''}".rstrip(),
        flush=True,
    )


def _looking(stop: Stop, mask: Masker) -> waiting.Looking:
    def plan() -> FreshPlan:
        raise NotImplementedError

    return lambda deadline: Look("s", "local", Path(), deadline, None, stop, mask, plan)


async def _serve(base: Path, seconds: float) -> None:
    """Answer until the process is killed; the ports are on the first line."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                await asyncio.sleep(seconds)
                writer.write(_ANSWER)
                await writer.drain()
        except (asyncio.IncompleteReadError, OSError):
            writer.close()

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(base / "ca.pem", base / "key.pem")
    plain = await asyncio.start_server(answer, _HOST, 0, backlog=_BACKLOG)
    secure = await asyncio.start_server(
        answer, _HOST, 0, ssl=context, backlog=_BACKLOG, ssl_handshake_timeout=600
    )  # fmt: skip
    print(*(server.sockets[0].getsockname()[1] for server in (plain, secure)), flush=True)
    await asyncio.gather(plain.serve_forever(), secure.serve_forever())


def _certificate(base: Path) -> None:
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "bench")])
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address(_HOST))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (base / "ca.pem").write_bytes(made.public_bytes(Encoding.PEM))
    (base / "key.pem").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


def _kubeconfig(base: Path, port: int) -> None:
    cluster = {"server": f"https://{_HOST}:{port}", "certificate-authority": str(base / "ca.pem")}
    (base / "kubeconfig").write_text(yaml.safe_dump({
        "apiVersion": "v1", "kind": "Config", "current-context": "bench",
        "clusters": [{"name": "bench", "cluster": cluster}],
        "users": [{"name": "bench", "user": {"token": "bench"}}],
        "contexts": [{"name": "bench", "context": {"cluster": "bench", "user": "bench"}}],
    }))  # fmt: skip


if __name__ == "__main__":
    main()
