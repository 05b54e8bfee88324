"""The log of agents, reflectors and collectors."""

import json
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import structlog

from probes.agent.log import Log
from probes.log import Lines, told_with


@contextmanager
def writes() -> Iterator[tuple[int, Callable[[], list[str]]]]:
    """A descriptor that keeps each write apart (a socket of packets), and what was written to it so far."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setblocking(False)

    def given() -> list[str]:
        found = []
        with suppress(BlockingIOError):
            while True:
                found.append(ours.recv(1 << 16).decode())
        return found

    with ours, theirs:
        yield theirs.fileno(), given


def broken(log: Any) -> None:
    try:
        int("none")
    except ValueError:
        log.exception("failed", datagrams=3)


def test_a_line_is_one_write_of_one_json_object_with_its_fault() -> None:
    with writes() as (fd, given):
        log = structlog.wrap_logger(Lines(fd), **told_with(limited=False))
        log.debug("not told")
        log.info("hello", path=Path("/x"), text="two\nlines\ud800")
        broken(log)
        lines = given()
    assert [line.count("\n") for line in lines] == [1, 1]
    hello, failed = (json.loads(line) for line in lines)
    assert {**hello, "timestamp": ""} == {
        "event": "hello", "level": "info", "path": "/x", "text": "two\nlines\ud800", "timestamp": "",
    }  # fmt: skip
    assert failed["level"] == "error" and "ValueError: invalid literal" in failed["exception"]


def test_the_agents_log_bears_its_name_and_start() -> None:
    with writes() as (fd, given):
        tell = Log("fra1-a", "boot", fd)
        tell("started", targets=3)
        tell("dns_failed", host="x.test")
        news, trouble = map(json.loads, given())
    assert (news["level"], news["agent"], news["boot_id"], news["targets"]) == ("info", "fra1-a", "boot", 3)
    assert (trouble["level"], trouble["event"]) == ("warning", "dns_failed")


def test_a_log_that_takes_no_more_stops_nothing() -> None:
    with Path("/dev/full").open("wb") as full:
        log = structlog.wrap_logger(Lines(full.fileno()), **told_with(limited=False))
        log.warning("once")
    log.warning("its descriptor is closed")
