"""How the auditor reads tables: money, penalties, prices of energy, stock, residency, in figures worked out by hand."""

import math
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from audit_world import NAN, TABLES, certificate, edited, pairs, scenario

from placement.audit.case import open_case
from placement.audit.certificate import read_certificate
from placement.audit.exact import cents, exact, known, settled
from placement.audit.figures import gap, percentiles_ms
from placement.audit.grid import Grid
from placement.audit.hosting import misfit, stands
from placement.audit.limits import limit_rows, monthly_budget_usd
from placement.audit.money import check_cents
from placement.audit.penalties import Penalties
from placement.audit.prices import recovery_factor
from placement.audit.pricing import Pricing, rounded_down
from placement.audit.report import Findings

NORTH_CODE, SOUTH_CODE = ("north", "m", "code", "day"), ("south", "m", "code", "day")


def case(changes=None, document=None, network=None):
    return open_case(scenario(changes, document), pairs(**(network or {})))


def penalties(changes=None, document=None, network=None):
    return Penalties(Grid(case(changes, document, network)))


def test_a_tables_figure_is_the_decimal_that_was_typed():
    assert exact(0.1) == Fraction(1, 10)
    assert exact(3) == 3
    assert known(NAN) is None
    assert known(0.25) == Fraction(1, 4)


def test_nan_is_not_a_figure():
    with pytest.raises(ValueError, match="nan"):
        exact(NAN)


def test_cents_are_rounded_half_to_even():
    assert [cents(Fraction(text)) for text in ("0.005", "0.015", "0.0151", "-0.005")] == [0, 2, 2, 0]


def test_settling_changes_a_sum_by_less_than_any_cent():
    third, fifteenth = Fraction(1, 3), Fraction(1, 15)
    assert abs(settled(third) - third) <= Fraction(1, 2 * 10**30)
    assert settled(third).denominator <= 10**30
    assert settled(fifteenth) == Fraction(66666666666666666666666666667, 10**30)  # 0.0666... rounded up


def test_the_recovery_factor_is_that_of_the_interest_tables():
    # A/P, 1 %, 48 periods = 0.02633 and 12 periods = 0.08885 (Park, Contemporary Engineering Economics, appendix)
    assert float(recovery_factor(Fraction(12, 100), Fraction(48))) == pytest.approx(0.02633, abs=5e-6)
    assert float(recovery_factor(Fraction(12, 100), Fraction(12))) == pytest.approx(0.08885, abs=5e-6)
    assert recovery_factor(Fraction(0), Fraction(40)) == Fraction(1, 40)


def test_a_fraction_of_a_month_is_refused():
    with pytest.raises(ValueError, match="whole number of months"):
        recovery_factor(Fraction(12, 100), Fraction(25, 2))


def test_the_price_of_energy_comes_from_the_finest_row():
    text = (
        "site,country,slice,usd_per_kwh\nbrest,,night,0.1\nbrest,,,0.2\n,FR,day,0.3\n,FR,,0.4\n,DE,night,0.5\nalba,,,"
    )
    prices = case({"energy": text}).facts.usd_per_kwh
    assert prices["brest", "night"] == Fraction(1, 10)
    assert prices["brest", "day"] == Fraction(2, 10)
    assert prices["alba", "night"] == Fraction(5, 10)
    assert prices["alba", "day"] == Fraction(2, 10)
    without = case({"energy": text.replace("brest,,night,0.1\nbrest,,,0.2\n", "")}).facts.usd_per_kwh
    assert without["brest", "day"] == Fraction(3, 10)
    assert without["brest", "night"] == Fraction(4, 10)


def test_the_default_penalty_is_three_times_the_dearest_way_to_serve():
    assert penalties().usd(NORTH_CODE) == Fraction("2262.97471875")


def test_a_class_that_nobody_may_serve_takes_the_rate_of_its_model_and_service():
    assert penalties().usd(SOUTH_CODE) == 2 * Fraction("2262.97471875")


