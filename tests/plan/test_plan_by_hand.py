"""Plans drawn by hand are told to the cent that paper says: every kind of cost, periods, slices, carbon, economics.

Figures are those of tests/tiny.py: a busy GPU draws 0.4 kW above idle, energy 0.15 USD/kWh with PUE, a month 730 h.
"""

from dataclasses import replace
from pathlib import Path

import pytest
import sketch
import tiny

from placement.plan.build import build_plan
from placement.plan.document import PlanDocument
from placement.plan.folder import write_files
from placement.problem.moves import read_previous
from placement.problem.names import GoalSpec, JobOption, Offer

BETA = ("beta", "m8-one", "", "")
ALPHA = ("alpha", "m8-one", "", "")
TINY = sketch.Sketch(
    servers={Offer("beta", "s2", "buy"): 1},
    replicas={BETA: 2},
    routes={("paris", "", BETA): 1.0, ("berlin", "", BETA): 1.0},
)
SLICED = {
    "demand.csv": """
region,model,service,slice,requests_per_s,mean_requests_per_s
paris,m8,chat,day,8,4
paris,m8,chat,night,2,1
berlin,m8,chat,day,2,1
berlin,m8,chat,night,6,6
""",
    "slices.csv": "slice,start_utc,hours_per_day\nday,06:00,18\nnight,00:00,6\n",
}


def told(folder: Path, *sketches: sketch.Sketch, changed: dict[str, str | None] | None = None) -> PlanDocument:
    return build_plan(sketch.solved(folder, sketches, changed), {}).document


def column(table: str, name: str, *values: object) -> dict[str, str | None]:
    """A table of the tiny scenario with one more column."""
    head, *rows = tiny.FILES[table].strip().splitlines()
    wider = [f"{head},{name}", *(f"{row},{value}" for row, value in zip(rows, values, strict=True))]
    return {table: "\n".join(wider) + "\n"}


def test_the_tiny_plan_costs_what_paper_says(tmp_path: Path) -> None:
    document = told(tmp_path, TINY)
    assert document.cost.model_dump() == tiny.COST | {"jobs": 0.0, "moves": 0.0, "carbon": 0.0, "total": tiny.TOTAL}
    assert document.objective_usd_month == tiny.TOTAL
    assert document.served_share == 1.0
    assert [(s.site, s.server, s.count, s.new, s.rented) for s in document.servers] == [("beta", "s2", 1, 1, 0)]
    assert [(r.site, r.shape, r.count, r.slice) for r in document.replicas] == [("beta", "m8-one", 2, None)]
    # berlin asks 6 of 10 mean requests and plans 8 + 50 ms, paris 4 of 10 and 30 + 50 ms
    assert (document.latency.p50_ms, document.latency.p95_ms, document.latency.p99_ms) == (58.0, 80.0, 80.0)
    assert document.periods == ()
    assert (document.reliability, document.carbon, document.economics) == (None, None, None)


def test_a_server_is_paid_by_the_way_it_is_held(tmp_path: Path) -> None:
    # bought 100, rented 150 each; support 10 for the three new ones; place and idle energy for all four
    held = {Offer("beta", "s2", "fleet"): 1, Offer("beta", "s2", "buy"): 1, Offer("beta", "s2", "rent"): 2}
    changed = column("servers.csv", "rent_usd_month", 150)
    document = told(tmp_path, sketch.Sketch(held, {}, {}), changed=changed)
    assert document.cost.servers == 100 + 2 * 150
    assert document.cost.support == 3 * 10
    assert document.cost.power_space == 4 * 100
    assert document.cost.idle_energy == round(4 * 21.90, 2)
    assert [(s.count, s.new, s.rented) for s in document.servers] == [(4, 3, 2)]


