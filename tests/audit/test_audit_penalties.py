"""What it costs to leave a class unserved, stated or not, worked out by hand; and what every plan leaves."""

from fractions import Fraction

import numpy as np
from audit_opened import penalties
from audit_world import TABLES, edited

NORTH_CODE, SOUTH_CODE = ("north", "m", "code", "day"), ("south", "m", "code", "day")


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


def test_a_class_whose_design_rate_is_zero_may_still_be_served_and_is_no_constant():
    told = penalties(edited("demand", "chat,night,4,2,", "chat,night,0,2,"))
    assert told.constant_usd == Fraction("4525.9494375")
