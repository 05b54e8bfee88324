"""Whatever is done to the files of a scenario, load gives a Scenario or a ScenarioError with something to say."""

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scenario_spoilt import spoil
from small_scenario import write_small
from whole_scenario import write_whole

from placement.scenario import Scenario, ScenarioError, load, rules_on


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_spoilt_scenario_loads_or_says_why_and_never_crashes(data: st.DataObject) -> None:
    loads_or_says_why(write_small, data)


@settings(max_examples=80, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_spoilt_scenario_with_every_rule_on_loads_or_says_why(data: st.DataObject) -> None:
    loads_or_says_why(write_whole, data)


def loads_or_says_why(write: Callable[[Path], Path], data: st.DataObject) -> None:
    place = Path(tempfile.mkdtemp())
    try:
        folder = write(place / "scenario")
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
            assert all(rule.says.isprintable() for rule in rules_on(scenario))
            for name in scenario.tables:
                numbers = scenario.table(name).select_dtypes("number")
                assert not (numbers.abs() == float("inf")).any().any()
    finally:
        shutil.rmtree(place)
