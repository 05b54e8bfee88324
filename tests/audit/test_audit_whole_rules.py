"""Rules over periods, failures, moves, jobs, carbon and goals: the hand-made plan keeps them, and each is broken."""

from dataclasses import dataclass
from typing import Any

import pytest
from audit_edits import Routes, assert_named, named, with_columns, with_values
from audit_planting import WHOLE
from audit_whole_plan import BEFORE, FIRST, NAMES, PLAN, ROUTES, SECOND, plan
from audit_whole_tables import TABLES, edited
from audit_world_whole import scenario, whole_pairs, written

from placement.audit import RULES, audit


@dataclass(frozen=True)
class Case:
    """What is changed, and the rule that must be named."""

    rule: str
    what: str
    document: Any = None
    routes: Any = ROUTES
    tables: Any = None
    toml: Any = None
    before: Any = None


def changed(*edits: tuple[str, Any]) -> dict[str, Any]:
    """The valid plan.json with values at dotted paths replaced."""
    return with_values(plan(), *edits)


def rows(period: str, service: str, name: str, failure: str | None) -> list[int]:
    """Places of the routes of a class in a slice."""
    found = [j for j, row in enumerate(ROUTES) if (row[4], row[2], row[3], row[7]) == (period, service, name, failure)]
    assert found
    return found


def route(number: int, **columns: Any) -> Routes:
    """The valid routes with columns of one of them changed."""
    return with_columns(ROUTES, NAMES, number, columns)


def without(*numbers: int) -> tuple[Any, ...]:
    return tuple(row for j, row in enumerate(ROUTES) if j not in numbers)


OSLO, TURKU = "metro-oslo", "metro-turku"
NIGHT_OFF = rows(SECOND, "chat", "night", OSLO)[0]
DAY_OFF = rows(FIRST, "chat", "day", TURKU)[0]
BANK = rows(FIRST, "bank", "day", None)[0]
JOBS, MOVES = PLAN["jobs"], PLAN["moves"]
BACK = {"step": 3, "action": "add", "site": "oslo", "shape": "one", "tenant": None, "slice": None, "count": 1}
SWAPPED = [{**MOVES[1], "step": 1}, {**MOVES[0], "step": 2}]

STRAYED = (*ROUTES, (*ROUTES[BANK][:5], "turku", "one", OSLO, 10**9))
"""The bank's traffic fails over to Finland."""
BANK_IN_FI = edited("residency", "home,NO,\n", "home,NO,\nhome,FI,\n")
BANK_IN_SE = edited("residency", "home,NO,\n", "home,NO,\nhome,SE,\n")
RICH = {"budgets": TABLES["budgets"].replace("2027-1,48000", "2027-1,96000").replace("2027-2,48000", "2027-2,47999")}
GOALS = PLAN["goals"]

