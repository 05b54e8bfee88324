"""`nearserve probe once` as a person and a script meet it, on loopback."""

import http.server
import json
import os
import pty
import re
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from placement.cli import main
from probes.record import Record
from probes.reflector.ndt7 import Limits, Ndt7Server
from probes.table import faults, to_table


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["probe", "once", *map(str, arguments)], catch_exceptions=False)


@pytest.fixture
def listening() -> Iterator[int]:
    """A TCP port of 127.0.0.1 that is open."""
    with socket.create_server(("127.0.0.1", 0), backlog=128) as server:
        yield int(server.getsockname()[1])


@contextmanager
def web() -> Iterator[int]:
    """An HTTP server that answers everything with 204."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing is logged."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield int(server.server_address[1])
        server.shutdown()
        thread.join()


@pytest.fixture
def no_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every name is unknown but `good.example`, and nobody outside is asked."""

    def told(host: str, *_: object, **__: object) -> list[tuple[object, ...]]:
        if host == "good.example":
            return [(socket.AF_INET, socket.SOCK_DGRAM, 17, "", ("127.0.0.1", 0))]
        if re.fullmatch(r"[0-9.:a-f]+", host):
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, *_[:1]))]
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", told)


def test_a_pipe_gets_one_plain_table_with_every_figure(listening: int) -> None:
    result = run(f"127.0.0.1:{listening}", "--method", "tcp", "--count", 4, "--interval", 0.01)
    assert result.exit_code == 0
    header, row = result.stdout.splitlines()[:2]
    assert header.split() == [
        "target",
        "address",
        "sent",
        "lost",
        "min",
        "p50",
        "p95",
        "p99",
        "jitter",
        "last",
        "recent",
    ]
    cells = row.split()
    assert cells[:4] == [f"127.0.0.1:{listening}", "127.0.0.1", "4", "0%"]
    assert all(float(cell) > 0 for cell in cells[4:10])
    assert re.fullmatch("[▁▂▃▄▅▆▇█]{4}", cells[10])
    assert "\x1b" not in result.stdout


def test_json_is_one_document_with_native_records(listening: int) -> None:
    result = run(f"127.0.0.1:{listening}", "127.0.0.1:1", "--method", "tcp", "--count", 2, "--interval", 0.01, "--json")
    document = json.loads(result.stdout)
    assert (document["method"], document["error"], document["exit_code"]) == ("tcp", None, 0)
    first, second = document["targets"]
    assert (first["address"], first["port"], first["dns_ms"], first["problem"]) == ("127.0.0.1", listening, None, None)
    assert second["port"] == 1
    for target in document["targets"]:
        (record,) = target["records"]
        assert record["rtt_ms"] == target["rtt_ms"] and record["sent"] == target["summary"]["sent"] == 2
        assert set(record) == set(Record.__dataclass_fields__)
        native = Record(**{name: tuple(v) if isinstance(v, list) else v for name, v in record.items()})
        assert not faults(to_table([native]))
    again = run(f"127.0.0.1:{listening}", "--method", "tcp", "--count", 1, "--format", "json")
    assert json.loads(again.stdout)["targets"][0]["summary"]["jitter_ms"] is None


def test_bad_targets_are_told_kindly_and_the_others_measured(listening: int, no_names: None) -> None:
    good = f"good.example:{listening}"
    result = run(good, "nowhere.example", "224.0.0.1", "two words", "--method", "tcp", "--count", 1)
    assert result.exit_code == 4
    for text in (
        "nowhere.example: not measured: the name has no address (Name or service not known): is it spelt right?",
        "224.0.0.1: not measured: 224.0.0.1 is a multicast address",
        "two words: not measured: is no host name",
        "DNS, in no round trip: good.example",
    ):
        assert text in result.stdout
    assert re.search(rf"{good} +127.0.0.1 +1 +0% ", result.stdout)


def test_scripts_find_the_problem_of_a_bad_target_in_the_document(no_names: None) -> None:
    result = run("nowhere.example", "--json")
    document = json.loads(result.stdout)
    assert result.exit_code == document["exit_code"] == 4
    (target,) = document["targets"]
    assert "is it spelt right" in target["problem"]
    assert (target["address"], target["summary"], target["records"]) == (None, None, [])