def test_it_takes_the_largest_rate_of_its_model_and_service():
    dearer = penalties(edited("demand", "north,m,chat,night,4,2,", "north,m,code,night,4,2,"))
    own = {
        night: dearer.usd(("north", "m", "code", night)) / hours
        for night, hours in (("day", 985_500), ("night", 1_314_000))
    }
    assert own["day"] != own["night"]
    assert dearer.usd(SOUTH_CODE) == 1_971_000 * max(own.values())


def test_without_one_it_takes_the_largest_rate_of_the_scenario():
    """First that of north's code. Then south's chat alone, by day: `one-far` at brest at 100 ms is the dearest.

    .15 replicas: energy .15·1.75·1.5·.3·547.5 = 64.6734375, transit .48·2 = .96, latency 5.913·100·2 = 1182.6, GPUs
    .15·(5000 + 50 + 320 + 246.375)/4 = 210.6140625; together 1458.8475 for 5.913 million requests.
    """
    text = TABLES["demand"].replace("south,m,code,day,2,1,brazil", "south,n,code,day,2,1,brazil")
    assert penalties({"demand": text}).usd(("south", "n", "code", "day")) == 2 * Fraction("2262.97471875")
    only_chat = "region,model,service,slice,requests_per_s,mean_requests_per_s,residency\nsouth,m,chat,day,3,,\n"
    found = penalties(
        {"demand": only_chat + "south,n,code,day,2,1,brazil", "slices": "slice,start_utc,hours_per_day\nday,06:00,18"}
    )
    rate = 3 * Fraction("1458.8475") / 5_913_000
    assert found.usd(("south", "n", "code", "day")) == 1_971_000 * rate


def test_where_nothing_could_serve_anything_a_thousand_requests_cost_one_dollar():
    nowhere = penalties(network={"rtt_state": np.zeros((2, 2), np.int8)})
    assert nowhere.usd(SOUTH_CODE) == 1971
    assert nowhere.usd(("south", "m", "chat", "day")) == 4 * 5913
    assert nowhere.constant_usd == 1971 + Fraction("985.5") + 4 * (5913 + 9855 + 1314)


def test_a_class_without_requests_costs_nothing():
    assert penalties(edited("demand", "chat,night,4,2,", "chat,night,0,0,")).usd(("north", "m", "chat", "night")) == 0
    assert penalties(edited("demand", "code,day,1,0.5,", "code,day,0,0,")).usd(NORTH_CODE) == 0


def test_classes_that_a_site_may_serve_and_cannot_hold_are_part_of_the_constant():
    """Without power at alba only brest is left, where north's code finds `one`; chat at night finds it too."""
    assert penalties(edited("sites", "alba,DE,50,8,8,", "alba,DE,50,8,0,")).constant_usd == Fraction("4525.9494375")
    dark = TABLES["sites"].replace("-4,30,42", "-4,3,42").replace("alba,DE,50,8,8,", "alba,DE,50,8,3,")
    everything = penalties({"sites": dark})
    assert everything.constant_usd == everything.total(everything.grid.keys)
    # the price of a GPU that has no room there counts all the same
    assert everything.usd(NORTH_CODE) == Fraction("2262.97471875")


def test_too_small_servers_leave_large_replicas_without_a_place():
    only_two = TABLES["shapes"].split("quarter")[0] + "two,m,g,2,bf16,chat,near,25,25,150,32,hand\n"
    small = TABLES["servers"].replace("s2,g,2", "s2,g,1").replace("s4,g,4", "s4,g,1")
    stated = edited("services", "50,2,,,eu,", "50,2,,,eu,1") | {"shapes": only_two}
    held, not_held = penalties(stated), penalties({**stated, "servers": small})
    assert not_held.constant_usd - held.constant_usd == 4 * (5913 + 9855 + 1314)


def rows_of(deliveries):
    return {row.name: row for row in limit_rows(case({"deliveries": deliveries})) if row.name.startswith("stock")}


