"""Pins on the command line: their form, what they ask, what they cost."""

from pathlib import Path

import pytest
import tiny
from click.testing import CliRunner

from placement.cli import main
from placement.pinning import Pin, PinError, parse_pin, pinned
from placement.planning import plan_scenario
from placement.scenario import load
from placement.solving import Request


@pytest.mark.parametrize(
    ("text", "pin"),
    [
        ("m8@alpha:2", Pin("m8", "alpha", 2, None)),
        ("m8@alpha:2-3", Pin("m8", "alpha", 2, 3)),
        ("m8@alpha:-3", Pin("m8", "alpha", 0, 3)),
        ("m8@alpha:0-0", Pin("m8", "alpha", 0, 0)),
        ("llama-3.1-8b@fra1:1", Pin("llama-3.1-8b", "fra1", 1, None)),
    ],
)
def test_a_pin_says_at_least_and_at_most(text: str, pin: Pin) -> None:
    assert parse_pin(text) == pin


@pytest.mark.parametrize("text", ["m8@alpha", "m8:2", "m8@alpha:", "m8@alpha:-", "m8@alpha:x", "m8@alpha:3-2", ""])
def test_what_is_no_pin_is_refused(text: str) -> None:
    with pytest.raises(PinError):
        parse_pin(text)


@pytest.mark.parametrize("text", ["m9@alpha:1", "m8@gamma:1"])
def test_a_pin_of_something_unknown_is_refused(text: str, tmp_path: Path) -> None:
    with pytest.raises(PinError, match="is called"):
        pinned(load(tiny.write(tmp_path)), [parse_pin(text)])


def test_a_pin_shows_its_price(tmp_path: Path) -> None:
    """A replica at alpha opens it, 50 USD, on a server of 231.90."""
    scenario = load(tiny.write(tmp_path / "scenario"))
    planned = plan_scenario(scenario, tmp_path / "plan", Request("exact", pins=(parse_pin("m8@alpha:1"),)))
    assert planned.pins_usd_month == pytest.approx(281.90, abs=0.01)
    assert planned.document.provenance.parameters["pins"] == ["m8@alpha:1-"]


def test_a_plan_with_a_pin_passes_the_audit_of_the_scenario_without_it(tmp_path: Path) -> None:
    folder = tiny.write(tmp_path / "scenario")
    out = str(tmp_path / "plan")
    ran = CliRunner().invoke(main, ["plan", str(folder), "-o", out, "--pin", "m8@alpha:1"])
    assert ran.exit_code == 0, ran.output
    assert "the pins add 281.90 USD a month" in ran.output
    audited = CliRunner().invoke(main, ["audit", out, "--scenario", str(folder)])
    assert audited.exit_code == 0, audited.output


def test_an_unreadable_pin_is_a_usage_error_and_nothing_is_written(tmp_path: Path) -> None:
    folder = tiny.write(tmp_path / "scenario")
    ran = CliRunner().invoke(main, ["plan", str(folder), "-o", str(tmp_path / "plan"), "--pin", "m8=alpha"])
    assert ran.exit_code == 2
    assert not (tmp_path / "plan").exists()
