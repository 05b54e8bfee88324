"""(15) Where and when jobs could run and what that costs: the tiny scenario with a day and a night, on paper.

A gang of 2 GPUs draws 2 x 0.4 kW x 1.5 PUE: 1.2 kWh an hour, at 0.1 USD, at night 0.05. From 2026-01-01 to the 20th are
20 days: 360 hours by day (18 each), 120 by night (6 each).
"""

from fractions import Fraction
from itertools import chain, combinations
from pathlib import Path

import numpy as np
import pytest
import tiny
from scenes import SLICED, SLICES, built, in_periods, offers, only, with_column

from placement.problem import Built
from placement.problem.jobs import JobError
from placement.problem.patterns import Day, WindowError, continuous_patterns, preemptible_patterns
from placement.scenario import ScenarioError
from solvers.rules import Jobs

DAY = {
    "slices.csv": SLICES,
    "demand.csv": SLICED,
    "energy.csv": "site,country,slice,usd_per_kwh\nalpha,,night,0.05\nbeta,,night,0.05\n",
}
HEAD = "job,kind,model,gpu,gpus,hours,window,deadline,preemptible,residency,data_gb,data_site,period\n"


def jobs(*rows: str) -> dict[str, str | None]:
    """Each row: job, gpus, hours, window, deadline, preemptible, residency, data_gb, data_site, period."""
    spelt = []
    for row in rows:
        name, rest = row.split(",", 1)
        spelt.append(f"{name},finetune,m8,g96,{rest}\n")
    return {"jobs.csv": HEAD + "".join(spelt)}


def options(found: Built, period: int = 0) -> list[tuple[str, str, tuple[str, ...]]]:
    return [(o.job, o.site, o.slices) for o in found.names[period].job_options]


def rule(found: Built, period: int = 0) -> Jobs:
    jobs_rule = found.rollout.periods[period].rules.jobs
    assert jobs_rule is not None
    return jobs_rule


def test_a_job_that_may_stop_runs_in_any_set_of_slices_that_is_just_long_enough(tmp_path: Path) -> None:
    found = built(tmp_path, DAY, jobs("t1,2,100,,2026-01-20,yes,,,,"))
    assert options(found) == [
        ("t1", "alpha", ("day",)),
        ("t1", "alpha", ("night",)),
        ("t1", "beta", ("day",)),
        ("t1", "beta", ("night",)),
    ]
    assert rule(found).option_usd == pytest.approx([12, 6, 12, 6])  # 120 kWh
    assert rule(found).option_quarters.tolist() == [8] * 4
    assert rule(found).option_gpu.tolist() == [0] * 4
    assert rule(found).option_slices.tolist() == [[True, False], [False, True]] * 2


def test_where_one_slice_is_too_short_it_runs_in_both_at_their_mean_price(tmp_path: Path) -> None:
    found = built(tmp_path, DAY, jobs("t1,2,400,,2026-01-20,yes,,,,"))
    assert options(found) == [("t1", "alpha", ("night", "day")), ("t1", "beta", ("night", "day"))]
    assert rule(found).option_usd == pytest.approx([480 * (0.75 * 0.1 + 0.25 * 0.05)] * 2)


def test_a_job_that_may_not_stop_runs_in_one_arc_of_one_day(tmp_path: Path) -> None:
    found = built(tmp_path, DAY, jobs("t1,2,5,,2026-01-20,no,,,,", "t2,2,10,,2026-01-20,no,,,,"))
    assert {(job, slices) for job, _, slices in options(found)} == {
        ("t1", ("day",)),
        ("t1", ("night",)),
        ("t2", ("day",)),
    }


def test_a_long_job_that_may_not_stop_takes_the_whole_day_through(tmp_path: Path) -> None:
    found = built(tmp_path, DAY, jobs("t1,2,100,,2026-01-20,no,,,,"))
    assert {slices for _, _, slices in options(found)} == {("night", "day")}
    windowed = built(tmp_path, DAY, jobs("t1,2,100,day,2026-01-20,yes,,,,"))
    assert {slices for _, _, slices in options(windowed)} == {("day",)}


def test_a_job_without_any_way_stays_without_options(tmp_path: Path) -> None:
    found = built(tmp_path, DAY, jobs("t1,4,100,,,yes,,,,", "t2,2,10,,,yes,,,,"), with_four_at_alpha_too_large())
    assert rule(found).jobs == 2
    assert set(rule(found).option_job.tolist()) == {1}


def with_four_at_alpha_too_large() -> dict[str, str | None]:
    """A server of 4 GPUs that takes more power than either site has."""
    return {"servers.csv": tiny.FILES["servers.csv"] + "s4,g96,4,1,11,4,9600,0.4,10,0,48\n"}


def test_moving_the_data_takes_hours_and_costs_egress(tmp_path: Path) -> None:
    # 450 GB x 8000 / 1000 Mbit/s = 3600 s; from alpha 450 x 0.05 = 22.50 USD; 119.5 hours and that one miss the night
    found = built(tmp_path, DAY, jobs("t1,2,119.5,,2026-01-20,yes,,450,alpha,"))
    assert options(found) == [("t1", "alpha", ("day",)), ("t1", "alpha", ("night",)), ("t1", "beta", ("day",))]
    assert [o.transfer_hours for o in found.names[0].job_options] == [0, 0, 1]
    assert rule(found).option_usd == pytest.approx([14.34, 7.17, 14.34 + 22.5])


def test_a_slow_way_in_makes_the_transfer_longer(tmp_path: Path) -> None:
    slow = with_column("sites.csv", "downlink_mbps", ("", 500))
    found = built(tmp_path, DAY, slow, jobs("t1,2,10,day,,yes,,450,alpha,"))
    assert [(o.site, o.transfer_hours) for o in found.names[0].job_options] == [("alpha", 0), ("beta", 2)]