def test_money_at_interest_is_the_capital_recovery_factor_in_fractions(tmp_path: Path) -> None:
    # 4,800 USD at 1 % a month over 48 months: 126.4024 USD a month in any annuity table (0.0263338 each)
    changed = tiny.edited("scenario.toml", "wacc = 0.0", "wacc = 0.12")
    assert told(tmp_path, TINY, changed=changed).cost.servers == 126.40


def test_what_is_unserved_costs_its_penalty_and_is_named(tmp_path: Path) -> None:
    # half of berlin, 3 requests/s x 3.6 x 730 at 1 USD for 1000; paris whole
    half = sketch.Sketch(TINY.servers, TINY.replicas, {("paris", "", BETA): 1.0, ("berlin", "", BETA): 0.5})
    document = told(tmp_path, half)
    assert document.cost.unserved == 7884.00
    assert [(u.region, u.share_ppb, u.usd_month) for u in document.unserved] == [("berlin", 500_000_000, 7884.00)]
    assert document.unserved[0].reason.startswith("4-12 capacity")
    assert document.served_share == 0.7


def test_priced_milliseconds_are_those_of_every_request(tmp_path: Path) -> None:
    # 0.1 USD for a million requests that wait a millisecond: 10.512 million x 80 ms and 15.768 million x 58 ms
    changed = tiny.edited("scenario.toml", "wacc = 0.0", "wacc = 0.0\nlatency_usd_per_million_request_ms = 0.1")
    assert told(tmp_path, TINY, changed=changed).cost.latency == round(0.1 * (10.512 * 80 + 15.768 * 58), 2)


@pytest.mark.parametrize(
    ("billing", "usd"),
    [
        # at beta by day (18 h) 8 + 2 = 10 requests/s x 10 kB = 0.8 Mbit/s, by night (6 h) 2 + 6 = 0.64; 100 USD each
        ("peak", 80.0),
        ("p95", 80.0),  # neither slice lasts 5 % of the day or less
        ("mean", 0.75 * 80 + 0.25 * 64),
    ],
)
def test_transit_is_paid_as_it_is_billed(billing: str, usd: float, tmp_path: Path) -> None:
    head, alpha, beta = tiny.FILES["sites.csv"].strip().splitlines()
    sites = f"{head},transit_usd_per_mbps_month,transit_billing\n{alpha},,\n{beta},100,{billing}\n"
    document = told(tmp_path, by_slices(), changed=SLICED | {"sites.csv": sites})
    assert document.cost.egress == usd


def test_the_busiest_slices_are_left_out_of_the_95th_percentile(tmp_path: Path) -> None:
    # the day's peak lasts 1.2 h, 5 % of it: what counts is the 0.64 Mbit/s of the rest
    slices = "slice,start_utc,hours_per_day\nday,06:00,1.2\nnight,07:12,22.8\n"
    head, alpha, beta = tiny.FILES["sites.csv"].strip().splitlines()
    sites = f"{head},transit_usd_per_mbps_month,transit_billing\n{alpha},,\n{beta},100,p95\n"
    document = told(tmp_path, by_slices(), changed=SLICED | {"slices.csv": slices, "sites.csv": sites})
    assert document.cost.egress == 64.0


def by_slices() -> sketch.Sketch:
    routes = {(region, name, BETA): 1.0 for region in ("paris", "berlin") for name in ("day", "night")}
    return sketch.Sketch({Offer("beta", "s2", "buy"): 1}, {BETA: 2}, routes)


def test_slices_pay_their_own_energy_for_their_own_hours(tmp_path: Path) -> None:
    # 18 h at 0.3 and 6 h at 0.2 USD/kWh; mean rates 5 by day and 7 by night keep 0.5 and 0.7 GPUs busy
    energy = "site,country,slice,usd_per_kwh,gco2_per_kwh\n,DE,night,0.2,\nbeta,,day,0.3,\n,DE,day,2,\n"
    document = told(tmp_path, by_slices(), changed=SLICED | {"energy.csv": energy})
    day, night = 547.5 * 0.3, 182.5 * 0.2
    # 60.225 and 64.605: half a cent goes to the even one
    assert 0.2 * 1.5 * (day + night) == pytest.approx(60.225)
    assert document.cost.idle_energy == 60.22
    assert 0.4 * 1.5 * (0.5 * day + 0.7 * night) == pytest.approx(64.605)
    assert document.cost.load_energy == 64.60