def test_nobody_answering_is_exit_8() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as full:
        # A listener whose queue is full drops what comes: silence, on loopback.
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        port = full.getsockname()[1]
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))
        time.sleep(0.05)
        result = run(f"127.0.0.1:{port}", "--method", "tcp", "--count", 2, "--timeout", 0.1, "--interval", 0.01)
        for filler in fillers:
            filler.close()
    assert result.exit_code == 8
    assert "100%" in result.stdout and "××" in result.stdout
    assert "no answer to 2 probes" in result.stdout


def test_icmp_is_measured_or_the_mend_is_told() -> None:
    result = run("127.0.0.1", "--count", 2, "--interval", 0.01)
    if result.exit_code == 8:  # a user whom ping_group_range leaves out
        assert "ping_group_range" in result.stderr and "--method tcp" in result.stderr
    else:
        assert result.exit_code == 0 and re.search(r"127\.0\.0\.1 +127\.0\.0\.1 +2 +0%", result.stdout)


def test_http_shows_its_parts_and_the_status() -> None:
    with web() as port:
        url = f"http://127.0.0.1:{port}/x"
        result = run(url, "--method", "http", "--count", 2, "--interval", 0.01)
        document = json.loads(run(url, "--method", "http", "--count", 2, "--interval", 0.01, "--json").stdout)
    assert result.exit_code == 0
    header, row = result.stdout.splitlines()[:2]
    for name in ("DNS", "connect", "TLS", "first byte", "total", "status"):
        assert name in header
    assert row.split()[0] == url and row.split()[-1] == "204"
    (target,) = document["targets"]
    for parts, record in zip(target["parts"], target["records"], strict=True):
        assert parts["tls_ms"] is None
        assert parts["total_ms"] == pytest.approx(parts["connect_ms"] + parts["first_byte_ms"])
        assert record["rtt_ms"] == [parts["total_ms"]]


def test_plain_http_behind_a_name_without_a_scheme_is_told(listening: int) -> None:
    with web() as port:
        result = run(f"127.0.0.1:{port}", "--method", "http", "--count", 1)
    assert result.exit_code == 8
    assert "not TLS: for plain HTTP write http://HOST:PORT" in result.stdout


def test_ndt7_shows_both_ways_with_the_latency_under_load() -> None:
    with Ndt7Server(socket.create_server(("127.0.0.1", 0)), limits=Limits(bytes=10**12)) as server:
        where = f"ws://127.0.0.1:{server.port}"
        document = json.loads(run(where, "--method", "ndt7", "--seconds", 1.5, "--json").stdout)
    (target,) = document["targets"]
    assert [flow["direction"] for flow in target["flows"]] == ["down", "up"]
    transfers = [record for record in target["records"] if record["method"] == "ndt7"]
    for flow, record in zip(target["flows"], transfers, strict=True):
        assert flow["mbps"] == record["mbps"] > 10
        assert flow["loaded_p95_ms"] >= flow["loaded_p50_ms"] > 0 < flow["idle_ms"]
    beside = [(record["method"], record["loaded"]) for record in target["records"]]
    assert beside == [("tcp", False), ("tcp", True), ("ndt7", True)] * 2


@pytest.mark.parametrize("method", ["train", "ndt7"])
def test_where_nobody_is_there_no_bytes_are_shown(method: str) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        result = run(f"127.0.0.1:{nobody.getsockname()[1]}", "--method", method)
    assert result.exit_code == 8
    (row,) = [line.split() for line in result.stdout.splitlines() if " down" in line]
    assert "0.00" not in row[row.index("down") :]


@contextmanager
def reflector(*flags: object) -> Iterator[int]:
    """The STAMP port of a reflector on 127.0.0.1, a process of its own."""
    command = "from placement.cli import main; main()"
    ports = ("--listen", "127.0.0.1", "--stamp-port", "0", "--train-port", "0", "--format", "json")
    arguments = [sys.executable, "-c", command, "probe", "reflector", *ports, *map(str, flags)]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        try:
            (place,) = json.loads(process.stdout.readline())["stamp"]
            yield int(place.rpartition(":")[2])
        finally:
            process.terminate()


