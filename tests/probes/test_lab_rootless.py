"""Everything that the lab does it does without root too."""

import os
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
