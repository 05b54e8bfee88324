"""The rules beyond the daily ones, one at a time: planned, audited, and worth what paper says.

The scenario is that of `tiny`: everything at beta on one server of two GPUs costs 328.84 a month; a server more costs
231.90, opening alpha 50.
"""

from collections.abc import Mapping
from pathlib import Path

import pytest
import tiny
from tiny import IN_PERIODS, SLICED, SLICES, column, document_with

from placement.plan.document import PlanDocument
from placement.planning import plan_scenario
from placement.scenario import load
from placement.solving import Method, Request

Changes = Mapping[str, str | None]

SERVER = 231.90
ALPHA = 50 + SERVER
BOTH_UNSERVED = 10_512 + 15_768
METROS = "domain,kind,site\nmetro-alpha,metro,alpha\nmetro-beta,metro,beta\n"
FIRST_HALF = 40 + SERVER + (43.80 + 13.14) / 2  # half the demand, on one replica


def n_minus_1(failover: str) -> Changes:
    return {**document_with(f'[reliability]\nn_minus_1 = ["metro"]\nfailover = "{failover}"\n'), "domains.csv": METROS}


EITHER, EXACT = ("exact", "scale"), ("exact",)
VARIANTS: dict[str, tuple[Changes, float, tuple[Method, ...]]] = {
    # paris must have somewhere to go when its metro fails; berlin reaches beta alone, so that it is exempt
    "N-1 planned": (n_minus_1("planned"), 328.84 + ALPHA, EITHER),
    "N-1 priority": (n_minus_1("priority"), 328.84 + ALPHA, EXACT),
    "N-1 proportional": (n_minus_1("proportional"), 328.84 + ALPHA, EXACT),
    # 180 + 50 ms are within 240: berlin has a backup, and alpha's server holds both of its replicas
    "N-1 with a longer backup budget": (
        n_minus_1("planned") | column("services.csv", "backup_latency_budget_ms", 240),
        328.84 + ALPHA,
        EITHER,
    ),
    # a domain of all sites leaves nobody to stand in, so that everybody is exempt
    "N-1 over the whole world": (
        {**n_minus_1("planned"), "domains.csv": "domain,kind,site\nworld,metro,alpha\nworld,metro,beta\n"},
        328.84,
        EITHER,
    ),
    "N-1 over grids, of which there is none to fail": (
        {**document_with('[reliability]\nn_minus_1 = ["grid"]\n'), "domains.csv": METROS + "grid-x,grid,alpha\n"},
        328.84,
        EITHER,
    ),
    "a pin that asks for a replica": (
        {"pins.csv": "model,site,min_replicas,max_replicas,reason\nm8,alpha,1,,example\n"},
        328.84 + ALPHA,
        EITHER,
    ),
    "a pin that bans": (
        {"pins.csv": "model,site,min_replicas,max_replicas,reason\nm8,beta,,0,example\n"},
        15_768 + 50 + SERVER + 17.52 + 5.256,
        EITHER,
    ),
    # 2 GPUs x 0.4 kW x 1.5 x 100 h x 0.1 USD = 12; at beta a second server and 100 GB x 0.05; alpha would cost 50 more
    "a job beside": (
        {
            "jobs.csv": "job,kind,model,gpu,gpus,hours,preemptible,data_gb,data_site\n"
            "tune,finetune,m8,g96,2,100,yes,100,alpha\n"
        },
        328.84 + SERVER + 12 + 5,
        EITHER,
    ),
    # its data may not leave France
    "a job that stays at home": (
        {
            "jobs.csv": "job,kind,model,gpu,gpus,hours,preemptible,residency,data_gb,data_site\n"
            "tune,finetune,m8,g96,2,100,yes,france,100,alpha\n",
            "residency.csv": "residency,country\nfrance,FR\nany,@any\n",
            **document_with('[limits]\ndefault_residency = "any"\n'),
        },
        328.84 + ALPHA + 12,
        EITHER,
    ),
    "rent beside buying": (column("servers.csv", "rent_usd_month", 90), 328.84 - 10, EITHER),
    # rented servers draw no stock and no capex
    "rent where nothing is delivered": (
        {
            **column("servers.csv", "rent_usd_month", 120),
            "deliveries.csv": "period,delivery_group,server,quantity\n,,s2,0\n",
        },
        328.84 + 20,
        EITHER,
    ),
    # c1: rent 50, place 50, idle 0.1 x 1.5 x 0.1 x 730 = 10.95 for one GPU; beta holds two of them and nothing else
    "overflow into a cloud": (
        {
            **column("sites.csv", "kind", "edge", "cloud"),
            "servers.csv": "server,gpu,gpus,dpus,power_kw,rack_units,capex_usd,idle_kw,support_usd_month,install_usd,"
            "months,rent_usd_month,stands_at\ns2,g96,2,1,1,2,4800,0.2,10,0,48,,edge\nc1,g96,1,1,0.5,1,,0.1,0,0,48,50,cloud\n",
        },
        40 + 2 * (50 + 50 + 10.95) + 43.80 + 13.14,
        EITHER,
    ),
    # berlin's service is another tenant's, whose replicas share no server: two servers at beta
    "a dedicated tenant": (
        {
            "services.csv": "service,profile,latency_budget_ms,kbyte_in,kbyte_out,unserved_usd_per_1000,tenant,"
            "dedicated\nchat,chat,200,5,10,1,,\nbank,chat,200,5,10,1,bank,yes\n",
            "demand.csv": "region,model,service,requests_per_s,mean_requests_per_s\n"
            "paris,m8,chat,8,4\nberlin,m8,bank,6,6\n",
        },
        328.84 + SERVER,
        EITHER,
    ),
    # 219 kWh idle and 438 kWh of load at 500 g: 0.3285 t; 960 kg over 48 months: 0.02 t; 100 USD a tonne
    "priced carbon": (
        {
            **column("sites.csv", "gco2_per_kwh", 500, 500),
            **column("servers.csv", "embodied_kgco2e", 960),
            **document_with("[objective]\nusd_per_tco2e = 100\n"),
        },
        328.84 + 34.85,
        EITHER,
    ),
    # 0.2 t hold idle 0.1095 t and 181 kWh of load: paris' 175.2 kWh and no more than 5.8 of berlin's 262.8
    "limited carbon": (
        {
            **column("sites.csv", "gco2_per_kwh", 500, 500),
            **column("servers.csv", "embodied_kgco2e", 0),
            "scenario.toml": (tiny.FILES["scenario.toml"] or "") + "[limits]\nmax_tco2e_month = 0.2\n",
        },
        # what a kWh saves in penalty is the same for both: 60,000 USD a month for 438 kWh
        40 + SERVER + (43.80 + 13.14 - BOTH_UNSERVED) * (0.2 - 0.1095) / 0.219 + BOTH_UNSERVED,
        EXACT,
    ),
    "two periods": ({"demand.csv": IN_PERIODS}, (FIRST_HALF + 328.84) / 2, EITHER),
    "two periods, the first twice as long": (
        {"demand.csv": IN_PERIODS, "periods.csv": "period,start_date,months\nh1,,6\nh2,,3\n"},
        (2 * FIRST_HALF + 328.84) / 3,
        EITHER,
    ),
    "a delivery that comes late": (
        {"demand.csv": IN_PERIODS, "deliveries.csv": "period,delivery_group,server,quantity\nh1,,s2,0\nh2,,s2,1\n"},
        (BOTH_UNSERVED / 2 + 328.84) / 2,
        EITHER,
    ),
    "money that comes late": (
        {"demand.csv": IN_PERIODS, "budgets.csv": "period,capex_usd,monthly_usd\nh1,4799,\nh2,4800,\n"},
        (BOTH_UNSERVED / 2 + 328.84) / 2,
        EITHER,
    ),
    "nobody to set them up": (
        {"demand.csv": IN_PERIODS, **document_with("[limits]\ninstalls_per_period = 0\n")},
        BOTH_UNSERVED * 0.75,
        EITHER,
    ),
    "an export rule from the second period on": (
        {
            "demand.csv": IN_PERIODS,
            "periods.csv": "period,start_date,months\nh1,2026-01-01,6\nh2,2026-07-01,6\n",
            "export.csv": "gpu,server,country,max_gpus,from_date,reason\ng96,,DE,0,2026-07-01,example\n",
        },
        # what is bought stays, so that beta may never have it: paris at alpha in both
        0.75 * 15_768 + 50 + SERVER + 0.75 * (17.52 + 5.256),
        EITHER,
    ),
    # 0.8 Mbit/s by day, 0.64 by night, 2 USD each; means 5 and 7 requests/s, half a month each
    "transit by the peak": (
        {
            "demand.csv": SLICED,
            "slices.csv": SLICES,
            **column("sites.csv", "transit_usd_per_mbps_month", 2, 2),
        },
        40 + SERVER + 6 * 4.38 + 1.6,
        EITHER,
    ),
    "transit by the mean": (
        {
            "demand.csv": SLICED,
            "slices.csv": SLICES,
            **column("sites.csv", "transit_usd_per_mbps_month,transit_billing", "2,mean", "2,mean"),
        },
        40 + SERVER + 6 * 4.38 + 1.44,
        EITHER,
    ),
    # the day lasts an hour and is not counted: 1/24 and 23/24 of a month
    "transit by the 95th percentile": (
        {
            "demand.csv": SLICED,
            "slices.csv": "slice,start_utc,hours_per_day\nday,06:00,1\nnight,07:00,23\n",
            **column("sites.csv", "transit_usd_per_mbps_month,transit_billing", "2,p95", "2,p95"),
        },
        40 + SERVER + (5 + 7 * 23) / 24 * 4.38 + 1.28,
        EITHER,
    ),
    "replicas that follow the slices": (
        {
            "demand.csv": SLICED,
            "slices.csv": SLICES,
            **document_with("[limits]\nreplicas_follow_slices = true\n"),
        },
        40 + SERVER + 6 * (4.38 + 1.314),
        EXACT,
    ),
    "nothing is worth serving": (
        {"services.csv": (tiny.FILES["services.csv"] or "").replace("10,1", "10,0.001")},
        BOTH_UNSERVED / 1000,
        EITHER,
    ),
    "served first": (
        {
            "services.csv": (tiny.FILES["services.csv"] or "").replace("10,1", "10,0.001"),
            **document_with('[objective]\ngoals = ["served", "cost"]\n'),
        },
        328.84,
        EXACT,
    ),
    "a least served share": (
        {
            "services.csv": (tiny.FILES["services.csv"] or "").replace("10,1", "10,0.001"),
            **document_with("[limits]\nmin_served_share = 1.0\n"),
        },
        328.84,
        EXACT,
    ),
    # 80 ms at beta against 60 at alpha for paris
    "latency before cost": (
        document_with('[objective]\ngoals = ["served", "latency", "cost"]\n'),
        328.84 + ALPHA,
        EXACT,
    ),
    # 24 requests/s take 2.4 replicas, a site holds 2: one site serves 20 of them
    "one site at most": (
        {
            **column("services.csv", "max_sites", 1),
            "sites.csv": tiny.FILES["sites.csv"].replace(",10,42,", ",1,42,"),
            "demand.csv": "region,model,service,requests_per_s,mean_requests_per_s\nparis,m8,chat,24,12\n",
        },
        40 + SERVER + 10 * (4.38 + 1.314) + 2 * 2628,
        EXACT,
    ),
    # the same without the rule, and with a least share of a site that forbids the sliver of 0.4/2.4 at the second
    "no slivers": (
        {
            **column("services.csv", "min_share", 0.3),
            "sites.csv": tiny.FILES["sites.csv"].replace(",10,42,", ",1,42,"),
            "demand.csv": "region,model,service,requests_per_s,mean_requests_per_s\nparis,m8,chat,24,12\n",
        },
        40 + SERVER + ALPHA + 12 * (4.38 + 1.314),
        EXACT,
    ),
}
CASES = [(name, method) for name, (_, _, methods) in sorted(VARIANTS.items()) for method in methods]


def planned(folder: Path, changes: Changes, method: Method) -> PlanDocument:
    scenario = load(tiny.write(folder / "scenario", dict(changes)))
    return plan_scenario(scenario, folder / "plan", Request(method, work=6)).document


@pytest.mark.parametrize(("name", "method"), CASES)
def test_each_rule_is_planned_audited_and_worth_what_paper_says(name: str, method: Method, tmp_path: Path) -> None:
    changes, worth, _ = VARIANTS[name]
    document = planned(tmp_path, changes, method)
    assert document.objective_usd_month == pytest.approx(worth, abs=0.05)
    assert document.bound_verified_usd_month is not None
    assert document.bound_verified_usd_month <= document.objective_usd_month