def test_stamp_with_the_reflector_of_this_project_and_its_key(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("0123456789abcdef0123\n")
    (tmp_path / "keys").chmod(0o644)
    asked = ("--method", "stamp", "--count", 3, "--interval", 0.01, "--timeout", 0.5)
    with reflector("--key-file", tmp_path / "keys") as port:
        sealed = run(f"127.0.0.1:{port}", *asked, "--key-file", tmp_path / "keys")
        plain = run(f"127.0.0.1:{port}", *asked)
    assert sealed.exit_code == 0 and re.search(r" 3 +0% ", sealed.stdout)
    assert plain.exit_code == 8 and "or it wants a key: --key-file" in plain.stdout


def test_a_trace_of_loopback_has_one_hop_that_every_flow_meets() -> None:
    result = run("127.0.0.1", "--method", "trace", "--flows", 3, "--count", 2, "--interval", 0.01)
    assert result.exit_code == 0
    assert "127.0.0.1 by udp, 3 flows: reached" in result.stdout
    rows = [line.split() for line in result.stdout.splitlines() if line.strip().startswith("1 ")]
    assert [row[:4] for row in rows] == [["1", "127.0.0.1", "all", "6/6"]]


@pytest.mark.parametrize("arguments", [(), ("127.0.0.1", "--method", "pigeon"), ("127.0.0.1", "--interval", "0")])
def test_what_is_no_command_ends_with_exit_2(arguments: tuple[str, ...]) -> None:
    assert run(*arguments).exit_code == 2


def test_certificates_that_are_none_are_told() -> None:
    result = run("127.0.0.1:1", "--method", "http", "--ca", __file__)
    assert result.exit_code == 4 and "no certificates in PEM" in result.stderr


def test_defaults_come_from_a_file_and_the_environment(
    listening: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "defaults.toml").write_text('[probe.once]\nmethod = "tcp"\ninterval = 0.01\ncount = 2\n')
    monkeypatch.setenv("NEARSERVE_PROBE_ONCE_COUNT", "3")
    arguments = ["--config", str(tmp_path / "defaults.toml"), "probe", "once", f"127.0.0.1:{listening}", "--json"]
    document = json.loads(CliRunner().invoke(main, arguments, catch_exceptions=False).stdout)
    assert document["method"] == "tcp"
    assert document["targets"][0]["summary"]["sent"] == 3


class Terminal:
    """The command on a terminal of 80 columns."""

    def __init__(self, *arguments: object) -> None:
        # a shell's background jobs hand on that SIGINT is ignored
        heard = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
        code = f"{heard}; from placement.cli import main; main()"
        ours, theirs = pty.openpty()
        environment = os.environ | {"COLUMNS": "80", "LINES": "24", "TERM": "xterm"}
        command = [sys.executable, "-c", code, "probe", "once", *map(str, arguments)]
        self.process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment)
        os.close(theirs)
        self._fd, self.text = ours, ""

    def until(self, wanted: str, seconds: float = 30.0) -> None:
        """Reads until the text has come."""
        deadline = time.monotonic() + seconds
        while not re.search(wanted, self.text):
            assert time.monotonic() < deadline, self.text
            self._read(0.1)

    def end(self) -> int:
        """What is left, and the exit code."""
        try:
            while self._read(30):
                pass
        finally:
            os.close(self._fd)
        return self.process.wait(30)

    def _read(self, seconds: float) -> bool:
        if not select.select([self._fd], [], [], seconds)[0]:
            return False
        try:
            data = os.read(self._fd, 65536)
        except OSError:  # the other end is gone
            return False
        self.text += data.decode()
        return bool(data)


def picture(text: str) -> list[str]:
    """The lines as they stand at the end, without colours."""
    last = text[text.rindex("target") :]
    return [line.rstrip() for line in re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", last).splitlines()]


def test_on_a_terminal_the_table_grows_within_80_columns(listening: int) -> None:
    long_name = f"[::ffff:127.0.0.1]:{listening}"
    terminal = Terminal(f"127.0.0.1:{listening}", long_name, "--method", "tcp", "--count", 3, "--interval", 0.2)
    assert terminal.end() == 0
    drawn = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", terminal.text)
    sent = [int(found) for found in re.findall(rf"127\.0\.0\.1:{listening} +(\d) ", drawn)]
    assert {1, 2, 3} <= set(sent) and sent == sorted(sent)
    assert max(map(len, drawn.replace("\r", "\n").splitlines())) <= 80
    assert all(name in drawn for name in ("sent", "lost", "p50", "p95", "p99", "jitter", "recent"))


def test_ctrl_c_ends_with_the_summary(listening: int) -> None:
    terminal = Terminal(f"127.0.0.1:{listening}", "--method", "tcp", "--count", 0, "--interval", 0.05)
    terminal.until(r" [4-9] +0%")
    terminal.process.send_signal(signal.SIGINT)
    assert terminal.end() == 0
    assert "Traceback" not in terminal.text and "Aborted" not in terminal.text
    lines = picture(terminal.text)
    assert lines[0].startswith("target") and lines[1].startswith(f"127.0.0.1:{listening}")
