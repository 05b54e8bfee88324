"""A real etcd of one member on loopback."""

import base64
import http.client
import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.servers import free_port, program


@contextmanager
def etcd(folder: Path, port: int, tls: dict[str, Path] | None = None) -> Iterator[str]:
    """The address of an etcd that keeps its data in `folder`; with `tls` it asks clients for a certificate."""
    scheme = "https" if tls else "http"
    url, peer = f"{scheme}://127.0.0.1:{port}", f"http://127.0.0.1:{free_port()}"
    command = [str(program("etcd", "etcd-server")), "--data-dir", str(folder), "--name", "one", "--log-level", "error"]
    command += ["--listen-client-urls", url, "--advertise-client-urls", url]
    command += ["--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", f"one={peer}"]
    if tls:
        command += ["--cert-file", str(tls["certificate"]), "--key-file", str(tls["key"])]
        command += ["--client-cert-auth", "--trusted-ca-file", str(tls["ca"])]
    with (folder.parent / f"{folder.name}.log").open("wb") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder.parent)
    try:
        if tls is None:
            _ready(port, server)
        yield url
    finally:
        server.kill()
        server.wait(30)


def _ready(port: int, server: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            ask(port, "/v3/kv/range", {"key": coded("ready")})
        except (OSError, http.client.HTTPException, KeyError):
            assert server.poll() is None and time.monotonic() < deadline, "etcd did not start"
            time.sleep(0.05)
        else:
            return


def coded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def ask(port: int, path: str, request: dict[str, Any]) -> dict[str, Any]:
    """An answer of its JSON gateway."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("POST", path, json.dumps(request))
        answer: dict[str, Any] = json.loads(connection.getresponse().read())
        assert answer["header"]
        return answer
    finally:
        connection.close()


def value(port: int, key: str) -> dict[str, Any] | None:
    """The JSON that a key holds."""
    found = ask(port, "/v3/kv/range", {"key": coded(key)}).get("kvs")
    return json.loads(base64.b64decode(found[0]["value"])) if found else None
