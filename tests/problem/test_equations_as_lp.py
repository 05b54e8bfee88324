"""One golden LP file per equation, from the tables of the smallest scenario that shows it to the rows of its model.

Each scenario is that of `tiny` with one thing changed; `SHOWS` says what to look for in the text, or what must be gone.
Write them anew with `python tests/problem/test_equations_as_lp.py`, and read what changed before committing it.
"""

import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # when it is run by itself

import tiny
from tiny import IN_PERIODS, SLICED, SLICES, column, document_with

from placement.problem import build_rollout
from placement.scenario import load
from placement.topology import build_pairs
from solvers.exact.lp_text import lp_text
from solvers.exact.stack import build_stack

GOLDEN = Path(__file__).parent / "golden"
Changes = Mapping[str, str | None]


CARBON = {**column("sites.csv", "gco2_per_kwh", 500, 400), **column("servers.csv", "embodied_kgco2e", 960)}

EQUATIONS: dict[str, tuple[Changes, tuple[str, ...], tuple[str, ...]]] = {
    # name: changes, what the text holds, what it does not
    "01-demand": ({}, ("c1_demand_i0", "c1_demand_i1"), ()),
    "01-spread": (
        column("services.csv", "min_share,max_sites", "0.3,1"),
        ("c1_least_share", "c1_most_sites", "uses_"),
        (),
    ),
    # 30 + 50 ms are beyond 79: paris loses beta, and a share column with it
    "02-latency": (tiny.edited("services.csv", "chat,200", "chat,79"), ("share_1",), ("share_2",)),
    "03-residency": (
        {
            "residency.csv": "residency,country\nhome,@own\n",
            **column("services.csv", "residency", "home"),
        },
        ("share_1",),
        ("share_2",),
    ),
    "04-replica-capacity": ({}, ("c4_replica_capacity",), ()),
    "05-linking": ({}, ("c5_linking",), ()),
    "06-gpus": ({}, ("c6_gpus",), ()),
    "06-replicas-follow-slices": (
        {"demand.csv": SLICED, "slices.csv": SLICES, **document_with("[limits]\nreplicas_follow_slices = true\n")},
        ("c6_gpus", "_t0", "_t1"),
        (),
    ),
    # either kind of server fits alone into 1.6 kW at alpha, not both
    "07-power": (
        {
            **tiny.edited("sites.csv", "FR,48.86,2.35,10,", "FR,48.86,2.35,1.6,"),
            "servers.csv": tiny.FILES["servers.csv"] + "s1,g96,1,1,0.7,1,2600,0.2,10,0,48\n",
            **tiny.edited("demand.csv", "paris,m8,chat,8,4", "paris,m8,chat,28,4"),
        },
        ("c7_site_resources_p0_r0: - 1.6 h0_open_0 + 0.7 h0_servers_0 + h0_servers_1 <= 0",),
        (),
    ),
    "09-network": (tiny.edited("sites.csv", "10,42,1000", "10,42,0.65"), ("c9_uplink_p1",), ()),
    "09-transit-peak": (
        {"demand.csv": SLICED, "slices.csv": SLICES, **column("sites.csv", "transit_usd_per_mbps_month", 2, 2)},
        ("c9_peak", "peak_0", "peak_1"),
        (),
    ),
    "10-inventory": (
        {"deliveries.csv": "period,delivery_group,server,quantity\n,,s2,1\n"},
        ("c10_limits", "<= 1"),
        (),
    ),
    "10-roll-out": ({"demand.csv": IN_PERIODS}, ("c10_stays",), ()),
    "11-export": (
        {"export.csv": "gpu,server,country,max_gpus,from_date,reason\ng96,,DE,0,,example\n"},
        ("open_0",),
        ("servers_1 <= 1",),
    ),
    "12-capex": (
        {"demand.csv": IN_PERIODS, "budgets.csv": "period,capex_usd,monthly_usd\nh1,4800,\nh2,4800,400\n"},
        ("c12_capex", "c12_monthly_budget"),
        (),
    ),
    "13-n-minus-1": (
        {
            **document_with('[reliability]\nn_minus_1 = ["metro"]\n'),
            "domains.csv": "domain,kind,site\nmetro-alpha,metro,alpha\nmetro-beta,metro,beta\n",
        },
        ("c13_backup_balance", "c13_survivor_capacity", "backup_"),
        (),
    ),
    "14-pins": (
        {"pins.csv": "model,site,min_replicas,max_replicas,reason\nm8,alpha,1,,example\nm8,beta,,1,example\n"},
        ("c14_least_pinned", "c14_most_pinned"),
        (),
    ),
    "15-jobs": (
        {
            "jobs.csv": "job,kind,model,gpu,gpus,hours,preemptible,data_gb,data_site\n"
            "tune,finetune,m8,g96,2,100,yes,100,alpha\n"
        },
        ("c15_one_option", "job_0", "job_1"),
        (),
    ),
    "16-carbon": (
        {**CARBON, "scenario.toml": (tiny.FILES["scenario.toml"] or "") + "[limits]\nmax_tco2e_month = 0.3\n"},
        ("c16_totals", "<= 0.2999997"),
        (),
    ),
}


def text_of(name: str, folder: Path) -> str:
    scenario = load(tiny.write(folder, dict(EQUATIONS[name][0])))
    return lp_text(build_stack(build_rollout(scenario, build_pairs(scenario).pairs).rollout))


@pytest.mark.parametrize("name", sorted(EQUATIONS))
def test_an_equation_reads_as_its_golden_file(name: str, tmp_path: Path) -> None:
    text = text_of(name, tmp_path / "scenario")
    assert text == (GOLDEN / f"{name}.lp").read_text("utf-8")
    _, holds, lacks = EQUATIONS[name]
    assert [part for part in holds if part not in text] == []
    assert [part for part in lacks if part in text] == []


if __name__ == "__main__":
    GOLDEN.mkdir(exist_ok=True)
    for each in EQUATIONS:
        with tempfile.TemporaryDirectory() as scratch:
            (GOLDEN / f"{each}.lp").write_text(text_of(each, Path(scratch) / "scenario"), "utf-8")
