"""Whatever is done to a scenario's files, `plan` ends with a plan or with a message, and never with half a plan."""

import shutil
import tempfile
from pathlib import Path

import tiny
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scenario_spoilt import spoil

from placement.cli import main


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_spoilt_scenario_is_planned_or_refused_and_leaves_no_partial_plan(data: st.DataObject) -> None:
    place = Path(tempfile.mkdtemp())
    try:
        scenario = tiny.write(place / "scenario")
        spoil(scenario, data)
        arguments = ["plan", str(scenario), "-o", str(place / "plan"), "--time-limit", "10"]
        result = CliRunner().invoke(main, arguments)
        assert result.exception is None or isinstance(result.exception, SystemExit), repr(result.exception)
        assert "Traceback" not in result.output
        left = sorted(path.name for path in place.iterdir())
        if result.exit_code == 0:
            assert left == ["plan", "scenario"]
            assert {path.name for path in (place / "plan").iterdir()} >= {"plan.json", "routes.parquet"}
        else:
            assert result.exit_code == 4, result.output
            assert result.stderr.strip()
            assert left == ["scenario"]
    finally:
        shutil.rmtree(place)