def test_data_stays_where_its_residency_keeps_it(tmp_path: Path) -> None:
    sets = {"residency.csv": "residency,country\nhome,@own\nworld,@any\n"}
    services = with_column("services.csv", "residency", ("world",))
    found = built(tmp_path, DAY, sets, services, jobs("t1,2,10,day,,yes,home,450,alpha,", "t2,2,10,day,,yes,world,,,"))
    assert {(job, site) for job, site, _ in options(found)} == {("t1", "alpha"), ("t2", "alpha"), ("t2", "beta")}


def test_a_gang_needs_a_server_that_large_and_sixteen_need_two_of_eight(tmp_path: Path) -> None:
    servers = tiny.FILES["servers.csv"] + "s8,g96,8,1,4,8,9600,0.4,10,0,48\n"
    sites = tiny.FILES["sites.csv"].replace("50.11,8.68,10,42", "50.11,8.68,3,42")  # beta: no 4 kW server
    found = built(
        tmp_path, {"servers.csv": servers, "sites.csv": sites}, jobs("t1,4,10,,,yes,,,,", "t2,16,10,,,yes,,,,")
    )
    assert options(found) == [("t1", "alpha", ()), ("t2", "alpha", ())]
    assert rule(found).option_quarters.tolist() == [16, 64]
    assert rule(found).option_size.tolist() == [16, 32]
    assert only(found).offer_max[offers(found).index(("alpha", "s8", "buy", ""))] == 2  # the site's 10 kW; of use are 3


def test_a_gang_that_fills_no_servers_is_an_error(tmp_path: Path) -> None:
    with pytest.raises((JobError, ScenarioError), match="gang"):
        built(tmp_path, jobs("t1,3,10,,,yes,,,,"))


def test_a_job_runs_in_its_period_and_in_the_first_by_default(tmp_path: Path) -> None:
    periods = {"periods.csv": "period,start_date,months\np1,2026-01-01,6\np2,2026-07-01,12\n"}
    found = built(tmp_path, in_periods("p1", "p2"), periods, jobs("t1,2,100,,,yes,,,,", "t2,2,100,,,yes,,,,p2"))
    assert {job for job, _, _ in options(found, 0)} == {"t1"}
    assert {job for job, _, _ in options(found, 1)} == {"t2"}
    assert rule(found, 0).option_usd == pytest.approx([12 / 6] * 2)  # a month of it
    assert rule(found, 1).option_usd == pytest.approx([12 / 12] * 2)


def test_days_count_from_the_period_to_the_deadline_both_included(tmp_path: Path) -> None:
    one_day = built(tmp_path, jobs("t1,2,24,,2026-01-01,yes,,,,"))
    assert len(options(one_day)) == 2
    too_long = built(tmp_path, jobs("t1,2,24.5,,2026-01-02,no,,,,"))
    assert len(options(too_long)) == 2  # two days, the whole day through


def test_jobs_keep_servers_of_their_gpu_though_no_shape_runs_on_it(tmp_path: Path) -> None:
    gpus = tiny.FILES["gpus.csv"] + "train,192,1,700\n"
    servers = tiny.FILES["servers.csv"] + "t8,train,8,1,4,8,9600,0.4,10,0,48\n"
    text = HEAD + "t1,finetune,m8,train,8,10,,,yes,,,,\n"
    found = built(tmp_path, {"gpus.csv": gpus, "servers.csv": servers, "jobs.csv": text})
    assert rule(found).option_gpu.tolist() == [1, 1]
    assert only(found).server_gpu.tolist() == [0, 1]  # s2, t8
    at = offers(found).index(("alpha", "t8", "buy", ""))
    assert only(found).offer_max[at] == 1


def test_a_window_of_more_than_twelve_slices_is_refused_for_a_job_that_may_stop() -> None:
    day = Day(tuple("abcdefghijklm"), (Fraction(1),) * 13, tuple(range(13)))
    with pytest.raises(WindowError, match="13"):
        preemptible_patterns(day, tuple(range(13)), Fraction(1), Fraction(1))
    assert continuous_patterns(day, tuple(range(13)), Fraction(1), Fraction(13)) == [tuple(range(13))]


def test_minimal_sets_are_those_that_brute_force_finds() -> None:
    rng = np.random.default_rng(5)
    for _ in range(50):
        size = int(rng.integers(1, 6))
        hours = tuple(Fraction(int(h)) for h in rng.integers(1, 6, size))
        day = Day(tuple("abcdef"[:size]), hours, tuple(rng.permutation(size).tolist()))
        needs = Fraction(int(rng.integers(1, 30)))
        sets = [set(s) for s in chain.from_iterable(combinations(range(size), k) for k in range(1, size + 1))]
        enough = [s for s in sets if 2 * sum(hours[t] for t in s) >= needs]
        minimal = sorted(tuple(sorted(s)) for s in enough if not any(other < s for other in enough))
        assert preemptible_patterns(day, tuple(range(size)), Fraction(2), needs) == minimal


def test_an_arc_may_pass_midnight_and_must_not_be_broken() -> None:
    day = Day(("evening", "morning", "noon"), (Fraction(8),) * 3, (1, 2, 0))
    assert continuous_patterns(day, (0, 1), Fraction(1), Fraction(16)) == [(0, 1)]  # from the evening to the morning
    assert continuous_patterns(day, (0, 1), Fraction(9), Fraction(17)) == []
    four = Day(tuple("abcd"), (Fraction(6),) * 4, (0, 1, 2, 3))
    assert continuous_patterns(four, (0, 2), Fraction(1), Fraction(12)) == []
