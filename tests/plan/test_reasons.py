"""Why demand is left unserved, said by the rule that keeps it out."""

from collections.abc import Mapping
from pathlib import Path

import pytest
import tiny

from placement.planning import plan_scenario
from placement.scenario import load
from placement.solving import Request

Changes = Mapping[str, str | None]

FAR = "\n".join(line for line in tiny.FILES["measurements/pairs.csv"].splitlines() if "berlin" not in line) + "\n"
LIMITS = (tiny.FILES["scenario.toml"] or "") + "[limits]\ninstalls_per_period = 0\n"
ONE_SERVER = tiny.FILES["sites.csv"].replace(",10,42,", ",1,42,")
HOME = {
    "residency.csv": "residency,country\nhome,@own\nnobody,XK\n",
    "demand.csv": "region,model,service,requests_per_s,mean_requests_per_s,residency\n"
    "paris,m8,chat,8,4,home\nberlin,m8,chat,6,6,nobody\n",
}

CASES: dict[str, tuple[Changes, Mapping[str, str]]] = {
    "nothing is known of the way": ({"measurements/pairs.csv": FAR}, {"berlin": "2 latency: nothing is known"}),
    "the budget is too tight": (
        {"services.csv": tiny.FILES["services.csv"].replace("chat,chat,200", "chat,chat,57")},
        # paris plans 10 + 50 ms at alpha, berlin 8 + 50 at beta
        {
            "paris": "2 latency: the nearest allowed site, alpha, plans 60 ms against 57 ms",
            "berlin": "2 latency: the nearest allowed site, beta, plans 58 ms against 57 ms",
        },
    ),
    "nowhere allowed": (HOME, {"berlin": "3 residency"}),
    "nothing is delivered": (
        {"deliveries.csv": "period,delivery_group,server,quantity\n,,s2,0\n"},
        {"paris": "10 stock", "berlin": "10 stock"},
    ),
    "nobody sets them up": ({"scenario.toml": LIMITS}, {"paris": "10 installs", "berlin": "10 installs"}),
    # berlin reaches beta alone, in a country where none may stand
    "none may be exported": (
        {"export.csv": "gpu,server,country,max_gpus,from_date,reason\ng96,,DE,0,2025-01-01,example\n"},
        {"berlin": "11 export"},
    ),
    "no money": (
        {"budgets.csv": "period,capex_usd,monthly_usd\n,4799,\n"},
        {"paris": "12 budget", "berlin": "12 budget"},
    ),
    # berlin alone needs 3 replicas at beta, where one server of two GPUs has the power to stand
    "no power": (
        {"sites.csv": ONE_SERVER, "demand.csv": tiny.FILES["demand.csv"].replace("6,6", "30,30")},
        {"berlin": "7-8 power and racks"},
    ),
    "a server that no site can hold": (
        {"servers.csv": tiny.FILES["servers.csv"].replace("2,1,1,2,4800", "2,1,11,2,4800")},
        {"paris": "6-8 servers", "berlin": "6-8 servers"},
    ),
    "a penalty below the cost": (
        {"services.csv": tiny.FILES["services.csv"].replace("10,1", "10,0.001")},
        {"paris": "4-12 capacity", "berlin": "4-12 capacity"},
    ),
}


@pytest.mark.parametrize("name", sorted(CASES))
def test_what_is_unserved_names_the_rule_that_keeps_it_out(name: str, tmp_path: Path) -> None:
    changed, wanted = CASES[name]
    scenario = load(tiny.write(tmp_path / "scenario", dict(changed)))
    document = plan_scenario(scenario, tmp_path / "plan", Request("exact", work=4)).document
    said = {row.region: row.reason for row in document.unserved}
    assert said.keys() == wanted.keys()
    for region, reason in wanted.items():
        assert said[region].startswith(reason)


def test_each_period_has_its_own_reason(tmp_path: Path) -> None:
    demand = "region,model,service,period,requests_per_s\nparis,m8,chat,h1,8\nparis,m8,chat,h2,8\n"
    late = "period,delivery_group,server,quantity\nh1,,s2,0\nh2,,s2,1\n"
    scenario = load(tiny.write(tmp_path / "scenario", {"demand.csv": demand, "deliveries.csv": late}))
    document = plan_scenario(scenario, tmp_path / "plan", Request("exact", work=4)).document
    assert [(row.period, row.reason[:8]) for row in document.unserved] == [("h1", "10 stock")]