def test_replicas_that_follow_slices_are_told_by_slice(tmp_path: Path) -> None:
    day, night = ("beta", "m8-one", "", "day"), ("beta", "m8-one", "", "night")
    routes = {(r, b[3], b): 1.0 for r in ("paris", "berlin") for b in (day, night)}
    document = told(
        tmp_path, sketch.Sketch({Offer("beta", "s2", "buy"): 1}, {day: 2, night: 1}, routes), changed=SLICED
    )
    assert [(r.slice, r.count) for r in document.replicas] == [("day", 2), ("night", 1)]


JOBS = """
job,kind,model,gpu,gpus,hours,data_gb,data_site
tune,finetune,m8,g96,2,100,500,alpha
"""


def test_a_job_pays_its_energy_and_the_way_of_its_data(tmp_path: Path) -> None:
    # 2 GPUs x 0.4 kW x 1.5 x 100 h x 0.1 = 12.00; 500 GB out of alpha at 0.05 = 25.00
    moved = sketch.Sketch(TINY.servers, TINY.replicas, TINY.routes, jobs=[JobOption("tune", "beta", (), 1.25)])
    document = told(tmp_path / "moved", moved, changed={"jobs.csv": JOBS})
    assert document.cost.jobs == 37.00
    row = document.jobs[0]
    assert (row.job, row.site, row.slices, row.transfer_hours, row.usd_month) == ("tune", "beta", (), 1.25, 37.00)
    stays = sketch.Sketch(TINY.servers, TINY.replicas, TINY.routes, jobs=[JobOption("tune", "alpha", (), 0.0)])
    assert told(tmp_path / "stays", stays, changed={"jobs.csv": JOBS}).cost.jobs == 12.00


def test_a_job_pays_the_mean_price_of_its_slices_by_their_hours(tmp_path: Path) -> None:
    # 18 h at 0.3 and 6 h at 0.2: 0.275 in the mean; 120 kWh
    energy = "site,country,slice,usd_per_kwh,gco2_per_kwh\nbeta,,night,0.2,\nbeta,,day,0.3,\n"
    changed = SLICED | {"energy.csv": energy, "jobs.csv": JOBS.replace("500,alpha", ",")}
    for j, (slices, price) in enumerate([(("night",), 0.2), (("day", "night"), 0.275)]):
        drawn = sketch.Sketch({}, {}, {}, jobs=[JobOption("tune", "beta", slices, 0.0)])
        assert told(tmp_path / str(j), drawn, changed=changed).cost.jobs == pytest.approx(120 * price)


def test_moves_are_priced_by_the_replicas_added(tmp_path: Path) -> None:
    (tmp_path / "before").mkdir()
    stood = sketch.Sketch({Offer("alpha", "s2", "buy"): 1, **TINY.servers}, {BETA: 2, ALPHA: 1}, TINY.routes)
    write_files(tmp_path / "before", build_plan(sketch.solved(tmp_path / "old", [stood]), {}))
    text = tiny.FILES["scenario.toml"] + '[stability]\nusd_per_move = 7\nprevious_plan = "../before"\n'
    moved = sketch.Sketch({Offer("beta", "s2", "buy"): 3}, {BETA: 5}, TINY.routes, before={BETA: 2, ALPHA: 1}, months=3)
    drawn = sketch.solved(tmp_path / "new", [moved], {"scenario.toml": text})
    document = build_plan(replace(drawn, previous=read_previous(tmp_path / "before")), {}).document
    assert document.cost.moves == 7.00  # 3 replicas added, over 3 months
    # 16 GB over 1,000 Mbit/s
    assert [(m.step, m.action, m.site, m.shape, m.slice, m.count, m.seconds) for m in document.moves] == [
        (1, "add", "beta", "m8-one", None, 3, 128.0),
        (2, "drain", "alpha", "m8-one", None, 1, 0.0),
    ]
    assert document.provenance.previous_plan == "../before"


