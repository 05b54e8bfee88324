"""What blocks and the ways out, worked out on paper for scenarios in which one thing is in the way.

A server at beta that serves everything costs 328.84 (see `tiny`); at alpha 10 more to open. Every way is checked by
planning with the change made to the scenario's files.
"""

import math
from dataclasses import replace
from pathlib import Path

import pytest
import tiny
from explain_scenes import BOTH_UNSERVED, HOW, NO_STOCK, PINS, SERVER, SHORT_OF_POWER, Changes, posed, with_text

from placement.explain.blockage import Blockage, explain_blocked
from placement.explain.changes import Change
from placement.explain.ways import Way
from placement.planning import plan_scenario
from placement.scenario import load
from placement.solving import Request

LATE = tiny.edited("services.csv", "chat,chat,200", "chat,chat,52")
ONLY_FRANCE = {**with_text('[limits]\ndefault_residency = "home"\n'), "residency.csv": "residency,country\nhome,FR\n"}
SOME_LOSS = {
    "services.csv": "service,profile,latency_budget_ms,kbyte_in,kbyte_out,unserved_usd_per_1000,max_loss\n"
    "chat,chat,200,5,10,1,0.01\n",
    "measurements/pairs.csv": (tiny.FILES["measurements/pairs.csv"] or "").replace(
        "berlin,beta,icmp,3,3,8;8;8", "berlin,beta,icmp,3,2,8;8"
    ),
}
SHARE_OF_NOTHING = {**with_text("[limits]\nmin_served_share = 0.9\n"), **NO_STOCK}
JOB_WITHOUT_GPUS = {
    "jobs.csv": "job,kind,model,gpu,gpus,hours,preemptible\ntune,finetune,m8,g96,2,100,yes\n",
    **NO_STOCK,
}
# berlin alone at beta: opening, a server, its load energy and its egress
BERLIN_ALONE = 40 + SERVER + 26.28 + 0.6 * 13.14
PARIS_ALONE = 50 + SERVER + 17.52 + 0.4 * 13.14

WAYS: dict[str, tuple[Changes, tuple[Change, ...], float, float]] = {
    "no stock": (NO_STOCK, (Change("stock", ("s2", "", ""), 1),), 328.84, 1.0),
    "stock for another group": (
        {
            "sites.csv": (tiny.FILES["sites.csv"] or "")
            .replace("usd_per_kwh,pue", "usd_per_kwh,pue,delivery_group")
            .replace("0.1,1.5", "0.1,1.5,eu"),
            "deliveries.csv": "period,delivery_group,server,quantity\n,eu,s2,0\n",
        },
        (Change("stock", ("s2", "eu", ""), 1),),
        328.84,
        1.0,
    ),
    # a server is 4,800 USD
    "too little capex": (
        {"budgets.csv": "period,capex_usd,monthly_usd\n,100,\n"},
        (Change("capex", ("",), 4700),),
        328.84,
        1.0,
    ),
    # 328.84 and a millionth that plans keep free
    "too little a month": (
        {"budgets.csv": "period,capex_usd,monthly_usd\n,,300\n"},
        (Change("monthly", ("",), 28.85),),
        328.84,
        1.0,
    ),
    "too little power": (SHORT_OF_POWER, (Change("power", ("beta",), 0.6),), 328.84, 1.0),
    "too few rack units": (
        tiny.edited("sites.csv", "50.11,8.68,10,42", "50.11,8.68,10,1.5"),
        (Change("rack_units", ("beta",), 0.5),),
        328.84,
        1.0,
    ),
    # berlin sends 6 x 1,000 kB x 8 = 48 Mbit/s, a millionth is kept free; paris goes to alpha; 100 times the egress
    "too small an uplink": (
        {
            **tiny.edited("sites.csv", "50.11,8.68,10,42,1000", "50.11,8.68,10,42,30"),
            **tiny.edited("services.csv", "5,10,1", "5,1000,1"),
        },
        (Change("uplink", ("beta",), 18.001),),
        BERLIN_ALONE + PARIS_ALONE + 99 * 13.14,
        1.0,
    ),
    "a ban on exports": (
        {"export.csv": "gpu,server,country,max_gpus,reason\ng96,,DE,0,ban\n"},
        (Change("export", ("gpu", "g96", "DE"), 2),),
        328.84,
        1.0,
    ),
    # one replica there takes berlin and half of paris; alpha takes the rest
    "a pin that bans": (PINS, (Change("pin_most", ("m8", "beta"), 1),), 328.84 + 50 + SERVER, 1.0),
    "too late for berlin": (LATE, (Change("latency", ("chat", "DE"), 6),), BERLIN_ALONE + 10_512, 0.6),
    "too late for paris": (LATE, (Change("latency", ("chat", "FR"), 8),), PARIS_ALONE + 15_768, 0.4),
    "no installs": (with_text("[limits]\ninstalls_per_period = 0\n"), (Change("installs", (), 1),), 328.84, 1.0),
    # 100 kg of the server, 219 kWh idle and 438 of load at 100 g: 0.1657 t, and a millionth that plans keep free
    "no carbon": (
        {
            **with_text("[limits]\nmax_tco2e_month = 0.0\n"),
            "sites.csv": (tiny.FILES["sites.csv"] or "")
            .replace("usd_per_kwh,pue", "usd_per_kwh,pue,gco2_per_kwh")
            .replace("0.1,1.5", "0.1,1.5,100"),
            "servers.csv": (tiny.FILES["servers.csv"] or "")
            .replace(",months", ",months,embodied_kgco2e")
            .replace("10,0,48", "10,0,48,4800"),
        },
        (Change("carbon", (), 0.165701),),
        328.84,
        1.0,
    ),
    "residency": (ONLY_FRANCE, (Change("residency", ("home", "DE", "location"), 1),), 328.84, 1.0),
    "residency, stretched": (ONLY_FRANCE, (Change("latency", ("chat", "DE"), 30),), 338.84, 1.0),
    # a third is lost, one in a hundred allowed
    "loss": (SOME_LOSS, (Change("loss", ("chat", "DE"), 0.323334),), 328.84, 1.0),
}