def test_stock_of_a_group_is_for_its_sites_and_others_have_none():
    rows = rows_of("period,delivery_group,server,quantity\n,east,s2,3\n,east,s4,0\n2026,east,s2,2")
    assert rows["stock|s2|east"].most == 5
    assert rows["stock|s2|east"].weight("alba", "s2", "buy") == 1
    assert (
        rows["stock|s2|east"].weight("alba", "s2", "rent") == rows["stock|s2|east"].weight("alba", "s2", "fleet") == 0
    )
    assert rows["stock|s2|east"].weight("alba", "s4", "buy") == 0
    assert rows["stock|s2|east"].weight("brest", "s2", "buy") == 0
    assert rows["stock|s2|"].most == 0
    assert rows["stock|s2|"].weight("brest", "s2", "buy") == 1
    assert rows["stock|s2|"].weight("brest", "s2", "rent") == 0
    assert rows["stock|s2|"].weight("alba", "s2", "buy") == 0


def test_common_stock_is_for_all_sites_and_a_group_may_draw_on_it():
    rows = rows_of("period,delivery_group,server,quantity\n,,s2,3\n,east,s2,2")
    assert rows["stock|s2|"].most == 5
    assert rows["stock|s2|"].weight("alba", "s2", "buy") == rows["stock|s2|"].weight("brest", "s2", "buy") == 1
    assert rows["stock|s2|east"].most == 5
    assert rows["stock|s4|"].most == 0


def test_of_a_limit_stated_twice_the_tighter_counts():
    text = "gpu,server,country,max_gpus,from_date,reason\ng,,DE,4,2025-01-01,a\ng,,DE,2,2026-01-01,b\ng,,DE,3,,c"
    rows = {row.name: row for row in limit_rows(case({"export": text}))}
    assert rows["export|gpu|g|DE"].most == 2
    assert rows["export|gpu|g|DE"].weight("alba", "s4", False) == 4
    assert rows["export|gpu|g|DE"].weight("brest", "s4", False) == 0


def test_the_least_monthly_budget_counts_and_none_is_none():
    assert monthly_budget_usd(case({"budgets": "period,capex_usd,monthly_usd\na,,9\nb,,7\nc,5,"})) == 7
    assert monthly_budget_usd(case({"budgets": None})) is None


@pytest.mark.parametrize(
    ("entries", "country", "vendor", "allowed"),
    [
        ("x,@any,", "", "", True),
        ("x,DE,", "DE", "", True),
        ("x,DE,", "FR", "", False),
        ("x,@own,", "DE", "", True),
        ("x,@own,", "FR", "", False),
        ("x,@bloc:EU,", "FR", "", True),
        ("x,@bloc:EU,", "GB", "", False),
        ("x,@bloc:NOWHERE,", "FR", "", False),
        ("x,@any,\nx,US,vendor", "FR", "US", True),
        ("x,@any,\nx,US,vendor", "FR", "", False),
        ("x,@any,\nx,@own,vendor", "FR", "DE", True),
        ("x,@any,\nx,@bloc:EU,vendor", "FR", "IE", True),
        ("x,@any,\nx,@any,vendor", "FR", "", True),
        ("x,US,vendor", "US", "US", False),
        ("x,NA,", "NA", "", True),
    ],
)
def test_a_residency_set_allows_what_it_lists(entries, country, vendor, allowed):
    told = case({"residency": f"residency,country,scope\n{entries}"})
    assert told.residency.allows_set("x", "DE", country, vendor) is allowed


def test_without_the_table_everything_is_allowed_and_an_unknown_set_allows_nothing():
    assert case({"residency": None}).residency.allows_set("x", "DE", "FR", "")
    assert not case().residency.allows_set("x", "DE", "DE", "DE")


def test_the_gap_is_a_share_of_what_a_plan_can_change():
    assert gap(Fraction(150), Fraction(130), Fraction(50)) == Fraction(1, 5)
    assert gap(Fraction(150), Fraction("149.996"), Fraction(150)) == 0
    assert gap(Fraction(150), Fraction("149.994"), Fraction(50)) == Fraction("0.006") / 100
    assert gap(Fraction(50), Fraction(30), Fraction(50)) is None


