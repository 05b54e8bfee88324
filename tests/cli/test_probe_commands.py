"""`nearserve probe` as a group: its help, and that nothing is loaded before it is asked for."""

import subprocess
import sys
import time

import pytest
from click.testing import CliRunner

from placement.cli import main
from placement.cli.probe import COMMANDS


def test_the_help_of_probe_names_every_command_without_loading_one() -> None:
    code = (
        "import sys, placement.cli; placement.cli.main(['probe', '--help'], standalone_mode=False);"
        "print(sorted(m for m in sys.modules if m.startswith(('placement.cli.probe_', 'probes', 'numpy', 'rich'))))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert all(f"\n  {name} " in out for name in COMMANDS)
    assert out.splitlines()[-1] == "[]"


@pytest.mark.parametrize("command", list(COMMANDS))
def test_every_command_of_probe_has_help_with_an_example(command: str) -> None:
    result = CliRunner().invoke(main, ["probe", command, "--help"])
    assert result.exit_code == 0
    assert f"Example: nearserve probe {command}" in " ".join(result.output.split())
    assert "--format [table|json]" in result.output


def test_help_answers_in_well_under_half_a_second() -> None:
    took_s = []
    for _ in range(5):
        started = time.perf_counter()
        subprocess.run(
            [sys.executable, "-c", "import placement.cli; placement.cli.main(['--help'])"],
            capture_output=True,
            check=True,
        )
        took_s.append(time.perf_counter() - started)
    assert min(took_s) < 0.35  # the best of five, for a machine that is busy


def test_a_command_that_there_is_not_ends_with_exit_2() -> None:
    result = CliRunner().invoke(main, ["probe", "twice"])
    assert result.exit_code == 2
    assert "No such command 'twice'" in result.stderr