CARBON = column("sites.csv", "gco2_per_kwh", 50, 400) | column("servers.csv", "embodied_kgco2e", 2400)


def test_carbon_is_that_of_energy_and_of_making_new_servers(tmp_path: Path) -> None:
    # at beta idle 0.2 x 1.5 x 730 = 219 kWh and load 438 kWh at 400 g; 2,400 kg over 48 months
    document = told(tmp_path, TINY, changed=CARBON)
    assert document.carbon is not None
    assert document.carbon.energy_tco2e == pytest.approx(0.2628, rel=1e-12)
    assert document.carbon.embodied_tco2e == pytest.approx(0.05, rel=1e-12)
    assert document.carbon.total_tco2e == pytest.approx(0.3128, rel=1e-12)
    assert document.cost.carbon == 0.0


def test_priced_carbon_is_a_cost(tmp_path: Path) -> None:
    text = tiny.FILES["scenario.toml"] + "[objective]\nusd_per_tco2e = 100\n"
    cost = told(tmp_path, TINY, changed=CARBON | {"scenario.toml": text}).cost
    assert cost.carbon == 31.28
    assert cost.total == pytest.approx(tiny.TOTAL + 31.28)


def test_a_fleet_server_is_not_made_again_and_jobs_emit_too(tmp_path: Path) -> None:
    drawn = sketch.Sketch(
        {Offer("beta", "s2", "fleet"): 1}, {BETA: 2}, TINY.routes, jobs=[JobOption("tune", "beta", (), 0.0)]
    )
    document = told(tmp_path, drawn, changed=CARBON | {"jobs.csv": JOBS})
    assert document.carbon is not None
    assert document.carbon.embodied_tco2e == 0.0
    assert document.carbon.energy_tco2e == pytest.approx(0.2628 + 120 * 400 / 1e6, rel=1e-12)


def test_carbon_that_is_not_known_is_null_and_never_zero(tmp_path: Path) -> None:
    document = told(tmp_path, TINY, changed=column("sites.csv", "gco2_per_kwh", 50, ""))
    assert document.carbon is None
    document = told(tmp_path / "energy", TINY, changed=column("sites.csv", "gco2_per_kwh", "", 400))
    assert document.carbon is not None
    assert document.carbon.energy_tco2e == pytest.approx(0.2628)
    assert (document.carbon.embodied_tco2e, document.carbon.total_tco2e) == (None, None)


GROWING = {
    "demand.csv": """
region,model,service,period,requests_per_s,mean_requests_per_s
paris,m8,chat,2027-H1,8,4
berlin,m8,chat,2027-H1,6,6
paris,m8,chat,2027-H2,16,8
berlin,m8,chat,2027-H2,6,6
""",
    "periods.csv": "period,start_date,months\n2027-H1,2027-01-01,3\n2027-H2,2027-04-01,9\n",
    **column("services.csv", "revenue_usd_per_1000", 2),
    **tiny.edited("servers.csv", "10,0,48", "10,600,48"),
}


def growing() -> tuple[sketch.Sketch, sketch.Sketch]:
    first = sketch.Sketch(TINY.servers, TINY.replicas, TINY.routes, period="2027-H1", months=3)
    second = sketch.Sketch(
        {Offer("beta", "s2", "buy"): 2},
        {BETA: 3},
        {("paris", "", BETA): 0.75, ("berlin", "", BETA): 1.0},
        period="2027-H2",
        months=9,
    )
    return first, second


