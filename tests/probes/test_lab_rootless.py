"""Everything that the lab does it does without root too."""

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
SYS_ADMIN, SYS_RAWIO, NET_ADMIN, NET_RAW = 21, 17, 12, 13


def without_root(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, str(HERE / "lab_without_root.py"), *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=HERE.parent.parent,
        env={**os.environ, "PYTEST_ADDOPTS": "-p no:cacheprovider"},
    )


def test_the_rights_are_really_gone() -> None:
    status = "print(next(l for l in open('/proc/self/status') if l.startswith('CapEff')))"
    effective = int(without_root("-c", status).stdout.split()[1], 16)
    assert not effective & sum(1 << right for right in (SYS_ADMIN, SYS_RAWIO, NET_ADMIN, NET_RAW))


def test_the_labs_tests_pass_without_root() -> None:
    done = without_root("-m", "pytest", "-p", "no:xdist", str(HERE / "test_lab.py"))
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
    assert "passed" in done.stdout
    assert "skipped" not in done.stdout


AGENT = """
agent = "a"
source = "a"
user = "nobody"
spool = { path = "spool.sqlite" }
allow = { networks = ["10.78.0.0/16"] }
target = [{ name = "p", host = "10.78.0.1", methods = ["icmp", "stamp"] }]
methods = { icmp = { interval_s = 60 }, stamp = { interval_s = 60 } }
"""
BOTH_ENDS = """
import subprocess, sys
from pathlib import Path
from probes.lab import Host, Lab, Link, Pop

probe = [sys.executable, "-c", "from placement.cli import main; main()", "probe"]
with Lab([Host("h", "10.10.0.1")], [Pop("p", "10.78.0.1")], default=Link(rtt_ms=2)) as lab:
    reflector = lab.run("p", [*probe, "reflector", "--listen", "10.78.0.1"], stdout=subprocess.PIPE)
    reflector.stdout.readline()
    print(Path(f"/proc/{reflector.pid}/status").read_text())
    sys.exit(lab.run("h", [*probe, "agent", sys.argv[1], "--once"]).wait())
"""


def test_where_there_is_nobody_else_to_become_agent_and_reflector_run_without_any_capability(tmp_path: Path) -> None:
    (tmp_path / "agent.toml").write_text(AGENT)
    done = without_root("-c", BOTH_ENDS, str(tmp_path / "agent.toml"))
    assert done.returncode == 0, done.stderr
    status = dict(line.split(":\t", 1) for line in done.stdout.splitlines() if ":\t" in line)
    assert (int(status["CapPrm"], 16), int(status["CapEff"], 16), status["NoNewPrivs"]) == (0, 0, "1")
    assert '"event": "stays_root"' in done.stderr
    database = sqlite3.connect(tmp_path / "spool.sqlite")
    bodies = [body for (body,) in database.execute("SELECT body FROM records ORDER BY number")]
    database.close()
    assert [b'"received":3' in bodies[0], b'"received":5' in bodies[1]] == [True, True]
