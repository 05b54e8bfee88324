"""docs/probing.md, followed to the letter: its files, its commands, in its lab."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

PAGE = Path(__file__).parents[2] / "docs" / "probing.md"


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that other users may enter, as pytest's own may not be."""
    path = Path(tempfile.mkdtemp(prefix="tour-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


def blocks() -> tuple[dict[str, str], str]:
    """The files of the page by name, and its commands."""
    found = re.findall(r"^```(\w+)(?: (\S+))?\n(.*?)^```$", PAGE.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    files = {name: text for kind, name, text in found if kind == "toml"}
    (commands,) = (text for kind, _, text in found if kind == "sh")
    return files, commands


def is_root() -> bool:
    """Whether this process has root's rights, CAP_SYS_ADMIN (21) among them, and not only the name."""
    held = re.search(r"^CapEff:\s*(\w+)$", Path("/proc/self/status").read_text(), re.MULTILINE)
    return os.geteuid() == 0 and held is not None and bool(int(held[1], 16) >> 21 & 1)


@pytest.mark.skipif(not is_root(), reason="a user's own namespace has no second user for the agent to become")
def test_the_tour_of_the_documentation_ends_with_fresh_pairs(folder: Path) -> None:
    files, commands = blocks()
    assert set(files) == {"lab.toml", "agent.toml"}
    for name, text in files.items():
        (folder / name).write_text(text)
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    toured = subprocess.run(
        ["sh", "-ec", commands], cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert toured.returncode == 0, toured.stdout + toured.stderr
    (day,) = (folder / "my-scenario" / "measurements").glob("day=*")
    records = [row for file in day.glob("*.parquet") for row in pq.read_table(file).to_pylist()]
    # The lab's truth: 10 ms to fra1, where there is a reflector; 39 ms to lis1 and up to 2 ms more each way.
    least = {
        (row["target"], row["method"]): min(row["rtt_ms"]) if row["rtt_ms"] else None
        for row in records
    }  # fmt: skip
    assert set(least) == {(f"10.78.0.{n}", method) for n in (1, 2) for method in ("icmp", "stamp")}
    assert least["10.78.0.1", "icmp"] == pytest.approx(10.2, abs=2) == least["10.78.0.1", "stamp"]
    assert least["10.78.0.2", "icmp"] == pytest.approx(41, abs=3)
    assert {row["source"] for row in records} == {"berlin"}
    left = subprocess.run(
        [sys.executable, "-c", "from placement.cli import main; main()", "probe", "targets", "my-scenario"],
        cwd=folder, capture_output=True, text=True, timeout=60, check=True,
    ).stdout  # fmt: skip
    assert "porto" in left and "windhoek" in left and "berlin" not in left