def test_periods_are_told_one_by_one_and_their_mean_by_months(tmp_path: Path) -> None:
    document = told(tmp_path, *growing(), changed=GROWING)
    first, second = document.periods
    # 5,400 USD a server over 48 months; in the second period 6 of 8 mean requests of paris are served, 2 are left
    assert first.cost.servers == 112.50
    assert second.cost.servers == 225.00
    assert second.cost.unserved == round(2 * 3.6 * 730, 2)
    assert second.cost.load_energy == round((6 + 6) / 10 * 0.4 * 0.15 * 730, 2)
    assert document.cost.servers == 196.88  # (3 x 112.50 + 9 x 225)/12 = 196.875, half to even
    assert (
        document.objective_usd_month
        == document.cost.total
        == pytest.approx((3 * first.cost.total + 9 * second.cost.total) / 12, abs=0.01)
    )
    assert (first.served_share, second.served_share) == (1.0, 12 / 14)
    assert document.served_share == pytest.approx((3 * 10 + 9 * 12) / (3 * 10 + 9 * 14), rel=1e-15)
    assert [(p.capex_usd, p.gpus, p.dpus, p.months) for p in document.periods] == [
        (4800.0, 2, 1, 3.0),
        (4800.0, 4, 2, 9.0),
    ]
    assert [(r.period, r.count) for r in document.replicas] == [("2027-H1", 2), ("2027-H2", 3)]
    assert [u.period for u in document.unserved] == ["2027-H2"]


def test_percentiles_weigh_periods_by_their_months(tmp_path: Path) -> None:
    # 80 ms: 3 x 4 + 9 x 6 = 66 of 3 x 10 + 9 x 12 = 138; 58 ms: 72, more than half
    latency = told(tmp_path, *growing(), changed=GROWING).latency
    assert (latency.p50_ms, latency.p95_ms) == (58.0, 80.0)


def test_the_economics_of_a_roll_out_by_hand(tmp_path: Path) -> None:
    economics = told(tmp_path, *growing(), changed=GROWING).economics
    assert economics is not None
    # 2 USD for 1000: 10 requests/s are 52,560 USD a month, 12 are 63,072
    assert economics.revenue_usd_month == 63_072.00
    # support 10, place 100, idle 21.90 a server; load 43.80 and 52.56; site 40; egress 13.14 and 15.768
    costs = [10 + 100 + 21.90 + 43.80 + 40 + 13.14, 2 * 131.90 + 52.56 + 40 + 15.768]
    assert economics.sites[0].cost_usd_month == round(costs[1], 2)
    # no interest, 48 months: 3 of the first, 45 of the second; two servers at 5,400
    value = 3 * (52_560 - costs[0]) + 45 * (63_072 - costs[1]) - 2 * 5400
    assert economics.npv_usd == pytest.approx(value, abs=0.01)
    assert (economics.horizon_months, economics.payback_months, economics.monthly_rate) == (48, 1.0, 0.0)
    assert [(s.site, s.capex_usd) for s in economics.sites] == [("beta", 10_800.0)]


def test_goals_tell_what_the_plan_comes_to(tmp_path: Path) -> None:
    goals = tuple(GoalSpec(name, f"unit of {name}", None, 0.0) for name in ("served", "latency", "moves", "cost"))
    drawn = sketch.solved(tmp_path, growing(), GROWING, goals=goals)
    document = build_plan(drawn, {}).document
    value = {goal.goal: goal.value for goal in document.goals}
    assert value["served"] == pytest.approx(9 * 2 * 3600 * 730 / 12)
    assert value["latency"] == pytest.approx(3600 * 730 * (3 * (4 * 80 + 6 * 58) + 9 * (6 * 80 + 6 * 58)) / 12)
    assert value["cost"] == pytest.approx(document.objective_usd_month, abs=0.005)
    assert value["moves"] == 0.0
    assert {goal.unit for goal in document.goals} == {f"unit of {name}" for name in value}