@pytest.mark.parametrize(
    ("budget", "rtt", "ttft", "above"),
    [("0.3", 0.1, "0.2", 0.1000000000001), ("300000.3", 100000.1, "200000.2", 100000.1000001)],
)
def test_a_latency_that_is_the_budget_to_the_last_digit_is_admissible(budget, rtt, ttft, above):
    """0.1 + 0.2 ms is 0.3 ms, and 100000.1 + 200000.2 ms is 300000.3 ms, which floats do not say."""
    assert rtt + float(ttft) > float(budget)
    tight = edited("services", "chat,chat,100,10", f"chat,chat,{budget},0") | {
        "shapes": TABLES["shapes"].replace("chat,near,10,30", f"chat,near,10,{ttft}")
    }
    for rtt_ms, admissible in ((rtt, True), (above, False)):
        grid = Grid(case(tight, network={"rtt_p95_ms": np.array([[rtt_ms, NAN], [NAN, 5.0]])}))
        found = {(key, shape) for key, shape, *_ in ways(grid, "alba")}
        assert ((("north", "m", "chat", "day"), "one") in found) == admissible


def test_latencies_that_are_not_near_the_budget_are_not_settled_as_fractions(monkeypatch):
    grid = Grid(case(edited("services", "chat,chat,100,", "chat,chat,100.1,")))  # south's one-far is at 100 ms exactly
    monkeypatch.setattr(type(grid.case.network), "network_ms", None)
    assert sum(1 for site in grid.sites for _ in ways(grid, site)) == 8 + 5 + 4


@pytest.mark.parametrize(
    ("said", "value", "passes"),
    [
        ("0.01", "0.015", True),  # half a cent: either way
        ("0.01", "0.0150009", True),
        ("0.01", "0.0150011", False),
        ("0.02", "0.0149991", True),
        ("0.02", "0.0149989", False),
        ("0.015", "0.015", False),  # no whole cents
        ("1000000000.01", "1000000000.0159", True),  # floats of this size are not surer
        ("1000000000.01", "1000000000.0161", False),
        ("-1000000000.01", "-1000000000.0159", True),
    ],
)
def test_money_is_right_to_the_cent_and_a_tie_may_go_either_way(said, value, passes):
    findings = Findings()
    check_cents("cost", "egress", Fraction(said), Fraction(value), findings)
    assert (findings.violations == []) is passes


def test_money_that_is_wrong_is_named_with_how_far_it_is_off():
    findings = Findings()
    check_cents("cost", "egress", Fraction(3), Fraction(5), findings)
    assert [violation.excess for violation in findings.violations] == [2]


def test_a_rate_of_the_model_and_service_counts_before_a_larger_one_of_the_scenario():
    unpriced = edited("services", "0.02,10,,4", "0.02,10,,") | edited(
        "demand", "south,m,chat,day,3,,", "south,m,chat,day,3,,brazil"
    )
    found = penalties(unpriced)
    rates = {key: found.usd(key) / found.grid.case.prices.requests_month(key) for key in found.grid.keys}
    own = [rate for key, rate in rates.items() if key[0] == "north" and key[2] == "chat"]
    assert rates[("south", "m", "chat", "day")] == max(own)
    assert max(own) != min(own)
    assert rates[NORTH_CODE] > max(own)


def test_a_bound_is_rounded_to_the_largest_float_that_is_not_above_it():
    for value in (Fraction(1, 3), Fraction(2, 3), Fraction(-1, 3), Fraction(10**17 + 1), Fraction(1, 2)):
        found = rounded_down(value)
        assert Fraction(found) <= value < Fraction(math.nextafter(found, math.inf))


def ways(grid, site):
    """Every admissible (demand row, shape) of one site with USD a month and the replicas kept busy."""
    for found in grid.at(site):
        for d, shape in enumerate(found.pool.shapes):
            here = found.admissible[:, d]
            rows = found.pool.rows[:, found.classes[here]]
            for t, c in zip(*np.nonzero(rows >= 0), strict=True):
                usd, load = (figure[t, c] for figure in (found.least_usd(d, here), found.load(d, here)))
                yield grid.keys[rows[t, c]], shape, usd, load


def served(grid, site):
    """The demand rows that some shape may serve there."""
    return {key for key, *_ in ways(grid, site)}