def the_way(answer: Blockage, changes: tuple[Change, ...]) -> Way:
    said = [way.words for way in answer.ways] + [one.words for one in answer.tried]
    found = [way for way in answer.ways if way.changes == changes]
    assert len(found) == 1, said
    return found[0]


@pytest.mark.parametrize("name", WAYS)
def test_a_way_out_is_the_least_that_paper_says_and_comes_to_what_paper_says(name: str, tmp_path: Path) -> None:
    changes, expected, cost_usd, share = WAYS[name]
    case = posed(tmp_path, changes)
    way = the_way(explain_blocked(case, HOW), expected)
    assert way.resolved
    assert way.cost_usd == pytest.approx(cost_usd, abs=0.01)
    assert way.served_share == pytest.approx(share, abs=1e-6)
    assert way.net_usd_month == pytest.approx(case.cost_usd - cost_usd, abs=0.01)


def test_moves_that_are_not_allowed_give_as_many_as_stand_more(tmp_path: Path) -> None:
    """Before, nothing could stand; now two replicas could, and none may be added."""
    tiny.write(tmp_path / "old", dict(NO_STOCK))
    plan_scenario(load(tmp_path / "old"), tmp_path / "new" / "before", Request("exact"))
    text = '[stability]\nprevious_plan = "before"\nmax_moves = 0\n'
    way = the_way(explain_blocked(posed(tmp_path / "new", with_text(text)), HOW), (Change("moves", (), 2),))
    assert way.cost_usd == pytest.approx(328.84, abs=0.01)


def test_ways_are_ordered_by_what_they_net(tmp_path: Path) -> None:
    nets = [way.net_usd_month for way in explain_blocked(posed(tmp_path, LATE), HOW).ways]
    assert nets == sorted(nets, reverse=True)
    assert nets[0] == pytest.approx(15_768 - BERLIN_ALONE, abs=0.01)


def test_where_two_limits_are_in_the_way_both_give(tmp_path: Path) -> None:
    short = {**NO_STOCK, "budgets.csv": "period,capex_usd,monthly_usd\n,100,\n"}
    way = the_way(
        explain_blocked(posed(tmp_path, short), HOW), (Change("capex", ("",), 4700), Change("stock", ("s2", "", ""), 1))
    )
    assert way.net_usd_month == pytest.approx(BOTH_UNSERVED - 328.84, abs=0.01)


def test_a_budget_stretched_for_nothing_is_told_as_tried(tmp_path: Path) -> None:
    """Without stock 30 ms more open alpha to berlin, and nothing can stand there either."""
    answer = explain_blocked(posed(tmp_path, NO_STOCK), HOW)
    assert [one.words for one in answer.tried] == ["30 ms more for chat in DE"]
    assert "no more is served" in answer.tried[0].outcome


def test_what_nobody_measured_is_named_with_the_round_trip_that_would_do(tmp_path: Path) -> None:
    """Berlin to beta: 200 ms less 50 ms to the first token."""
    lines = (tiny.FILES["measurements/pairs.csv"] or "").splitlines(keepends=True)
    answer = explain_blocked(
        posed(tmp_path, {"measurements/pairs.csv": "".join(line for line in lines if "berlin" not in line)}), HOW
    )
    assert [(u.region, u.site, u.missing, u.most_rtt_ms) for u in answer.unmeasured] == [
        ("berlin", "beta", "latency", 150)
    ]
    assert answer.unmeasured[0].km == pytest.approx(423, rel=0.01)
    assert not answer.ways


