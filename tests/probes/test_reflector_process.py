"""`nearserve probe reflector` as a person starts it: a real process on loopback."""

import os
import signal
import socket
import stat
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from bench.probing.fuzz_reflector import fuzz
from bench.probing.reflector_process import ReflectorProcess
from placement.cli.probe_reflector import command
from probes.methods import ndt7, stamp, train
from probes.methods.endpoint import Endpoint
from probes.privileges import can_become_another
from probes.reflector.config import read_config
from probes.wire.keys import KeyFileError, read_keys, read_token

OLD, NEW = b"the key until today", b"the key from tomorrow"


@pytest.fixture
def folder() -> Iterator[Path]:
    """Open to whom the reflector becomes when it is started as root; pytest's own folders are its user's alone."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name)
        path.chmod(0o777)
        yield path


def answers(served: ReflectorProcess, key: bytes | None = None, family: int = 4) -> int:
    endpoint = Endpoint("pop", {4: "127.0.0.1", 6: "::1"}[family], served.ports["stamp", family])
    swept = stamp.sweep([endpoint], rate_per_s=1000, probes=3, interval_s=0.01, timeout_s=1, key=key)
    return int(swept.answered.sum())


def reloaded(served: ReflectorProcess, name: str) -> list[float]:
    found = served.metrics()
    return [found[f'{name}{{service="{service}"}}'] for service in ("stamp", "train")]


def wait_for(what: Callable[[], bool], served: ReflectorProcess, seconds: float = 20.0) -> None:
    until = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < until, f"{served.metrics()}\n{served.log.read_text()}"
        time.sleep(0.02)


def test_it_answers_both_families_counts_writes_its_file_and_ends_at_sigterm(folder: Path) -> None:
    text = folder / "reflector.prom"
    with ReflectorProcess(folder, {"metrics": f'textfile = "{text}"\nevery_s = 0.2'}) as served:
        assert [answers(served, family=family) for family in (4, 6)] == [3, 3]
        wait_for(lambda: served.metrics()["stamp_sent_packets_total"] == 6, served)
        endpoint = Endpoint("pop", "127.0.0.1", served.ports["train", 4])
        assert train.measure(endpoint, direction="up", source="agent", packets=24).bytes == 24 * 1500
        wait_for(lambda: served.metrics()["train_received_packets_total"] == 24, served)
        if can_become_another():
            owners = {Path(f"/proc/{pid}").stat().st_uid for pid in served.workers()}
            assert owners == {65534}  # nobody
            assert [event["user"] for event in served.logged()] == ["nobody"]
        workers = served.workers()
        assert served.stop() == 0
    assert not any(Path(f"/proc/{pid}").exists() for pid in workers)
    assert "nearserve_reflector_stamp_sent_packets_total 6.0" in text.read_text()
    assert stat.S_IMODE(text.stat().st_mode) == 0o644


def test_keys_change_at_sighup_and_a_bad_file_leaves_the_old_ones(folder: Path) -> None:
    keys = folder / "keys"
    keys.write_bytes(OLD + b"\n")
    with ReflectorProcess(folder, {"": f'key_file = "{keys}"'}) as served:
        assert (answers(served, OLD), answers(served, NEW), answers(served)) == (3, 0, 0)
        keys.write_bytes(b"# both for a while\n" + NEW + b"\n" + OLD + b"\n")
        served.signal(signal.SIGHUP)
        wait_for(lambda: reloaded(served, "key_reloads_total") == [1, 1], served)
        assert (answers(served, OLD), answers(served, NEW)) == (3, 3)
        before = served.workers()
        os.kill(before[0], signal.SIGKILL)  # the one that is started in its place has the new keys too
        wait_for(lambda: len(served.workers()) == len(before) and served.workers() != before, served)
        wait_for(lambda: answers(served, NEW) == 3, served)
        keys.write_bytes(b"short\n")
        served.signal(signal.SIGHUP)
        wait_for(lambda: reloaded(served, "key_reload_failures_total") == [1, 1], served)
        assert answers(served, NEW) == 3
        assert served.metrics()['stamp_dropped_packets_total{reason="forged"}'] >= 3


def test_a_worker_that_dies_is_started_again_on_the_same_port(folder: Path) -> None:
    with ReflectorProcess(folder) as served:
        assert answers(served) == 3
        before = served.workers()
        for pid in before:
            os.kill(pid, signal.SIGKILL)
        wait_for(lambda: len(set(served.workers()) - set(before)) == len(before), served)
        wait_for(lambda: answers(served) == 3, served)
        wait_for(lambda: served.metrics()["restarts_total"] == len(before), served)
        assert served.stop() == 0


def test_ndt7_is_served_where_asked_for(folder: Path) -> None:
    tables = {"ndt7": "enabled = true\nport = 0\ntls = false", "train": "enabled = false"}
    with ReflectorProcess(folder, tables) as served:
        assert ("train", 4) not in served.ports
        port = served.ports["ndt7", 4]

        def came() -> int:  # on loopback the bytes that one test may take are gone before there is a rate
            endpoint = Endpoint("pop", "127.0.0.1", port)
            return ndt7.measure(endpoint, direction="down", source="agent", seconds=0.5).record.bytes or 0

        wait_for(lambda: came() > 0, served)
        wait_for(lambda: served.metrics()["ndt7_down_total"] >= 1, served)
        assert served.metrics()["ndt7_bytes_down_total"] > 0


@pytest.mark.parametrize("key", [None, OLD], ids=["open", "authenticated"])
def test_twenty_thousand_hostile_datagrams_change_nothing(folder: Path, key: bytes | None) -> None:
    assert fuzz(folder, 10_000, 7, key) == []


def test_everything_wrong_with_a_configuration_is_said_at_once(tmp_path: Path) -> None:
    path = tmp_path / "reflector.toml"
    path.write_text('listen = ["here"]\n[stamp]\nport = 70000\nstatefull = true\n[ndt7]\ncertificate = "x"\n')
    result = CliRunner().invoke(command, ["--config", str(path)])
    assert result.exit_code == 4
    for part in ("listen", "'here' does not appear", "stamp.port", "did you mean stateful?", "belong together"):
        assert part in result.output


def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        arguments = ["--listen", "127.0.0.1", "--stamp-port", str(port), "--train-port", "0"]
        result = CliRunner().invoke(command, arguments)
    assert result.exit_code == 6
    assert f"127.0.0.1 port {port} (UDP): Address already in use" in result.output
    assert "is a reflector running?" in result.output


def test_a_port_that_is_taken_is_named_for_ndt7_too() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        arguments = ["--listen", "127.0.0.1", "--stamp-port", "0", "--train-port", "0", "--ndt7", "--ndt7-plain"]
        result = CliRunner().invoke(command, [*arguments, "--ndt7-port", str(port)])
    assert result.exit_code == 6
    assert f"127.0.0.1 port {port} (TCP): Address already in use" in result.output


@pytest.mark.skipif(not can_become_another(), reason="only root opens low ports, and becomes another")
def test_ndt7_has_its_low_port_before_root_is_given_up(folder: Path) -> None:
    port = next(port for port in range(1023, 900, -1) if is_free(port))
    with ReflectorProcess(folder, {"ndt7": f"enabled = true\nport = {port}\ntls = false"}) as served:
        assert served.ports["ndt7", 4] == port
        endpoint = Endpoint("pop", "127.0.0.1", port)
        found = ndt7.measure(endpoint, direction="down", source="agent", seconds=0.5)
        assert found.record.bytes


def is_free(port: int) -> bool:
    with socket.socket() as probe, socket.socket(socket.AF_INET6) as probe6:
        return probe.connect_ex(("127.0.0.1", port)) != 0 and probe6.connect_ex(("::1", port)) != 0


@pytest.mark.parametrize(
    ("lines", "flags", "words"),
    [
        ("enabled = true", [], "has no certificate, and clients ask by TLS (give certificate and key"),
        ("", ["--ndt7"], "--ndt7-plain"),
        ('tls = false\ncertificate = "x"\nkey = "y"', [], "of no use in the clear"),
    ],
)
def test_ndt7_in_the_clear_must_be_said(tmp_path: Path, lines: str, flags: list[str], words: str) -> None:
    path = tmp_path / "reflector.toml"
    path.write_text(f"[ndt7]\n{lines}\n")
    result = CliRunner().invoke(command, ["--config", str(path), *flags])
    assert (result.exit_code, words in result.output) == (2 if flags else 4, True), result.output


def test_flags_come_before_the_file(tmp_path: Path) -> None:
    path = tmp_path / "reflector.toml"
    path.write_text('key_file = "/nonexistent/from-file"\n')
    assert read_config(path).key_file == "/nonexistent/from-file"
    arguments = ["--config", str(path), "--key-file", "/nonexistent/from-flag", "--listen", "127.0.0.1"]
    result = CliRunner().invoke(command, [*arguments, "--stamp-port", "0", "--train-port", "0"])
    assert result.exit_code == 4
    assert "/nonexistent/from-flag: cannot be read (No such file or directory)" in result.output


@pytest.mark.parametrize(
    ("text", "words"),
    [(b"", "holds no key"), (b"# none\n\n", "holds no key"), (b"0123456789abcde\n", ":1: a key of 15")],
)
def test_a_key_file_without_a_sound_key_is_refused(tmp_path: Path, text: bytes, words: str) -> None:
    path = tmp_path / "keys"
    path.write_bytes(text)
    with pytest.raises(KeyFileError, match=words):
        read_keys(path)
    path.write_bytes(b"  0123456789abcdef \r\n#no\n" + NEW)
    assert read_keys(path) == (b"0123456789abcdef", NEW)


@pytest.mark.parametrize("text", [b"", b" \n", b"two words", "schl\u00fcssel".encode(), b"a\nb"])
def test_a_token_file_without_a_token_opens_the_reflector_to_nobody(tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "token"
    path.write_bytes(text)
    with pytest.raises(KeyFileError, match="holds no token"):
        read_token(path)
    (tmp_path / "reflector.toml").write_text('[ndt7]\nenabled = true\nport = 0\ntls = false\ntoken_file = "token"\n')
    arguments = ["--config", str(tmp_path / "reflector.toml"), "--listen", "127.0.0.1"]
    result = CliRunner().invoke(command, [*arguments, "--stamp-port", "0", "--train-port", "0"])
    assert result.exit_code == 4
    assert f"{path}: holds no token" in result.output