def test_the_arrays_price_every_route_as_the_fractions_do():
    told = case()
    routes = 0
    for site in Grid(told).sites:
        for key, shape, usd, load in ways(Grid(told), site):
            service = told.facts.services[key[2]]
            latency = told.network.network_ms(key[0], service, site)
            latency += told.facts.shapes[shape].ttft_ms[service.profile]
            route = told.prices.route_usd(key, site, shape, latency)
            # of brest's peak of 2 USD a Mbit/s at least the mean over 18 and 6 hours
            share = Fraction(18 if key[3] == "day" else 6, 24)
            peak = share * told.prices.peak_usd(key, site)
            assert usd == pytest.approx(float(route + peak), rel=1e-12)
            expected = told.facts.demand[key].requests_per_s / told.facts.shapes[shape].requests_per_s[service.profile]
            assert load == pytest.approx(float(expected), rel=1e-12)
            routes += 1
    # north at alba: chat on quarter, one, two by day and by night, code on quarter, one; at brest chat on one, two by
    # day and by night, code on one; south's chat at brest on quarter, one, one-far (100 ms exactly), two
    assert routes == 8 + 5 + 4


def test_the_arrays_price_wires_as_the_rule_does():
    (pool,) = Grid(case()).pools
    row = list(pool.members).index(("north", "code", "eu"))
    assert pool.out_mbps[:, row] == pytest.approx([0.4, 0])
    assert pool.in_mbps[:, row] == pytest.approx([0.8, 0])


@pytest.mark.parametrize(
    ("gpus", "quarters"), [("0.25", 1), ("0.5", 2), ("1", 4), ("2", 8), ("4", 16), ("8", 32), ("3", 0)]
)
def test_a_replica_is_counted_in_quarter_gpus_and_other_sizes_do_not_exist(gpus, quarters):
    shape = replace(case().facts.shapes["one"], gpus=Fraction(gpus))
    assert shape.quarters == quarters
    assert (misfit(case().facts, shape) is None) is (quarters > 3)


@pytest.mark.parametrize(
    ("rack", "power", "units", "stand"),
    [
        ("", "4", "4", True),
        ("", "3.9", "9", False),
        ("", "9", "3.9", False),
        ("42", "9", "4", True),
        ("41", "9", "4", False),
        ("4", "9", "42", True),
        ("3.9", "9", "84", False),
    ],
)
def test_a_server_stands_where_rack_power_and_rack_units_let_it(rack, power, units, stand):
    """s2 takes 4 kW and 4 rack units; racks cool their kW for every 42 units."""
    row = edited("sites", "50,8,8,8,1.92,0.1,1.56,,300", f"50,8,{power},{units},1.92,0.1,1.56,{rack},300")
    facts = case(row).facts
    assert stands(facts.servers["s2"], facts.sites["alba"]) is stand


def test_percentiles_are_the_smallest_latency_that_so_many_requests_stay_within():
    found = percentiles_ms([(Fraction(ms), Fraction(5)) for ms in range(1, 1001)])
    assert found == {"p50_ms": 500, "p95_ms": 950, "p99_ms": 990}
    nine_tenths = percentiles_ms([(Fraction(3), Fraction(5)), (Fraction(7), Fraction(90)), (Fraction(9), Fraction(5))])
    assert nine_tenths == {"p50_ms": 7, "p95_ms": 7, "p99_ms": 9}


def test_a_server_is_bought_or_rented_as_the_tables_offer_and_charged_no_installation_that_they_lack():
    told = case(edited("servers", "1,100,4800,48,", "1,100,,48,"))
    assert told.facts.servers["s2"].new_ways == ("buy",)
    assert told.prices.capital_usd(told.facts.servers["s2"], "buy") == 1000
    assert told.facts.servers["s4"].new_ways == ("rent",)
    assert told.prices.capital_usd(told.facts.servers["s4"], "rent") == 5000
    with pytest.raises(ValueError, match="do not offer to buy"):
        told.prices.capital_usd(told.facts.servers["s4"], "buy")
    both = case(edited("servers", "1,100,4800,48,", "1,100,4800,48,900")).facts.servers["s2"]
    assert both.new_ways == ("buy", "rent")
    assert [told.prices.capital_usd(both, way) for way in ("fleet", "buy", "rent")] == [0, 1100, 900]
    assert [told.prices.support_usd(both, way) for way in ("fleet", "buy", "rent")] == [0, 100, 100]