def test_where_only_the_price_is_in_the_way_it_is_told(tmp_path: Path) -> None:
    """A thousandth of the penalty is 26.28; serving everything costs 328.84."""
    answer = explain_blocked(posed(tmp_path, tiny.edited("services.csv", "5,10,1", "5,10,0.001")), HOW)
    assert answer.price_usd == pytest.approx(328.84 - 26.28, abs=0.01)
    assert not [way for way in answer.ways if way.kinds != ("latency",)]


def test_a_share_that_cannot_be_served_contradicts_the_stock(tmp_path: Path) -> None:
    answer = explain_blocked(posed(tmp_path, SHARE_OF_NOTHING), HOW)
    assert answer.infeasible
    assert set(answer.conflict) == {"stock", "served"}
    assert the_way(answer, (Change("stock", ("s2", "", ""), 1),)).cost_usd == pytest.approx(328.84, abs=0.01)
    dropped = next(way for way in answer.ways if way.kinds == ("served",))
    assert dropped.cost_usd == pytest.approx(BOTH_UNSERVED, abs=0.01)
    assert math.isnan(dropped.net_usd_month)


def test_a_job_without_gpus_is_left_out_or_gets_a_server(tmp_path: Path) -> None:
    """Its energy: 2 GPUs x 0.4 kW x 1.5 x 100 h x 0.1 USD = 12; while it runs, all day, there is no room for users."""
    answer = explain_blocked(posed(tmp_path, JOB_WITHOUT_GPUS), HOW)
    assert set(answer.conflict) == {"stock", "job"}
    assert the_way(answer, (Change("job", ("tune",), 1),)).cost_usd == pytest.approx(BOTH_UNSERVED, abs=0.01)
    bought = the_way(answer, (Change("stock", ("s2", "", ""), 1),))
    assert bought.cost_usd == pytest.approx(BOTH_UNSERVED + 40 + SERVER + 12, abs=0.01)


def test_pins_beyond_the_power_of_a_site_give_or_the_power_does(tmp_path: Path) -> None:
    """25 replicas are 13 servers of 1 kW against 10."""
    high = {"pins.csv": "model,site,min_replicas,max_replicas,reason\nm8,beta,25,,example\n"}
    answer = explain_blocked(posed(tmp_path, high), HOW)
    assert set(answer.conflict) == {"power", "pin_least"}
    least = 328.84 + 9 * SERVER  # ten servers
    assert the_way(answer, (Change("pin_least", ("m8", "beta"), 5),)).cost_usd == pytest.approx(least, abs=0.01)
    more = the_way(answer, (Change("power", ("beta",), 3),))
    assert more.cost_usd == pytest.approx(least + 3 * SERVER, abs=0.01)


def test_the_order_of_rows_changes_nothing(tmp_path: Path) -> None:
    turned: dict[str, str | None] = {}
    for name in ("sites.csv", "regions.csv", "demand.csv", "measurements/pairs.csv"):
        head, *rows = (tiny.FILES[name] or "").strip().splitlines()
        turned[name] = "\n".join([head, *reversed(rows)]) + "\n"
    short = SHORT_OF_POWER["sites.csv"] or ""
    head, *rows = short.strip().splitlines()
    first = explain_blocked(posed(tmp_path / "a", SHORT_OF_POWER), HOW)
    second = explain_blocked(posed(tmp_path / "b", {**turned, "sites.csv": "\n".join([head, *reversed(rows)])}), HOW)
    assert replace(first, price_usd=0.0) == replace(second, price_usd=0.0)


def test_periods_have_a_stock_of_their_own(tmp_path: Path) -> None:
    """Nothing is delivered in h1, a server in h2: one more in h1 serves both halves."""
    answer = explain_blocked(
        posed(
            tmp_path,
            {
                "demand.csv": "region,model,service,period,requests_per_s,mean_requests_per_s\n"
                "paris,m8,chat,h1,4,2\nberlin,m8,chat,h1,3,3\nparis,m8,chat,h2,8,4\nberlin,m8,chat,h2,6,6\n",
                "deliveries.csv": "period,delivery_group,server,quantity\nh1,,s2,0\nh2,,s2,1\n",
            },
        ),
        HOW,
    )
    way = the_way(answer, (Change("stock", ("s2", "", "h1"), 1),))
    half = 40 + SERVER + (43.80 + 13.14) / 2
    assert way.cost_usd == pytest.approx((half + 328.84) / 2, abs=0.01)
    assert way.served_share == pytest.approx(1.0)
