"""Rule 3 as a scenario states it: sets, words, blocs, vendors, and sets that leave no site."""

from pathlib import Path

import pytest
from small_scenario import DOCUMENT, TABLES, findings, only, put, set_cell

RESIDENCY = "residency,country,scope\neu,@bloc:EU,\nhome,@own,\nvendor,@any,\nvendor,@bloc:EU,vendor\n"


def with_residency(folder: Path, text: str, service: str = "eu", other: str = "home") -> None:
    put(folder, "residency.csv", text)
    set_cell(folder, "services", 2, "residency", service)
    set_cell(folder, "services", 3, "residency", other)


def test_residency_sets_with_words_and_blocs_are_sound(folder: Path) -> None:
    with_residency(folder, RESIDENCY, "vendor")
    assert findings(folder) == ()


@pytest.mark.parametrize(
    ("entry", "rule", "words"),
    [
        ("@bloc:EUU", "unknown-bloc", "EU"),
        ("@bloc:eu", "unknown-bloc", "'EU'"),
        ("@home", "unknown-country", "@own"),
        ("EU", "unknown-country", "ISO"),
        ("UK", "unknown-country", "GB"),
    ],
)
def test_an_unknown_residency_entry_is_named(folder: Path, entry: str, rule: str, words: str) -> None:
    with_residency(folder, RESIDENCY + f"eu,{entry},\n")
    finding = only(folder, rule)
    assert (finding.file, finding.row, finding.column, finding.value) == ("residency.csv", 6, "country", entry)
    assert words in finding.mend


def test_an_empty_residency_is_an_error_unless_there_is_a_default(folder: Path) -> None:
    with_residency(folder, RESIDENCY, "")
    finding = only(folder, "residency-empty")
    assert (finding.file, finding.row, finding.severity) == ("services.csv", 2, "error")
    put(folder, "scenario.toml", DOCUMENT + 'default_residency = "eu"\n')
    assert not [f for f in findings(folder) if f.severity == "error"]
    put(folder, "scenario.toml", DOCUMENT + 'default_residency = "ue"\n')
    assert only(folder, "unknown-residency-set").column == "limits.default_residency"


def test_a_set_that_allows_no_site_is_named_with_whom_it_bars(folder: Path) -> None:
    with_residency(folder, RESIDENCY + "far,JP,\n", "far")
    assert "allows no site" in only(folder, "residency-no-site").message
    # Namibia has a site, Germany and Portugal too: @own bars nobody, until Windhoek is gone
    with_residency(folder, RESIDENCY, "home")
    assert findings(folder) == ()
    put(folder, "sites.csv", TABLES["sites"].replace("NA,-22.56,17.08", "ZA,-26.2,28.0"))
    finding = next(f for f in findings(folder) if f.rule == "residency-no-site")
    assert finding.message.endswith("for users in NA")


def test_a_vendor_rule_looks_at_the_vendor_of_the_site(folder: Path) -> None:
    set_cell(folder, "sites", 2, "vendor_jurisdiction", "US")
    with_residency(folder, RESIDENCY, "vendor")
    assert only(folder, "residency-no-site").value == "vendor"
