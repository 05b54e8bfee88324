"""Figures that a plan states wrongly, and bounds that nothing proves: the audit names them."""

import numpy as np
import pytest
from audit_edits import assert_named, named
from audit_planting import LEFT, Case, audited, changed
from audit_world import NAN, ROUTES, certificate, pairs, plan, scenario, write

from placement.audit import audit

SURE = {"region": "south", "model": "m", "service": "chat", "served_share": 0.9, "met_ppm": 10**6}

PLANTED = [
    Case("objective", "a cent off", changed("objective_usd_month", 17229.62)),
    Case("objective", "not the total", changed("cost.total", 17229.62)),
    Case("cost", "a total that adds the rounded kinds", changed("cost.total", 17229.62)),
    Case("cost", "fractions of a cent", changed("cost.egress", 27.304)),
    Case("cost", "an unserved class a cent off", changed("unserved.0.usd_month", 2365.21)),
    *(
        Case("cost", f"{kind} a cent off", changed(f"cost.{kind}", round(plan()["cost"][kind] + cent, 2)))
        for kind in plan()["cost"]
        for cent in (0.01, -0.01)
    ),
    Case("served share", "a millionth off", changed("served_share", plan()["served_share"] + 1e-6)),
    Case("served share", "a millionth short", changed("served_share", plan()["served_share"] - 1e-6)),
    Case("latency percentiles", "the median off", changed("latency.p50_ms", 40.0)),
    Case("latency percentiles", "p95 off", changed("latency.p95_ms", 70.8)),
    Case("latency percentiles", "p99 off", changed("latency.p99_ms", 91.601)),
    Case("latency percentiles", "p99 unsaid", changed("latency.p99_ms", None)),
    Case("budget met", "all requests two millionths too sure", changed("budget_met.met_ppm", 998917)),
    Case("budget met", "all requests two millionths too unsure", changed("budget_met.met_ppm", 998913)),
    Case("budget met", "all requests unsaid", changed("budget_met.met_ppm", None)),
    Case("budget met", "inferred requests hidden", changed("budget_met.inferred_share", 0.0)),
    Case("budget met", "inferred requests unsaid", changed("budget_met.inferred_share", None)),
    Case("budget met", "a class two millionths too sure", changed("budget_met.classes.0.met_ppm", 998304)),
    Case("budget met", "a class two millionths too unsure", changed("budget_met.classes.0.met_ppm", 998300)),
    Case("budget met", "a class served less", changed("budget_met.classes.0.served_share", 0.99)),
    Case("budget met", "a class left out", changed("budget_met.classes", [])),
    Case("budget met", "a class on measured pairs", changed("budget_met.classes.+", SURE)),
    Case("format", "a class told twice", changed("budget_met.classes.+", plan()["budget_met"]["classes"][0])),
    Case("format", "more than all", changed("budget_met.met_ppm", 10**6 + 1)),
    Case("certificate", "a negative multiplier", arrays=certificate(budget=np.array(-1.0))),
    Case("certificate", "a NaN", arrays=certificate([NAN, 0, 0, 0, 0])),
    Case("bound", "above what is proved", changed("bound_verified_usd_month", 4525.97)),
    Case("bound", "below what is proved", changed("bound_verified_usd_month", 4525.92)),
    Case("bound", "a claim above the plan's own cost", changed("bound_claimed_usd_month", 17229.75)),
    Case("bound", "a plan cheaper than what is proved of every plan", changed("objective_usd_month", 4525.9)),
    Case("gap", "too small", changed("gap", 0.99)),
    Case("gap", "too large", changed("gap", 1.01)),
]


@pytest.mark.parametrize("case", PLANTED, ids=named)
def test_the_audit_names_the_rule_that_a_planted_violation_breaks(case, tmp_path):
    assert_named(case, audited(case, tmp_path))


@pytest.mark.parametrize("ppm", [998914, 998916])
def test_a_millionth_is_what_logarithms_may_differ_by(ppm, tmp_path):
    assert audited(Case("", "", changed("budget_met.met_ppm", ppm)), tmp_path).passed


def test_a_plan_that_serves_nobody_and_says_how_likely_in_time_is_named(tmp_path):
    document = plan()
    keys = sorted({row[:4] for row in ROUTES} | {("south", "m", "code", "day")})
    names = ("region", "model", "service", "slice")
    document["unserved"] = [{**LEFT, **dict(zip(names, key, strict=True)), "share_ppb": 10**9} for key in keys]
    report = audit(write(tmp_path / "plan", document, routes=()), scenario(), pairs())
    assert {"all requests", "north/m/chat"} == {v.subject for v in report.violations if v.rule == "budget met"}


def test_a_missing_certificate_is_named_where_the_plan_states_a_verified_bound(tmp_path):
    folder = write(tmp_path / "plan")
    (folder / "certificate.npz").unlink()
    report = audit(folder, scenario(), pairs())
    assert {violation.rule for violation in report.violations} == {"certificate", "bound", "gap"}
    assert report.bound_verified_usd_month is None


def test_a_missing_certificate_is_a_note_where_the_plan_states_no_bound(tmp_path):
    folder = write(tmp_path / "plan", plan() | {"bound_verified_usd_month": None, "gap": None})
    (folder / "certificate.npz").unlink()
    report = audit(folder, scenario(), pairs())
    assert report.passed
    assert "there is no certificate: nothing is proved about the gap" in report.notes


def test_a_broken_certificate_is_named_though_the_plan_states_no_bound(tmp_path):
    document = plan() | {"bound_verified_usd_month": None, "gap": None}
    folder = write(tmp_path / "plan", document, arrays=certificate(budget=np.array(-1.0)))
    assert [violation.rule for violation in audit(folder, scenario(), pairs()).violations] == ["certificate"]


def test_an_objective_that_repeats_a_wrong_total_is_named_as_well(tmp_path):
    document = changed("cost.total", 17229.64) | {"objective_usd_month": 17229.64}
    report = audit(write(tmp_path / "plan", document), scenario(), pairs())
    assert [violation.rule for violation in report.violations] == ["cost", "objective"]


def test_a_plan_that_serves_nobody_has_no_latency(tmp_path):
    document = plan()
    document["latency"] = {"p50_ms": None, "p95_ms": None, "p99_ms": None}
    document["budget_met"] = {"met_ppm": None, "inferred_share": None, "classes": []}
    document["served_share"] = 0.0
    keys = sorted({row[:4] for row in ROUTES} | {("south", "m", "code", "day")})
    names = ("region", "model", "service", "slice")
    document["unserved"] = [{**LEFT, **dict(zip(names, key, strict=True)), "share_ppb": 10**9} for key in keys]
    report = audit(write(tmp_path / "plan", document, routes=()), scenario(), pairs())
    broken = {violation.rule for violation in report.violations}
    assert not {"latency percentiles", "budget met", "served share", "1 demand"} & broken


def test_an_unserved_price_that_cannot_be_read_is_not_compared(tmp_path):
    report = audit(write(tmp_path / "plan", changed("unserved.0.usd_month", "much")), scenario(), pairs())
    assert [violation.rule for violation in report.violations] == ["format"]