def test_the_edge_of_a_tie_still_passes():
    said = Fraction(1, 100)
    edge = (said + Fraction(1, 200) + Fraction(1, 10**6)) / (1 - Fraction(1, 10**12))
    findings = Findings()
    check_cents("cost", "egress", said, edge, findings)
    assert findings.violations == []
    check_cents("cost", "egress", said, edge + Fraction(1, 10**15), findings)
    assert [violation.rule for violation in findings.violations] == ["cost"]


def test_a_class_whose_design_rate_is_zero_may_still_be_served_and_is_no_constant():
    told = penalties(edited("demand", "chat,night,4,2,", "chat,night,0,2,"))
    assert told.constant_usd == Fraction("4525.9494375")


def test_a_request_of_just_the_free_size_needs_no_known_bandwidth():
    for kbyte, admissible in (("14", True), ("14.001", False)):
        grid = Grid(case(edited("services", "chat,chat,100,10,", f"chat,chat,100,{kbyte},")))
        assert (("south", "m", "chat", "day") in served(grid, "brest")) == admissible
        service = grid.case.facts.services["chat"]
        assert (grid.case.network.network_ms("south", service, "brest") is not None) == admissible


def test_a_region_that_the_pairs_do_not_hold_can_be_served_nowhere():
    """South is not the pairs' last region, whose figures would let brest serve it."""
    found = penalties(network={"regions": ("north", "west")})
    assert found.constant_usd == Fraction("4525.9494375") + 4 * 5913


def test_a_site_that_the_pairs_do_not_hold_can_serve_nobody():
    found = penalties(network={"sites": ("alba", "basel")})
    assert found.constant_usd == penalties(network={"rtt_state": np.array([[2, 0], [0, 0]], np.int8)}).constant_usd


@pytest.mark.parametrize("mbps", [0.0, -1.0])
def test_a_bandwidth_of_nothing_is_unknown_and_a_small_request_needs_none(mbps):
    """South's chat, 10 kB, still finds brest; north's code, 100 kB, finds no way to alba, and brest alone is left."""
    network = {"mbps": np.array([[mbps, 50.0], [80.0, mbps]]), "mbps_state": np.array([[2, 1], [0, 2]], np.int8)}
    grid = Grid(case(network=network))
    reached = {site: [key in served(grid, site) for key in grid.keys] for site in grid.sites}
    assert reached == {"alba": [True, True, False, False, False], "brest": [True, True, True, True, False]}
    services = grid.case.facts.services
    assert grid.case.network.network_ms("south", services["chat"], "brest") == 10
    assert grid.case.network.network_ms("north", services["code"], "alba") is None


def test_a_bandwidth_below_a_megabit_is_known():
    network = {"mbps": np.array([[0.5, 50.0], [80.0, 90.0]])}
    grid = Grid(case(edited("services", "code,code,200,", "code,code,1720,"), network=network))
    # 2·20 + 800/.5 + 80 = 1720 ms for code on quarter
    assert (NORTH_CODE, "quarter") in {(key, shape) for key, shape, *_ in ways(grid, "alba")}


def test_a_shape_that_does_not_fit_its_gpu_is_held_nowhere_however_many_servers_stand():
    told = case(edited("gpus", "g,96,4", "g,96,1"))
    assert not told.hosting.can_hold("alba", "quarter")
    assert told.hosting.can_hold("alba", "one")


def test_a_site_holds_gpus_by_the_server_that_is_leanest_in_each_limit():
    """With 16 kW and 8 U: 2 kW a GPU let 8 stand, s4's 1.5 U a GPU let 5 stand (s2's 2 U let 4): 5 GPUs, 20 quarters.

    With 10 kW and 80 U: 5 by power, 53 by units.
    """
    for power_kw, units in ((16, 8), (10, 80)):
        told = penalties(edited("sites", "alba,DE,50,8,8,8,", f"alba,DE,50,8,{power_kw},{units},"))
        assert Pricing(told, read_certificate(certificate())[""]).servers.room("alba", "g") == 20
