"""Whatever is done to the files of a scenario, load gives a Scenario or a ScenarioError with something to say."""

import shutil
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scenario_spoilt import spoil
from small_scenario import write_small

from placement.scenario import Scenario, ScenarioError, load


@settings(max_examples=120, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_spoilt_scenario_loads_or_says_why_and_never_crashes(data: st.DataObject) -> None:
    place = Path(tempfile.mkdtemp())
    try:
        folder = write_small(place / "small")
        spoil(folder, data)
        try:
            scenario = load(folder)
        except ScenarioError as error:
            errors = [finding for finding in error.findings if finding.severity == "error"]
            assert errors
            assert str(error)
            for finding in error.findings:
                assert finding.message
                assert finding.mend
                assert finding.file
                assert str(finding).isprintable()
        else:
            assert isinstance(scenario, Scenario)
            for name in scenario.tables:
                numbers = scenario.table(name).select_dtypes("number")
                assert not (numbers.abs() == float("inf")).any().any()
    finally:
        shutil.rmtree(place)
