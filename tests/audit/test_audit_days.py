"""What a day is to jobs and to transit: runs around the clock, and the slices that 95/5 leaves out, by enumeration."""

from fractions import Fraction
from itertools import combinations

import pytest
from audit_whole_tables import TABLES, edited
from audit_world_whole import scenario, whole_pairs
from hypothesis import given
from hypothesis import strategies as st

from placement.audit.case import open_cases
from placement.audit.jobs import Gang, breaks, check_jobs, read_jobs, transfer_hours
from placement.audit.limits import capex_most_usd, limit_rows
from placement.audit.money import billed_mbps
from placement.audit.plan_rows import JobRow
from placement.audit.report import Findings

DAY = ("a", "b", "c", "d", "e")


@pytest.mark.parametrize(
    ("chosen", "runs"), [("abc", 1), ("ea", 1), ("dea", 1), ("ac", 2), ("ace", 2), ("bd", 2), ("abcde", 0), ("c", 1)]
)
def test_slices_are_one_run_where_they_follow_each_other_around_the_clock(chosen, runs):
    assert breaks(DAY, set(chosen)) == runs


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(1, 9)), min_size=1, max_size=6))
def test_what_95_5_bills_is_the_least_peak_over_all_sets_of_slices_that_may_be_left_out(told):
    """Of every set of slices that together last at most 5 % of the day the busiest slice of the others, at least."""
    lasting = sum(hours for _, hours in told) + 90  # a long slice of the night, in which nothing flows
    flow = {str(j): Fraction(mbps) for j, (mbps, _) in enumerate(told)}
    day = {str(j): Fraction(hours, lasting) for j, (_, hours) in enumerate(told)} | {"long": Fraction(90, lasting)}
    peaks = [
        max((flow.get(name, Fraction(0)) for name in day if name not in out), default=Fraction(0))
        for size in range(len(day))
        for out in combinations(day, size)
        if sum(day[name] for name in out) <= Fraction(1, 20)
    ]
    found = billed_mbps("p95", flow, day)
    assert found == min(peaks)
    assert billed_mbps("peak", flow, day) == max(flow.values())
    assert billed_mbps("mean", flow, day) == sum(mbps * hours for mbps, hours in told) / Fraction(lasting)


def jobs(tmp_path, *rows, tables=None):
    case = open_cases(scenario(tmp_path, tables), whole_pairs())[0]
    findings = Findings()
    gangs = check_jobs(case, rows, findings)
    return gangs, [(v.rule, v.subject) for v in findings.violations]


def row(job, site, *slices, hours=0):
    return JobRow(job, site, slices, Fraction(hours), Fraction(0), "2027-1")


def test_a_gang_above_eight_takes_eights(tmp_path):
    big = (
        TABLES["jobs"]
        .replace("tune,finetune,m,g,1,", "tune,finetune,m,g,16,")
        .replace("train,posttrain,m,g,1,", "train,posttrain,m,g,2,")
    )
    gangs, _ = jobs(tmp_path, row("tune", "turku", "night", hours=1), row("train", "oslo"), tables={"jobs": big})
    assert gangs == (
        Gang("turku", "g", Fraction(8), Fraction(16), ("night",)),
        Gang("oslo", "g", Fraction(2), Fraction(2), ("day", "night", "rush")),
    )


def test_a_job_may_take_more_slices_than_it_needs_and_all_of_the_day_without_naming_it(tmp_path):
    anytime = TABLES["jobs"].replace("26,night+rush,", "26,,").replace("11,night,", "11,,")
    rows = (row("train", "oslo"), row("tune", "oslo", "day", "night"))
    assert jobs(tmp_path, *rows, tables={"jobs": anytime})[1] == []
    assert jobs(tmp_path, *rows)[1] == [("15 window", "job train at oslo"), ("15 window", "job tune at oslo")]


def test_a_run_in_one_day_needs_a_day(tmp_path):
    """Half a day before the period ends: 730/24 days a month."""
    short = {"periods": TABLES["periods"].replace("2027-01-01,6", "2027-01-01,0.02")} | {
        "jobs": TABLES["jobs"].replace("26,night+rush,2027-01-02,yes", "1,rush,2027-01-02,yes")}  # fmt: skip
    rows = (row("train", "oslo", "rush"), row("tune", "turku", "night", hours=1))
    assert jobs(tmp_path, *rows, tables=short)[1] == [("15 hours", "job tune at turku")]


@pytest.mark.parametrize(("down", "hours"), [("20", 1), ("8", 2), ("", 1)])
def test_data_move_as_fast_as_the_slower_end(down, hours, tmp_path):
    case = open_cases(scenario(tmp_path, edited("sites", "0.05,20,", f"0.05,{down},")), whole_pairs())[0]
    tune = read_jobs(case.scenario, "2027-1")["tune"]
    assert transfer_hours(case, tune, "turku") == hours
    assert transfer_hours(case, tune, "oslo") == 0


@pytest.mark.parametrize(
    ("budgets", "so_far", "own"),
    [
        ("2027-1,100,\n2027-2,50,", (100, 150), (100, 50)),
        ("2027-1,100,", (100, None), (100, None)),  # nothing is said of what the second may buy
        ("2027-2,50,", (None, None), (None, 50)),
        (",100,\n2027-2,50,", (100, 150), (100, 50)),
        (",100,", (100, 100), (100, None)),  # there from the first period on, and not spent twice
        (",100,\n2027-1,7,", (107, 107), (107, None)),
        (",,9\n2027-1,7,", (7, None), (7, None)),
    ],
)
def test_capex_is_limited_so_far_and_in_each_period(budgets, so_far, own, tmp_path):
    told = scenario(tmp_path, {"budgets": f"period,capex_usd,monthly_usd\n{budgets}"})
    cases = open_cases(told, whole_pairs())
    rows = [{row.name: row.most for row in limit_rows(case)}.get(f"capex|{case.period.name}") for case in cases]
    assert tuple(rows) == so_far
    assert tuple(capex_most_usd(case) for case in cases) == own
