"""Kinds of sites and servers, transit, carbon, promises of services."""

from pathlib import Path

import pytest
from small_scenario import DOCUMENT, TABLES, findings, only, put, set_cell

from placement.scenario import Finding

DAY = "slice,start_utc,hours_per_day\npeak,18:00,1.2\nrest,19:12,22.8\n"


def place(finding: Finding) -> tuple[str, int | None, str, str, str]:
    return finding.file, finding.row, finding.column, finding.value, finding.severity


def slices(folder: Path, text: str = DAY) -> None:
    put(folder, "slices.csv", text)
    names = [line.split(",")[0] for line in text.splitlines()[1:]]
    rows = "".join(f"{region},m8,assistant,{name},5\n" for region in ("berlin", "porto") for name in names)
    put(folder, "demand.csv", f"region,model,service,slice,requests_per_s\n{rows}")


def test_a_cloud_server_stands_at_a_cloud_site(folder: Path) -> None:
    set_cell(folder, "servers", 2, "stands_at", "cloud")
    finding = only(folder, "server-nowhere")
    assert place(finding) == ("servers.csv", 2, "stands_at", "cloud", "warning")
    set_cell(folder, "sites", 3, "kind", "cloud")
    assert findings(folder) == ()


def test_a_cloud_site_has_a_server_that_may_stand_there(folder: Path) -> None:
    set_cell(folder, "sites", 3, "kind", "cloud")
    assert place(only(folder, "site-without-server")) == ("sites.csv", 3, "kind", "cloud", "warning")
    set_cell(folder, "servers", 3, "stands_at", "any")
    assert findings(folder) == ()


def test_the_fleet_stands_where_its_servers_may(folder: Path) -> None:
    set_cell(folder, "sites", 3, "kind", "cloud")
    set_cell(folder, "servers", 3, "stands_at", "any")
    put(folder, "fleet.csv", "site,server,count\nlis,pro-8,1\nlis,pro-2,1\nfra,pro-2,1\n")
    assert place(only(folder, "fleet-kind")) == ("fleet.csv", 3, "server", "pro-2", "error")


def test_a_kind_of_site_is_one_of_two_words(folder: Path) -> None:
    set_cell(folder, "sites", 3, "kind", "region")
    assert place(only(folder, "unknown-choice")) == ("sites.csv", 3, "kind", "region", "error")


@pytest.mark.parametrize("billing", ["p95", "mean"])
def test_a_way_of_billing_without_a_price_is_an_error(folder: Path, billing: str) -> None:
    slices(folder)
    set_cell(folder, "sites", 3, "transit_billing", billing)
    assert place(only(folder, "transit-without-price")) == ("sites.csv", 3, "transit_billing", billing, "error")
    set_cell(folder, "sites", 3, "transit_usd_per_mbps_month", "2")
    assert findings(folder) == ()


def test_95_5_without_a_short_slice_is_said_to_be_the_peak(folder: Path) -> None:
    slices(folder)
    for line in (2, 3):
        set_cell(folder, "sites", line, "transit_usd_per_mbps_month", "2")
        set_cell(folder, "sites", line, "transit_billing", "p95")
    assert findings(folder) == ()  # 1.2 h are 5 % of a day
    slices(folder, DAY.replace("1.2", "1.3").replace("22.8", "22.7").replace("19:12", "19:18"))
    finding = only(folder, "p95-is-peak")
    assert place(finding) == ("sites.csv", 2, "transit_billing", "p95", "warning")
    assert "2 sites" in finding.message


@pytest.mark.parametrize(
    "key", ["[limits]\nmax_tco2e_month = 5", "[objective]\nusd_per_tco2e = 90", '[objective]\ngoals = ["carbon"]']
)
def test_carbon_that_counts_must_be_known_of_sites_and_servers(folder: Path, key: str) -> None:
    put(folder, "scenario.toml", DOCUMENT.replace("[limits]\nbandwidth_free_kbyte = 14\n", "") + key + "\n")
    set_cell(folder, "sites", 2, "gco2_per_kwh", "380")
    energy, servers = only(folder, "carbon-energy"), only(folder, "carbon-embodied")
    assert place(energy) == ("sites.csv", 3, "gco2_per_kwh", "", "error")
    assert "of lis, whk:" in energy.message
    assert place(servers) == ("servers.csv", 2, "embodied_kgco2e", "", "error")
    assert "of pro-2, pro-8:" in servers.message
    put(folder, "energy.csv", "site,country,slice,gco2_per_kwh\nwhk,,,300\n,PT,,200\n")
    for line in (2, 3):
        set_cell(folder, "servers", line, "embodied_kgco2e", "1500")
    assert findings(folder) == ()


def test_carbon_of_some_slices_is_not_carbon_of_the_day(folder: Path) -> None:
    slices(folder)
    put(folder, "scenario.toml", DOCUMENT + "max_tco2e_month = 5\n")
    for line in (2, 3):
        set_cell(folder, "servers", line, "embodied_kgco2e", "1500")
    energy = "site,country,slice,gco2_per_kwh\n,DE,,380\nwhk,,peak,300\n,NA,rest,100\n,PT,rest,200\n"
    put(folder, "energy.csv", energy)
    assert "of lis:" in only(folder, "carbon-energy").message
    put(folder, "energy.csv", energy + ",PT,peak,250\n")
    assert findings(folder) == ()


def test_carbon_is_asked_only_of_what_may_be_used(folder: Path) -> None:
    put(folder, "scenario.toml", DOCUMENT + "max_tco2e_month = 5\n")
    for line in (2, 3):
        set_cell(folder, "sites", line, "gco2_per_kwh", "380")
    set_cell(folder, "sites", 4, "power_kw", "1.5")  # below every server
    put(folder, "gpus.csv", TABLES["gpus"] + "old,80,1,400\n")
    put(folder, "servers.csv", TABLES["servers"] + "old-8,old,8,0,6,6,100000\n")  # no shape runs on it
    for line in (2, 3):
        set_cell(folder, "servers", line, "embodied_kgco2e", "1500")
    assert findings(folder) == ()


def test_a_dedicated_service_has_a_tenant(folder: Path) -> None:
    set_cell(folder, "services", 3, "dedicated", "yes")
    finding = only(folder, "dedicated-without-tenant")
    assert place(finding) == ("services.csv", 3, "dedicated", "yes", "error")
    set_cell(folder, "services", 3, "tenant", "bank")
    assert findings(folder) == ()


def test_a_least_share_and_most_sites_agree(folder: Path) -> None:
    set_cell(folder, "services", 2, "min_share", "0.3")
    set_cell(folder, "services", 2, "max_sites", "3")
    assert findings(folder) == ()
    set_cell(folder, "services", 2, "max_sites", "4")
    finding = only(folder, "spread")
    assert place(finding) == ("services.csv", 2, "max_sites", "4", "warning")
    assert "at most 3 sites" in finding.message
    set_cell(folder, "services", 2, "max_sites", "0")
    assert place(only(folder, "units")) == ("services.csv", 2, "max_sites", "0", "error")


def test_a_backup_budget_below_the_daily_one_is_doubted(folder: Path) -> None:
    set_cell(folder, "services", 2, "backup_latency_budget_ms", "900")
    assert findings(folder) == ()
    set_cell(folder, "services", 2, "backup_latency_budget_ms", "700")
    assert place(only(folder, "backup-budget")) == ("services.csv", 2, "backup_latency_budget_ms", "700", "warning")
