"""Domains and what scenario.toml lets fail."""

from pathlib import Path

import pytest
from small_scenario import DOCUMENT, add_line, findings, only, put

DOMAINS = "domain,kind,site\niberia,grid,lis\ncentral,grid,fra\ntagus,metro,lis\n"


def reliability(folder: Path, *lines: str) -> None:
    put(folder, "scenario.toml", DOCUMENT + "\n".join(["[reliability]", *lines]) + "\n")


@pytest.mark.parametrize("kinds", ['["metro"]', '["metro", "grid"]', '["all"]'])
@pytest.mark.parametrize("policy", ["planned", "proportional", "priority"])
def test_kinds_that_domains_have_may_fail(folder: Path, kinds: str, policy: str) -> None:
    put(folder, "domains.csv", DOMAINS)
    reliability(folder, f"n_minus_1 = {kinds}", f'failover = "{policy}"')
    assert findings(folder) == ()


def test_a_kind_that_no_domain_has_is_named_with_its_line(folder: Path) -> None:
    put(folder, "domains.csv", DOMAINS)
    reliability(folder, 'n_minus_1 = ["grid", "metros"]')
    finding = only(folder, "unknown-domain-kind")
    place = ("scenario.toml", 10, "reliability.n_minus_1", "metros", "error")
    assert (finding.file, finding.row, finding.column, finding.value, finding.severity) == place
    assert "Did you mean 'metro'?" in finding.mend


@pytest.mark.parametrize("table", [None, "domain,kind,site\n"])
def test_n_minus_1_without_domains_is_an_error(folder: Path, table: str | None) -> None:
    if table is not None:
        put(folder, "domains.csv", table)
    reliability(folder, 'n_minus_1 = ["all"]')
    finding = only(folder, "no-domains")
    assert (finding.file, finding.row, finding.value, finding.severity) == ("scenario.toml", 10, "all", "error")


def test_domains_that_nothing_lets_fail_are_a_warning_that_n_minus_1_is_off(folder: Path) -> None:
    put(folder, "domains.csv", DOMAINS)
    finding = only(folder, "n-1-off")
    assert (finding.file, finding.value, finding.severity) == ("domains.csv", "3 rows", "warning")


def test_a_domain_that_may_fail_and_holds_every_site_is_doubted(folder: Path) -> None:
    every = "world,planet,fra\nworld,planet,lis\nworld,planet,whk\n"
    put(folder, "domains.csv", DOMAINS + every)
    reliability(folder, 'n_minus_1 = ["metro"]')
    assert findings(folder) == ()
    reliability(folder, 'n_minus_1 = ["all"]')
    finding = only(folder, "domain-holds-all")
    assert (finding.file, finding.row, finding.column, finding.value) == ("domains.csv", 5, "domain", "world")
    assert finding.severity == "warning"


def test_a_domain_has_one_kind(folder: Path) -> None:
    put(folder, "domains.csv", DOMAINS)
    add_line(folder, "domains.csv", "iberia,carrier,fra")
    reliability(folder, 'n_minus_1 = ["all"]')
    finding = only(folder, "domain-kind")
    place = ("domains.csv", 5, "kind", "carrier", "error")
    assert (finding.file, finding.row, finding.column, finding.value, finding.severity) == place


@pytest.mark.parametrize("policy", ["proportional", "priority"])
def test_a_way_to_fail_over_without_failures_is_an_error(folder: Path, policy: str) -> None:
    reliability(folder, f'failover = "{policy}"')
    finding = only(folder, "failover-without-n-1")
    place = ("scenario.toml", 10, "reliability.failover", policy, "error")
    assert (finding.file, finding.row, finding.column, finding.value, finding.severity) == place


def test_a_site_of_a_domain_exists(folder: Path) -> None:
    put(folder, "domains.csv", DOMAINS.replace("central,grid,fra", "central,grid,fre"))
    reliability(folder, 'n_minus_1 = ["metro"]')
    assert (only(folder, "unknown-site").file, only(folder, "unknown-site").row) == ("domains.csv", 3)