PLANTED = [
    Case("1 spread", "a site below the least share", tables=edited("services", "70,0.4,2", "70,0.401,2")),
    Case("1 spread", "more sites than may serve a class", tables=edited("services", "70,0.4,2", "70,0.4,1")),
    Case("1 served", "less served than must be", toml={"limits": {"min_served_share": 0.9677}}),
    Case("1 demand", "a class that is served in another period", routes=route(0, period=SECOND)),
    Case("2 latency", "a backup beyond its own budget", routes=STRAYED, tables=BANK_IN_FI | edited(
        "services", "yes,,,", "yes,39,,")),
    Case("2 latency", "a backup beyond the budget where it has none of its own", routes=STRAYED, tables=BANK_IN_FI
         | edited("services", "bank,chat,60", "bank,chat,49")),
    Case("3 residency", "a backup outside of the set", routes=STRAYED),
    Case("3 residency", "a job whose data may not leave", tables=edited("jobs", "no,nordic,7.2", "no,own,7.2")),
    Case("5 linking", "a backup to a shape that does not stand", routes=route(NIGHT_OFF, shape="quick")),
    Case("6 GPUs", "a replica of one slice too many", changed(("replicas.2.count", 3))),
    Case("6 GPUs", "a job where inference fills the server", changed(("replicas.0.count", 2))),
    Case("6 GPUs", "a tenant's replicas on anybody's server", changed(("servers.1", "-"), ("servers.0.count", 2))),
    Case("6 one operating point", "a second one in one slice", changed(
        ("replicas.+", {**PLAN["replicas"][0], "shape": "quick"}), ("jobs.0.slices", ["night"]))),
    Case("6 tenants", "a tenant of no service", changed(("servers.1.tenant", "shop"))),
    Case("10 fleet", "tenants that share more than stands there", changed(("servers.0.new", 0))),
    Case("10 inventory", "bought before it is delivered", changed(("servers.2.rented", 0))),
    Case("10 inventory", "delivered too late", tables=edited("deliveries", "2027-2,,s2,1", "2027-3,,s2,1")),
    Case("10 rollout", "a bought server that is gone again", changed(("servers.3.new", 0), ("servers.3.count", 0))),
    Case("10 rollout", "a bought server that another owner has", changed(
        ("servers.3.tenant", "bank"), ("servers.4.tenant", None))),
    Case("10 installs", "more than can be set up", toml={"limits": {"installs_per_period": 1}}),
    Case("10 ways", "a bought server that is only for rent", tables=edited("servers", "48000,0.5", ",0.5")),
    Case("11 export", "a limit that begins with the second period", tables=edited("export", "g,,FI,2", "g,,FI,1")),
    Case("11 export", "a ban that begins a day earlier", tables=edited("export", "2027-07-02", "2027-07-01")),
    Case("12 capex", "the first period's", tables=edited("budgets", "2027-1,48000", "2027-1,47999.99")),
    Case("12 capex", "the second's, though the first left enough", tables=RICH),
    Case("12 budget", "a cent too few", tables=edited("budgets", "4526.29", "4526.28")),
    Case("13 domain", "a failure of an unknown domain", routes=route(NIGHT_OFF, failure="metro-bergen")),
    Case("13 domain", "a failure of a kind that does not fail", routes=route(NIGHT_OFF, failure="baltic")),
    Case("13 domain", "a backup that fails with the domain", routes=route(NIGHT_OFF, site="oslo")),
    Case("13 domain", "a backup of a class that loses nothing", routes=(
        *ROUTES, ("norse", "m", "chat", "night", FIRST, "oslo", "one", TURKU, 10**8))),
    Case("13 domain", "a backup of nothing for a class that loses nothing", routes=(
        *ROUTES, ("norse", "m", "chat", "night", FIRST, "oslo", "one", TURKU, 0))),
    Case("13 domain", "a class that is not there", routes=route(NIGHT_OFF, region="west")),
    Case("13 reserve", "a part per billion too few", routes=route(NIGHT_OFF, share_ppb=9 * 10**8 - 1)),
    Case("13 reserve", "a part per billion too many", routes=route(NIGHT_OFF, share_ppb=9 * 10**8 + 1)),
    Case("13 exempt", "a class left out that somebody could take", routes=without(NIGHT_OFF)),
    Case("13 exempt", "backups of a class that nobody may take", routes=STRAYED),
    Case("13 exempt", "a class that a cloud could take", tables=BANK_IN_SE | edited("services", "yes,,,", "yes,70,,")),
    Case("13 replica capacity", "survivors that are too few", changed(("replicas.7.count", 1))),
    Case("13 replica capacity", "no reserve in one slice", changed(("replicas.1.count", 0))),
    Case("13 uplink", "a bit too narrow for what fails over", tables=edited("sites", "4,4,16,", "4,4,15.999,")),
    Case("13 downlink", "a bit too narrow for what fails over", tables=edited("sites", "0.02,1.68", "0.02,1.679")),
    Case("13 policy", "another policy than the scenario's", toml={"reliability": {"failover": "priority"}}),
    Case("13 policy", "no reliability at all", changed(("reliability", None))),
    Case("13 policy", "nothing that survives in proportion", changed(("reliability.failover", "proportional")),
        toml={"reliability": {"failover": "proportional"}}),
    Case("13 shares", "what is rerouted", changed(("reliability.domains.0.rerouted_share", 0.5))),
    Case("13 shares", "what is lost", changed(("reliability.domains.1.lost_share", 0.5))),
    Case("13 shares", "a domain without a word", changed(("reliability.domains.2", "-"))),
    Case("13 shares", "a domain that may not fail", changed(("reliability.domains.2.domain", "baltic"))),
    Case("14 moves", "more replicas added than may be", toml={"stability": {"max_moves": 0}}),
    Case("14 moves", "no plan before", before={}),
    Case("14 moves", "a plan before of another schema", before=BEFORE | {"schema": "nearserve-plan-1"}),
    Case("14 moves", "a plan before that is nowhere", toml={"stability": {"previous_plan": "gone"}}),
    Case("14 steps", "steps that lead elsewhere", changed(("moves.0.count", 2))),
    Case("14 steps", "a step that is missing", changed(("moves.1", "-"))),
    Case("14 steps", "a step in one slice alone", changed(("moves.0.slice", "day"))),
    Case("14 steps", "numbers that begin late", changed(("moves.0.step", 2), ("moves.1.step", 3))),
    Case("14 steps", "a drain of what carries the new routes", changed(
        ("moves.1.count", 2), ("moves.+", {**BACK, "seconds": 8000.0}))),
    Case("14 steps", "no room for both", changed(("moves", [
        {**BACK, "step": 1, "seconds": 8000.0}, {**MOVES[0], "step": 2}, {**MOVES[1], "step": 3, "count": 2}]))),
    Case("14 steps", "weights that arrive too soon", changed(("moves.0.seconds", 1279.9))),
    Case("14 steps", "an unknown shape", changed(("moves.0.shape", "three"))),
    Case("14 pins", "fewer than the least", tables=edited("pins", "m,turku,1,2", "m,turku,2,2")),
    Case("14 pins", "more than the most", tables=edited("pins", "m,oslo,2,3", "m,oslo,2,2")),
    Case("14 pins", "a ban", tables=edited("pins", "m,turku,1,2", "m,turku,,0")),
    Case("15 jobs", "a job that does not run", changed(("jobs.0", "-"))),
    Case("15 jobs", "a job that runs twice", changed(("jobs.+", {**JOBS[0], "site": "turku"}))),
    Case("15 jobs", "a job in the wrong period", changed(("jobs.0.period", SECOND))),
    Case("15 jobs", "a job that nobody asked for", changed(("jobs.+", {**JOBS[0], "job": "guess"}))),
    Case("15 window", "outside of the window", changed(("jobs.0.slices", ["rush", "day"]))),
    Case("15 window", "a slice twice", changed(("jobs.0.slices", ["rush", "night", "night"]))),
    Case("15 hours", "a minute too few", tables=edited("jobs", "m,g,1,11,", "m,g,1,11.02,")),
    Case("15 hours", "a deadline a day earlier", tables=edited("jobs", "2027-01-02", "2027-01-01")),
    Case("15 hours", "a deadline before the period begins", tables=edited("jobs", "2027-01-02", "2026-12-02")),
    Case("15 hours", "a transfer that takes longer", changed(("jobs.1.transfer_hours", 0.9))),
    Case("15 hours", "data that moves too slowly", tables=edited("sites", "0.05,20,", "0.05,15,")),
    Case("15 hours", "a job that may not be stopped and has one day", tables=edited("jobs", "yes,own", "no,own")),
    Case("15 gang", "a gang that fills no server", tables=edited("jobs", "tune,finetune,m,g,1", "tune,finetune,m,g,3")),
    Case("15 gang", "servers that are too small", tables=edited("jobs", "tune,finetune,m,g,1", "tune,finetune,m,g,4")),
    Case("16 carbon", "above the limit", toml={"limits": {"max_tco2e_month": 0.1295}}),
    Case("16 carbon", "figures that nobody knows", tables=edited("sites", "0.1,1.25,20", "0.1,1.25,")),
    Case("16 carbon", "servers whose making nobody knows", tables=edited("servers", "1500,1200", "1500,")),
    Case("16 carbon", "energy told wrong", changed(("carbon.energy_tco2e", 0.0745))),
    Case("16 carbon", "a total told wrong", changed(("carbon.total_tco2e", 0.1))),
    Case("16 carbon", "nothing told", changed(("carbon", None))),
    Case("cost", "a period's kind a cent off", changed(("periods.0.cost.jobs", 0.58))),
    Case("cost", "a period's total a cent off", changed(("periods.1.cost.total", 7400.08))),
    Case("cost", "a mean that is not weighed by months", changed(("cost.moves", 7.5))),
    Case("cost", "a job a cent off", changed(("jobs.1.usd_month", 0.17))),
    Case("cost", "another price of a move", toml={"stability": {"usd_per_move": 31.0}}),
    Case("cost", "transit by the peak", tables=edited("sites", "2,p95", "2,peak")),
    Case("cost", "transit by the mean", tables=edited("sites", "2,p95", "2,mean")),
    Case("cost", "transit whose busiest slice lasts too long", tables={
        "slices": TABLES["slices"].replace("08:00,1", "08:00,1.3").replace("09:00,11", "09:00,10.7")}),
    Case("goals", "out of order", changed(("goals.0.goal", "latency"), ("goals.1.goal", "served"))),
    Case("goals", "without the last", changed(("goals.4", "-"))),
    *(Case("goals", f"{goal['goal']} told wrong", changed((f"goals.{j}.value", goal["value"] * 1.00001)))
      for j, goal in enumerate(GOALS)),
    Case("periods", "the other way round", changed(("periods", PLAN["periods"][::-1]))),
    Case("periods", "none", changed(("periods", []))),
    Case("periods", "other months", changed(("periods.0.months", 12.0))),
    Case("periods", "another capex", changed(("periods.1.capex_usd", 0.0))),
    Case("periods", "another served share", changed(("periods.1.served_share", 1.0))),
    Case("periods", "other GPUs", changed(("periods.0.gpus", 4))),
    Case("periods", "other DPUs", changed(("periods.0.dpus", 6))),
    Case("served share", "a mean that is not weighed by months", changed(("served_share", 0.98))),
    Case("latency percentiles", "those of the first period", changed(("latency.p95_ms", 40.0))),
    Case("format", "a period that is not there", changed(("replicas.0.period", "2027-3"))),
    Case("format", "a route of a period that is not there", routes=route(0, period=None)),
    Case("format", "a slice that is not there", changed(("replicas.0.slice", "noon"))),
    Case("format", "a job at a site that is not there", changed(("jobs.0.site", "nowhere"))),
    Case("format", "a job in a slice that is not there", changed(("jobs.0.slices", ["noon"]))),
    Case("format", "a domain twice", changed(("reliability.domains.+", PLAN["reliability"]["domains"][0]))),
    Case("format", "a move that neither adds nor drains", changed(("moves.0.action", "shift"))),
    Case("rule off", "failures that nobody asks for", toml={"reliability": {"n_minus_1": []}}),
    Case("rule off", "moves from no plan", toml={"stability": {"previous_plan": None}}),
    Case("rule off", "jobs that no table has", tables={"jobs": None}),
    Case("rule off", "replicas that follow the slices", toml={"limits": {"replicas_follow_slices": False}}),
]  # fmt: skip


def report_of(case: Case, folder: Any) -> Any:
    folder_of_plan = written(folder, case.document, case.routes, case.before)
    return audit(folder_of_plan, scenario(folder, case.tables, case.toml), whole_pairs())


def test_the_plan_worked_out_by_hand_keeps_every_rule_and_all_were_looked_at(tmp_path):
    report = audit(written(tmp_path), scenario(tmp_path), whole_pairs())
    assert [str(v) for v in report.violations] == []
    assert report.passed
    assert {rule for rule in RULES if not report.rules_checked[rule]} == {"not honoured", "7 kW per rack", "economics"}
    assert report.rules_checked["1 demand"] == 8
    assert report.rules_checked["13 reserve"] == 10  # classes in slices that a failure moves, of two domains
    assert report.rules_checked["15 jobs"] == 2


@pytest.mark.parametrize("case", PLANTED, ids=named)
def test_the_audit_names_the_rule_that_a_planted_violation_breaks(case, tmp_path):
    assert_named(case, report_of(case, tmp_path))


def test_a_violation_is_planted_for_every_rule_over_periods_failures_moves_and_jobs():
    assert {case.rule for case in PLANTED} >= WHOLE - {"economics"}
