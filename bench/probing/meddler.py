"""Between agents and the collector, for `bench.probing.faults`: writes down what was acknowledged, and meddles.

python -m bench.probing.meddler ADDRESS PORT COLLECTOR_PORT FOLDER SEED

It ends TLS with the collector's own certificate and hands each batch on with the agent's token. Of all batches some
are delivered twice at once, of some the acknowledgement never reaches the agent, and now and then one of long ago is
sent again. Before an acknowledgement goes to the agent its rows are on disk in FOLDER/acknowledged.jsonl; it reads
the batches with gzip and json alone.
"""

import gzip
import http.client
import json
import os
import random
import ssl
import sys
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

TWICE, UNANSWERED, REPLAYED = 0.10, 0.05, 0.05
REMEMBERED = 200
Request = tuple[str, bytes, dict[str, str]]


class Meddler:
    """What is written down, and the way to the collector."""

    def __init__(self, collector_port: int, folder: Path, seed: int) -> None:
        self.port, self.folder = collector_port, folder
        self.chance = random.Random(seed)
        self.lock = threading.Lock()
        self.log = (folder / "acknowledged.jsonl").open("a", encoding="ascii")
        self.past: list[Request] = []
        self.counts: Counter[str] = Counter()

    def handle(self, request: Request) -> tuple[int, bytes] | None:
        """The collector's answer to a batch; None where the agent is to hear nothing."""
        with self.lock:
            twice, unanswered, replayed = (self.chance.random() < part for part in (TWICE, UNANSWERED, REPLAYED))
            old = self.chance.choice(self.past) if self.past and replayed else None
        if old is not None:
            self.count("replayed", self.deliver(old)[0])
        if twice:
            self.count("twice", self.deliver(request)[0])
        status, answer = self.deliver(request)
        self.count("unanswered" if unanswered else "handed on", status)
        if status == http.client.OK and not unanswered:
            self.write_down(request[1], json.loads(answer))
        return None if unanswered else (status, answer)

    def count(self, what: str, status: int) -> None:
        """Counts on disk, as nobody knows when this process ends."""
        with self.lock:
            self.counts[f"{what} {status}"] += 1
            (self.folder / "meddled.json").write_text(json.dumps(self.counts), encoding="ascii")

    def deliver(self, request: Request) -> tuple[int, bytes]:
        """Hand a batch to the collector; 502 where it is not there."""
        path, body, headers = request
        context = ssl.create_default_context(cafile=self.folder / "ca.pem")
        connection = http.client.HTTPSConnection("127.0.0.1", self.port, context=context, timeout=20)
        try:
            connection.request("POST", path, body, headers)
            response = connection.getresponse()
            return response.status, response.read()
        except (OSError, http.client.HTTPException):
            return 502, b"{}"
        finally:
            connection.close()

    def remember(self, request: Request) -> None:
        """For a replay later on."""
        with self.lock:
            self.past = [*self.past[1 - REMEMBERED :], request]

    def write_down(self, body: bytes, answer: dict[str, Any]) -> None:
        """The keys of a batch's rows that were not refused, on disk before the agent hears of them."""
        head, *lines = gzip.decompress(body).decode("ascii").splitlines()
        document = json.loads(head)
        boot, seq = (document["columns"].index(name) for name in ("boot_id", "seq")) if lines else (0, 0)
        refused = {row["row"] for row in answer.get("refused", [])}
        rows = [json.loads(line) for number, line in enumerate(lines) if number not in refused]
        with self.lock:
            for row in rows:
                self.log.write(json.dumps([document["agent"], row[boot], row[seq]]) + "\n")
            self.log.flush()
            os.fsync(self.log.fileno())


def handler(meddler: Meddler) -> type[BaseHTTPRequestHandler]:
    """The HTTP side."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 60

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            kept = {name: self.headers[name] for name in ("Content-Type", "Authorization") if name in self.headers}
            request = (self.path, body, kept)
            answer = meddler.handle(request)
            meddler.remember(request)
            if answer is None:
                self.close_connection = True
                return
            self.send_response(answer[0])
            self.send_header("Content-Length", str(len(answer[1])))
            self.end_headers()
            self.wfile.write(answer[1])

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            pass

    return Handler


def main(argv: list[str]) -> int:
    """Serve until killed."""
    address, port, collector_port, folder, seed = argv
    meddler = Meddler(int(collector_port), Path(folder), int(seed))
    server = ThreadingHTTPServer((address, int(port)), handler(meddler))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(Path(folder) / "server.pem", Path(folder) / "server.key")
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    server.serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
