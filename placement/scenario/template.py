"""A scenario to begin with: five small files to edit, or a copy of a bundled one."""

import shutil
from pathlib import Path

from placement.datasets import UnknownDatasetError, dataset, scenario_names
from placement.scenario.dictionary import tables
from placement.scenario.document import FILE
from placement.scenario.files import MEASUREMENTS

DOCUMENT = """# A scenario: this file, and tables as CSV or Parquet beside it. Five are enough:
# sites, regions, services, demand and the folder measurements. docs/data-dictionary.md has every table and column.
name = "my-first"
currency = "USD"
planning_date = 2026-01-01  # export rules begin, and the age of measurements counts, from this day
seed = 1

[money]
wacc = 0.08  # cost of capital a year: 8 percent
# latency_usd_per_million_request_ms = 0.5  # what a million requests that wait a millisecond longer are worth

[limits]
bandwidth_free_kbyte = 14  # a request up to this size needs no measured bandwidth
# max_age_days = 30  # older measurements are not used
# default_residency = "anywhere"  # a set of residency.csv, for services that name none
# replicas_follow_slices = true  # replicas may differ between the slices of slices.csv
# installs_per_period = 20  # most new servers set up in each period that demand names
# max_tco2e_month = 50  # wants gco2_per_kwh of sites and embodied_kgco2e of servers
# min_served_share = 0.99  # of a month's requests

# [quality]  # gates that leave out measurements which cannot be true: docs/quality.md
# off = ["anycast"]  # those that are not asked
# neighbours = false  # unmeasured pairs are then not inferred from measured ones of the same ends

# [uncertainty]  # of round trips that are inferred: docs/uncertainty.md
# percentile = 0.8  # planned as what 80 % of the chance lies below; without it the upper end of the interval
# late_usd_per_1000 = 2  # what a thousand requests that miss their latency budget cost

[shapes]  # which shapes of the catalog may be used; an empty list means all
# gpus = ["rtx-pro-6000-se"]
# precisions = ["fp8", "fp4"]

# [reliability]  # the plan survives the failure of any one domain of these kinds (domains.csv: domain, site, kind)
# n_minus_1 = ["metro"]
# failover = "planned"  # or proportional, or priority

# [stability]  # against the plan before
# previous_plan = "../plans/yesterday"
# max_moves = 50  # replicas added
# usd_per_move = 5

# [objective]  # each goal is reached before the next; a gap is the share of it that later ones may give up
# goals = ["served", "cost"]  # out of cost, served, latency, carbon, moves
# goal_gaps = [0.001, 0.0001]
# usd_per_tco2e = 90
"""

_ROWS: dict[str, tuple[dict[str, str], ...]] = {
    "sites": (
        {
            "site": "fra1", "name": "Frankfurt", "country": "DE", "latitude": "50.11", "longitude": "8.68",
            "power_kw": "60", "rack_units": "84", "uplink_mbps": "40000", "egress_usd_per_gb": "0.02",
            "usd_per_kwh": "0.20",
        },
        {
            "site": "lis1", "name": "Lisbon", "country": "PT", "latitude": "38.72", "longitude": "-9.14",
            "power_kw": "20", "rack_units": "42", "uplink_mbps": "10000", "egress_usd_per_gb": "0.03",
            "usd_per_kwh": "0.14",
        },
    ),
    "regions": (
        {
            "region": "berlin",             "name": "Berlin",
            "country": "DE",             "latitude": "52.52",             "longitude": "13.40",
            "users": "3400000",
        },
        {
            "region": "porto",             "name": "Porto",
            "country": "PT",             "latitude": "41.15",             "longitude": "-8.61",
            "users": "1300000",
        },
        {
            "region": "windhoek",             "name": "Windhoek",
            "country": "NA",             "latitude": "-22.56",             "longitude": "17.08",
            "users": "300000",
        },
    ),
    "services": (
        {"service": "assistant", "profile": "chat", "latency_budget_ms": "500", "kbyte_in": "5", "kbyte_out": "40"},
    ),
    "demand": (
        {"region": "berlin", "model": "llama-3.1-8b", "service": "assistant", "requests_per_s": "40"},
        {"region": "porto", "model": "llama-3.1-8b", "service": "assistant", "requests_per_s": "15"},
        {"region": "windhoek", "model": "llama-3.1-8b", "service": "assistant", "requests_per_s": "3"},
    ),
}  # fmt: skip

# Region, site, round trips in ms of four pings; one was lost.
_PINGS = (
    ("berlin", "fra1", ("9.8", "10.1", "10.4", "11.9")),
    ("berlin", "lis1", ("38.2", "38.9", "39.3", "44.0")),
    ("porto", "fra1", ("36.5", "36.8", "37.2", "41.7")),
    ("porto", "lis1", ("6.1", "6.2", "6.6", "8.0")),
    ("windhoek", "fra1", ("171.0", "172.4", "180.9")),
    ("windhoek", "lis1", ("160.2", "161.0", "161.3", "169.8")),
)
_PING_HEADER = "observed_at,source,target,method,sent,received,rtt_ms"


def write_template(folder: Path) -> None:
    """Write a scenario of five small files, ready to plan and to edit, into a folder that is new or empty.

    Raises:
        FileExistsError: the folder holds something.
        OSError: it cannot be written.
    """
    _make_room(folder)
    (folder / FILE).write_text(DOCUMENT, encoding="utf-8")
    for name, rows in _ROWS.items():
        given = [column.name for column in tables()[name].columns if column.name in rows[0]]
        lines = [",".join(given), *(",".join(row[column] for column in given) for row in rows)]
        (folder / f"{name}.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (folder / MEASUREMENTS).mkdir()
    pings = [
        f"2025-12-31T12:00:00Z,{source},{target},icmp,4,{len(times)},{';'.join(times)}"
        for source, target, times in _PINGS
    ]
    text = "\n".join([_PING_HEADER, *pings]) + "\n"
    (folder / MEASUREMENTS / "sample.csv").write_text(text, encoding="utf-8")


def copy_dataset(name: str, folder: Path) -> None:
    """Copy a bundled scenario into a folder that is new or empty.

    Raises:
        UnknownDatasetError: no bundled scenario has this name; the message lists those there are.
        FileExistsError: the folder holds something.
        OSError: it cannot be written.
    """
    if name not in scenario_names():
        listed = ", ".join(scenario_names())
        raise UnknownDatasetError(f"no bundled scenario is called {name!r}; there are: {listed}")
    _make_room(folder)
    shutil.copytree(dataset(name), folder, dirs_exist_ok=True)


def _make_room(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise FileExistsError(f"{folder} is not empty: name a new folder")
