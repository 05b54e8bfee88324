"""Agents and a collector in the lab, killed and cut off: what was acknowledged is in the store exactly once."""

import subprocess
import sys


def test_acknowledged_records_survive_kills_cut_links_and_full_disks() -> None:
    """Half a minute of `bench.probing.faults`, which says for itself what must hold."""
    asked = ["--minutes", "0.4", "--pace", "0.25", "--agents", "2", "--pops", "6", "--seed", "3"]
    ran = subprocess.run(
        [sys.executable, "-m", "bench.probing.faults", *asked], capture_output=True, text=True, timeout=400, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "killed" in ran.stderr
