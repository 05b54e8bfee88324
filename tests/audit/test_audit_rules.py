"""For every rule a violation is planted in the valid plan, or its limit moved below it, and the audit names it."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from audit_world import NAN, ROUTES, TABLES, certificate, edited, pairs, plan, routes_table, scenario, with_later, write

from placement.audit import RULES, audit


@dataclass(frozen=True)
class Case:
    """What is changed, and the rule that must be named."""

    rule: str
    what: str
    document: dict[str, Any] | None = None
    routes: Any = ROUTES
    tables: dict[str, str | None] | None = None
    network: dict[str, Any] | None = None
    arrays: dict[str, Any] | None = None
    later: bool = False
    toml: dict[str, Any] | None = None


def changed(path: str, value: Any) -> dict[str, Any]:
    """The valid plan.json with the value at a dotted path replaced; `-` in place of a value removes it."""
    document = plan()
    *way, last = [int(step) if step.isdigit() else step for step in path.split(".")]
    place: Any = document
    for step in way:
        place = place[step]
    if value == "-":
        del place[last]
    else:
        place[last] = value
    return document


def route(number: int, **columns: Any) -> tuple[Any, ...]:
    """The valid routes with columns of one of them changed."""
    names = ("region", "model", "service", "slice", "site", "shape", "share_ppb")
    row = tuple({**dict(zip(names, ROUTES[number], strict=True)), **columns}.values())
    return (*ROUTES[:number], row, *ROUTES[number + 1 :])


def moved(number: int, other: int, share_ppb: int) -> tuple[Any, ...]:
    """The valid routes with parts per billion moved from one route to another."""
    rows = [list(row) for row in ROUTES]
    rows[number][6] -= share_ppb
    rows[other][6] += share_ppb
    return tuple(map(tuple, rows))


def without(number: int) -> tuple[Any, ...]:
    return (*ROUTES[:number], *ROUTES[number + 1 :])


def figure(name: str, at: tuple[int, int], value: float) -> dict[str, Any]:
    """One figure of the pairs replaced."""
    array = getattr(pairs(), name).copy()
    array[at] = value
    return {name: array}


def failure_route() -> pa.Table:
    table = routes_table()
    column = pa.array(["metro", *[None] * 5], pa.string())
    return table.set_column(table.schema.get_field_index("failure"), "failure", column)


def float_shares() -> pa.Table:
    table = routes_table()
    shares = pa.array([float(row[6]) for row in ROUTES], pa.float64())
    return table.set_column(table.schema.get_field_index("share_ppb"), "share_ppb", shares)


def nulls(name: str) -> pa.Table:
    table = routes_table()
    values = [None, *table.column(name).to_pylist()[1:]]
    return table.set_column(table.schema.get_field_index(name), name, pa.array(values, table.schema.field(name).type))


def cloud(site: str) -> dict[str, str | None]:
    """The sites with one of them a cloud."""
    header, *lines = TABLES["sites"].strip().splitlines()
    kinds = [f"{line},{'cloud' if line.startswith(site) else 'edge'}" for line in lines]
    return {"sites": "\n".join([f"{header},kind", *kinds])}


def cloud_server(server: str) -> dict[str, str | None]:
    """The servers with one of them for clouds."""
    header, *lines = TABLES["servers"].strip().splitlines()
    kinds = [f"{line},{'cloud' if line.startswith(server) else 'any'}" for line in lines]
    return {"servers": "\n".join([f"{header},stands_at", *kinds])}


JOB = {"job": "j", "site": "alba", "period": None, "slices": ["day"], "transfer_hours": 0.0, "usd_month": 0.0}
MOVE = {
    "step": 1, "action": "add", "site": "alba", "shape": "one", "tenant": None, "slice": None, "count": 1,
    "seconds": 1.0,
}  # fmt: skip
RELIABILITY = {"failover": "planned", "domains": [], "price_usd_month": None}
PERIOD = {
    "period": "2027", "months": 1.0, "cost": plan()["cost"], "served_share": plan()["served_share"],
    "capex_usd": 48000.0, "gpus": 8, "dpus": 0,
}  # fmt: skip
WHOLE = {
    "1 spread", "1 served", "10 rollout", "10 installs", "13 domain", "13 reserve", "13 exempt", "13 replica capacity",
    "13 uplink", "13 downlink", "13 policy", "13 shares", "14 moves", "14 steps", "14 pins", "15 jobs", "15 window",
    "15 hours", "15 gang", "16 carbon", "goals", "economics",
}  # fmt: skip
SERVER, REPLICA, LEFT = plan()["servers"][0], plan()["replicas"][0], plan()["unserved"][0]

PLANTED = [
    Case("provenance", "another scenario's name", changed("scenario", "other")),
    Case("provenance", "an input without its hash", changed("provenance.inputs_sha256", {"sites.csv": "5" * 64})),
    Case(
        "provenance",
        "an input that changed since",
        changed("provenance.inputs_sha256", {"sites.csv": "6" * 64, "demand.csv": "d" * 64}),
    ),
    Case(
        "provenance",
        "an input that the scenario does not have",
        changed("provenance.inputs_sha256", {"sites.csv": "5" * 64, "demand.csv": "d" * 64, "pins.csv": "1" * 64}),
    ),
    Case("not honoured", "a rule of later work in the scenario", later=True),
    Case("rule off", "a job", changed("jobs", [JOB])),
    Case("rule off", "a route for a failure", routes=failure_route()),
    Case("rule off", "replicas of one slice", changed("replicas.0.slice", "day")),
    Case("rule off", "a move", changed("moves", [MOVE])),
    Case("rule off", "failures", changed("reliability", RELIABILITY)),
    Case("6 tenants", "servers of a tenant that has none", changed("servers.0.tenant", "bank")),
    Case("6 tenants", "replicas of a tenant that has none", changed("replicas.0.tenant", "bank")),
    Case("10 ways", "a rented server that can only be bought", changed("servers.0.rented", 1)),
    Case("10 ways", "a bought server that can only be rented", changed("servers.1.rented", 0)),
    Case("10 site kind", "an edge server in a cloud", tables=cloud("alba")),
    Case("10 site kind", "a server of clouds at the edge", tables=cloud_server("s2")),
    Case("periods", "a period that the scenario does not have", changed("periods", [PERIOD])),
    Case("1 demand", "a part per billion too few", changed("unserved.0.share_ppb", 99_999_999)),
    Case("1 demand", "a part per billion too many", changed("unserved.0.share_ppb", 100_000_001)),
    Case("1 demand", "a class without any share", changed("unserved", [LEFT])),
    Case("1 demand", "a class that nobody asked for", changed("unserved.1.region", "north")),
    Case("1 demand", "more than anybody asked for", routes=(*ROUTES, ("east", *ROUTES[0][1:6], 10**9))),
    Case(
        "2 latency",
        "the budget a thousandth of a ms below the plan",
        tables=edited("services", "code,code,200", "code,code,87.999"),
    ),
    Case(
        "2 latency",
        "a route beyond its budget",
        routes=route(5, shape="one-far"),
        network=figure("rtt_p95_ms", (1, 1), 10.001),
    ),
    Case("2 latency", "an unknown latency", network=figure("rtt_state", (1, 1), 0)),
    Case("2 latency", "an inferred latency whose upper end is too far", network=figure("rtt_upper_ms", (0, 1), 68.401)),
    Case("2 latency", "a measured latency whose p95 is too far", network=figure("rtt_p95_ms", (0, 0), 1e3)),
    Case("2 latency", "no figure beside the state", network=figure("rtt_p95_ms", (0, 0), NAN)),
    Case("2 latency", "an infinite latency", network=figure("rtt_p95_ms", (0, 0), np.inf)),
    Case(
        "2 latency",
        "round trips that count",
        tables=edited("services", "code,code,200,100,50,2", "code,code,200,100,50,8"),
    ),
    Case("2 latency", "a large request over unknown bandwidth", network=figure("mbps_state", (0, 0), 0)),
    Case("2 latency", "a slow wire", network=figure("mbps", (0, 0), 1.0)),
    Case("2 latency", "a bandwidth of nothing", network=figure("mbps", (0, 0), 0.0)),
    Case("2 latency", "loss above the limit", network=figure("loss", (1, 1), 0.0201)),
    Case("2 latency", "loss that is limited and unknown", network=figure("loss", (1, 1), NAN)),
    Case("2 latency", "jitter above the limit", network=figure("jitter_ms", (1, 1), 10.01)),
    Case("2 latency", "jitter that is limited and unknown", network=figure("jitter_ms", (1, 1), NAN)),
    Case("2 latency", "a region that the pairs do not know", network={"regions": ("north", "west")}),
    Case("2 latency", "a site that the pairs do not know", network={"sites": ("alba", "basel")}),
    Case("3 residency", "a country outside the bloc", tables=edited("sites", "alba,DE", "alba,BR")),
    Case("3 residency", "a vendor outside the set", tables=edited("sites", "1.25,,DE,east", "1.25,,CN,east")),
    Case("3 residency", "a vendor that is not known", tables=edited("sites", "1.25,,DE,east", "1.25,,,east")),
    Case(
        "3 residency", "the demand row's own set", tables=edited("demand", "chat,night,4,2,", "chat,night,4,2,brazil")
    ),
    Case("3 residency", "a set that is not defined", tables=edited("demand", "chat,night,4,2,", "chat,night,4,2,mars")),
    Case("3 residency", "the scenario's default set", toml={"limits": {"default_residency": "brazil"}}),
    Case("3 residency", "no set at all", toml={"limits": {"default_residency": ""}}),
    Case("4 replica capacity", "a part per billion above it", routes=moved(1, 0, 1)),
    Case("4 replica capacity", "a replica fewer", changed("replicas.1.count", 1)),
    Case("4 replica capacity", "a slower shape", tables=edited("shapes", "code,near,4,40", "code,near,3.999,40")),
    Case(
        "4 replica capacity",
        "a shape that runs another model",
        tables={"shapes": TABLES["shapes"].replace("one,m,", "one,n,")},
    ),
    Case("4 replica capacity", "a shape without the profile", routes=route(4, shape="two")),
    Case("5 linking", "a route to a shape that does not stand", routes=route(2, shape="quarter")),
    Case("5 linking", "a route to replicas of which none stands", changed("replicas.3.count", 0)),
    Case("6 GPUs", "a replica more than the GPUs hold", changed("replicas.0.count", 2)),
    Case("6 GPUs", "a quarter more than the GPUs hold", changed("replicas.1.count", 5)),
    Case(
        "6 GPUs",
        "a large replica on small servers",
        tables=edited("servers", "s2,g,2,4", "s2,g,1,4"),
        document=changed("servers.0.count", 4),
    ),
    Case("6 GPUs", "a size that does not exist", tables=edited("shapes", "two,m,g,2,bf16", "two,m,g,4,bf16")),
    Case(
        "6 one operating point",
        "a second operating point of the same size",
        changed("replicas", [*plan()["replicas"], {**REPLICA, "site": "brest", "shape": "one-far"}]),
    ),
    Case("6 MIG", "parts of a GPU that cannot be cut", tables=edited("gpus", "g,96,4", "g,96,1")),
    Case("6 MIG", "parts of a GPU that is cut into seven", tables=edited("gpus", "g,96,4", "g,96,7")),
    Case(
        "6 memory",
        "a replica too large for its GPU",
        tables=edited("shapes", "code,near,4,40,96", "code,near,4,40,96.01"),
    ),
    Case("6 memory", "weights too large for the GPU's slice", tables=edited("gpus", "g,96,4", "g,60,4")),
    Case("7 power", "a watt too few", tables=edited("sites", "50,8,8,8,1.92", "50,8,7.999,8,1.92")),
    Case("7 power", "a server too many", changed("servers.0.count", 3)),
    Case("7 kW per rack", "a server hotter than a rack", tables=edited("sites", "1.56,,300", "1.56,3.999,300")),
    Case("7 kW per rack", "racks that cannot cool them all", tables=edited("sites", "-4,30,42", "-4,30,41.99")),
    Case("8 rack units", "a rack unit too few", tables=edited("sites", "50,8,8,8,1.92", "50,8,8,7.9,1.92")),
    Case("9 uplink", "a bit a second too few", tables=edited("sites", "8,8,1.92", "8,8,1.919999")),
    Case("9 uplink", "a part per billion more", routes=moved(0, 2, 1)),
    Case("9 downlink", "a bit a second too few", tables=edited("sites", "0.1,1.56", "0.1,1.559999")),
    Case("10 inventory", "a new server too many", changed("servers.0.new", 2)),
    Case("10 inventory", "no stock of a server that is not listed", tables=edited("deliveries", ",east,s2,1\n", "")),
    Case("10 inventory", "stock for another group of sites", tables=edited("deliveries", ",east,s2,1", ",west,s2,1")),
    Case("10 inventory", "one delivered fewer", tables=edited("deliveries", ",east,s2,1", ",east,s2,0")),
    Case("10 fleet", "more kept than stand there", changed("servers.0.new", 0)),
    Case("10 fleet", "no fleet at all", tables={"fleet": None}),
    Case("11 export", "a GPU too many in the country", tables=edited("export", "g,,DE,4", "g,,DE,3")),
    Case("11 export", "a server of a banned kind", tables=edited("export", ",s4,FR,4", ",s4,FR,3")),
    Case("11 export", "a ban whose day has come", toml={"planning_date": "2026-06-02"}),
    Case("11 export", "a ban without a date", tables=edited("export", "g,,FR,0,2026-06-02", "g,,FR,0,")),
    Case("11 export", "a date where the scenario has no day of planning", toml={"planning_date": None}),
    Case("12 capex", "a cent too few", tables=edited("budgets", "48000", "47999.99")),
    Case("12 budget", "a cent too few", tables=edited("budgets", "10338.48", "10338.47")),
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
    Case("certificate", "a negative multiplier", arrays=certificate(budget=np.array(-1.0))),
    Case("certificate", "a NaN", arrays=certificate([NAN, 0, 0, 0, 0])),
    Case("bound", "above what is proved", changed("bound_verified_usd_month", 4525.97)),
    Case("bound", "below what is proved", changed("bound_verified_usd_month", 4525.92)),
    Case("bound", "a claim above the plan's own cost", changed("bound_claimed_usd_month", 17229.75)),
    Case("bound", "a plan cheaper than what is proved of every plan", changed("objective_usd_month", 4525.9)),
    Case("gap", "too small", changed("gap", 0.99)),
    Case("gap", "too large", changed("gap", 1.01)),
    Case("format", "a missing key", changed("gap", "-")),
    Case("format", "an unknown key", changed("extra", 1)),
    Case("format", "another schema", changed("schema", "nearserve-plan-1")),
    Case("format", "servers of a period that is not there", changed("servers.0.period", "2027")),
    Case("format", "more rented than new", changed("servers.0.rented", 2)),
    Case("format", "a status without a plan", changed("status", "INFEASIBLE")),
    Case("format", "no scenario", changed("scenario", "")),
    Case("format", "text for a number", changed("objective_usd_month", "17229.63")),
    Case("format", "true for a number", changed("served_share", True)),
    Case("format", "a cost without one kind", changed("cost.egress", "-")),
    Case("format", "a cost of an unknown kind", changed("cost.tax", 0.0)),
    Case("format", "a cost that is a list", changed("cost", [])),
    Case("format", "a sum beyond all money", changed("cost.egress", 1e16)),
    Case("format", "a count that is true", changed("servers.0.new", True)),
    Case("format", "a count with a fraction", changed("servers.0.count", 2.0)),
    Case("format", "a negative count", changed("replicas.0.count", -1)),
    Case("format", "a count beyond all machines", changed("replicas.0.count", 10**9 + 1)),
    Case("format", "a share above one", changed("unserved.0.share_ppb", 10**9 + 1)),
    Case("format", "more new than stand", changed("servers.1.new", 2)),
    Case("format", "a server twice", changed("servers", [*plan()["servers"], SERVER])),
    Case("format", "a replica twice", changed("replicas", [*plan()["replicas"], REPLICA])),
    Case("format", "an unserved class twice", changed("unserved", [*plan()["unserved"], LEFT])),
    Case("format", "a row that is no object", changed("servers", [1])),
    Case("format", "rows that are no list", changed("replicas", {})),
    Case("format", "a row without a key", changed("unserved.0.reason", "-")),
    Case("format", "a row with an unknown key", changed("servers.0.colour", "red")),
    Case("format", "an unserved class without a reason", changed("unserved.0.reason", "")),
    Case("format", "an unserved class with a number for a slice", changed("unserved.0.slice", 1)),
    Case("format", "a shadow price of nothing", changed("shadow_prices", [{"limit": "", "usd_month": 1.0}])),
    Case("format", "a shadow price that is text", changed("shadow_prices", [{"limit": "a", "usd_month": "1"}])),
    Case("format", "a shadow price without a limit", changed("shadow_prices", [{"usd_month": 1.0}])),
    Case("format", "jobs that are no list", changed("jobs", None)),
    Case("format", "hashes that are no text", changed("provenance.inputs_sha256", {"sites.csv": 1})),
    Case("format", "hashes that are no object", changed("provenance.inputs_sha256", None)),
    Case("format", "provenance that is no object", changed("provenance", "mine")),
    Case("format", "a server at a site that is not there", changed("servers.0.site", "nowhere")),
    Case("format", "a server of an unknown kind", changed("servers.0.server", "s3")),
    Case("format", "a replica at a site that is not there", changed("replicas.0.site", "nowhere")),
    Case("format", "a replica of an unknown shape", changed("replicas.0.shape", "three")),
    Case("format", "a route to a site that is not there", routes=route(0, site="nowhere")),
    Case("format", "a route to an unknown shape", routes=route(0, shape="three")),
    Case("1 demand", "a route of a class that is not there", routes=route(0, region="east")),
    Case("format", "a route twice", routes=(*ROUTES, ROUTES[0])),
    Case("format", "a negative share", routes=route(0, share_ppb=-1)),
    Case("format", "a share above one in a route", routes=route(0, share_ppb=10**9 + 1)),
    Case("format", "shares that are floats", routes=float_shares()),
    Case("format", "a share that is null", routes=nulls("share_ppb")),
    *(Case("format", f"a null {name}", routes=nulls(name)) for name in ("region", "model", "service", "site", "shape")),
    Case("1 demand", "a null slice where classes have one", routes=nulls("slice")),
    Case("format", "a column more", routes=routes_table().append_column("note", pa.array([""] * 6))),
    Case("format", "a column fewer", routes=routes_table().drop_columns(["failure"])),
]


@pytest.mark.parametrize("case", PLANTED, ids=lambda case: f"{case.rule}: {case.what}")
def test_the_audit_names_the_rule_that_a_planted_violation_breaks(case, tmp_path):
    told = scenario(case.tables, case.toml)
    told = with_later(told) if case.later else told
    folder = write(tmp_path / "plan", case.document, case.routes, case.arrays)
    report = audit(folder, told, pairs(**(case.network or {})))
    assert not report.passed
    assert case.rule in {violation.rule for violation in report.violations}, [str(v) for v in report.violations]


def test_a_violation_is_planted_for_every_rule_that_the_auditor_knows():
    """Here for the rules of a day; those of periods, failures, moves, jobs and carbon are in test_audit_whole_rules."""
    assert {case.rule for case in PLANTED} == set(RULES) - WHOLE


@pytest.mark.parametrize("name", ["plan.json", "routes.parquet"])
def test_a_missing_file_is_a_violation_of_the_format(name, tmp_path):
    folder = write(tmp_path / "plan")
    (folder / name).unlink()
    report = audit(folder, scenario(), pairs())
    assert [violation.rule for violation in report.violations] == ["format"]
    assert not report.passed


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


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        '{"gap": NaN}',
        '{"gap": 1, "gap": 2}',
        "[" * 100_000,
        '{"gap": ' + "9" * 5000 + "}",
        "\x00",
    ],
)
def test_text_that_is_no_plan_is_a_violation_of_the_format(text, tmp_path):
    folder = write(tmp_path / "plan")
    (folder / "plan.json").write_text(text, encoding="utf-8")
    assert {violation.rule for violation in audit(folder, scenario(), pairs()).violations} == {"format"}


def test_bytes_that_are_no_text_are_a_violation_of_the_format(tmp_path):
    folder = write(tmp_path / "plan")
    (folder / "plan.json").write_bytes(b"\xff\xfe{}")
    assert {violation.rule for violation in audit(folder, scenario(), pairs()).violations} == {"format"}


def test_a_shape_whose_gpu_nobody_sells_is_a_violation_and_no_traceback(tmp_path):
    gpus = TABLES["gpus"] + "h,96,4,600\n"
    told = scenario({"shapes": TABLES["shapes"].replace("one,m,g,", "one,m,h,"), "gpus": gpus})
    violations = audit(write(tmp_path / "plan"), told, pairs()).violations
    assert {violation.subject for violation in violations if violation.rule == "6 GPUs"} == {
        "h at alba, replicas of 1 GPUs or more",
        "h at brest, replicas of 1 GPUs or more",
    }
    # its busy kW count as none: 29.94140625 + 19.9609375 of `quarter` are left
    assert "recomputed 49.90" in next(v.detail for v in violations if v.subject == "load_energy")


def test_a_route_for_a_failure_that_the_scenario_does_not_have_serves_nobody(tmp_path):
    table = routes_table((*ROUTES, ROUTES[0]))
    failure = pa.array([*[None] * 6, "metro"], pa.string())
    table = table.set_column(table.schema.get_field_index("failure"), "failure", failure)
    report = audit(write(tmp_path / "plan", routes=table), scenario(), pairs())
    assert [violation.rule for violation in report.violations] == ["rule off"]


def test_a_plan_that_serves_nobody_has_no_latency(tmp_path):
    document = plan()
    document["latency"] = {"p50_ms": None, "p95_ms": None, "p99_ms": None}
    document["served_share"] = 0.0
    keys = sorted({row[:4] for row in ROUTES} | {("south", "m", "code", "day")})
    names = ("region", "model", "service", "slice")
    document["unserved"] = [{**LEFT, **dict(zip(names, key, strict=True)), "share_ppb": 10**9} for key in keys]
    report = audit(write(tmp_path / "plan", document, routes=()), scenario(), pairs())
    assert not {"latency percentiles", "served share", "1 demand"} & {violation.rule for violation in report.violations}


def test_a_violation_says_what_is_broken_where_and_by_how_much(tmp_path):
    report = audit(write(tmp_path / "plan"), scenario(edited("sites", "8,8,1.92", "8,8,1.91")), pairs())
    violation = next(v for v in report.violations if v.rule == "9 uplink")
    assert str(violation) == "9 uplink: alba in day: 1.92 Mbit/s where 1.91 are allowed"
    assert violation.excess == pytest.approx(0.01)


def test_a_shape_of_a_gpu_that_no_table_knows_is_a_violation_and_no_traceback(tmp_path):
    told = scenario({"shapes": TABLES["shapes"].replace("one,m,g,", "one,m,h,")})
    violations = audit(write(tmp_path / "plan"), told, pairs()).violations
    assert "a replica of 1 h does not exist" in {violation.detail for violation in violations}


def test_an_objective_that_repeats_a_wrong_total_is_named_as_well(tmp_path):
    document = changed("cost.total", 17229.64) | {"objective_usd_month": 17229.64}
    report = audit(write(tmp_path / "plan", document), scenario(), pairs())
    assert [violation.rule for violation in report.violations] == ["cost", "objective"]


def test_replicas_that_do_not_stand_are_none(tmp_path):
    report = audit(write(tmp_path / "plan", changed("replicas", plan()["replicas"][:3])), scenario(), pairs())
    excess = {
        violation.subject: violation.excess for violation in report.violations if violation.rule == "4 replica capacity"
    }
    assert excess == {"one at brest in day": pytest.approx(0.05 + 0.27)}


def test_a_server_hotter_than_a_rack_is_named_where_the_racks_together_would_cool_it(tmp_path):
    """84 units at 4 kW for every 42 cool the 8 kW of s4; no rack of them does."""
    told = scenario(edited("sites", "-4,30,42,0.512,0.1,,8", "-4,30,84,0.512,0.1,,4"))
    report = audit(write(tmp_path / "plan"), told, pairs())
    assert {v.subject: v.excess for v in report.violations} == {"s4 at brest": 4}


@pytest.mark.parametrize(("gpus", "small"), [(4, 2), (8, 4)])
def test_a_replica_of_many_gpus_needs_servers_that_are_as_large(gpus, small, tmp_path):
    """The plan's large replica takes as many GPUs as two servers of half its size have together."""
    shapes = TABLES["shapes"].replace("two,m,g,2,", f"two,m,g,{gpus},")
    told = scenario({"shapes": shapes} | edited("servers", "s2,g,2,", f"s2,g,{small},"))
    document = changed("replicas", [{**REPLICA, "shape": "two"}])
    report = audit(write(tmp_path / "plan", document), told, pairs())
    assert {v.subject: v.excess for v in report.violations if v.rule == "6 GPUs"} == {
        f"g at alba, replicas of {gpus} GPUs or more": gpus
    }


def test_the_detail_of_a_limit_names_its_unit(tmp_path):
    told = scenario(edited("budgets", "48000", "47999") | edited("export", "g,,DE,4", "g,,DE,3"))
    details = {v.detail for v in audit(write(tmp_path / "plan"), told, pairs()).violations}
    assert details == {"48000 USD where 47999 are allowed", "4 GPUs where 3 are allowed"}


def test_demand_that_is_not_shared_out_is_named_with_what_is_missing(tmp_path):
    report = audit(write(tmp_path / "plan", changed("unserved.0.share_ppb", 99_999_999)), scenario(), pairs())
    violation = next(v for v in report.violations if v.rule == "1 demand")
    assert violation.excess == -1e-9
    assert violation.detail == "shares and unserved sum to 999999999, not 1000000000"


def test_a_route_to_a_shape_of_another_model_serves_nobody(tmp_path):
    """Without `one`, which runs n here, 40 ms and 50.8 ms and 88 ms and 91.6 ms are gone: quarter's 70.8 ms is left."""
    told = scenario({"shapes": TABLES["shapes"].replace("one,m,", "one,n,")})
    document = changed("latency", {"p50_ms": 70.8, "p95_ms": 70.8, "p99_ms": 70.8})
    report = audit(write(tmp_path / "plan", document), told, pairs())
    rules = {violation.rule for violation in report.violations}
    assert "4 replica capacity" in rules
    assert not rules & {"latency percentiles", "2 latency", "5 linking"}


def test_a_broken_certificate_is_named_though_the_plan_states_no_bound(tmp_path):
    document = plan() | {"bound_verified_usd_month": None, "gap": None}
    folder = write(tmp_path / "plan", document, arrays=certificate(budget=np.array(-1.0)))
    assert [violation.rule for violation in audit(folder, scenario(), pairs()).violations] == ["certificate"]


def test_an_unserved_price_that_cannot_be_read_is_not_compared(tmp_path):
    report = audit(write(tmp_path / "plan", changed("unserved.0.usd_month", "much")), scenario(), pairs())
    assert [violation.rule for violation in report.violations] == ["format"]


@pytest.mark.parametrize("digits", [20, 400])
def test_a_whole_number_beyond_floats_is_a_violation_and_no_traceback(digits, tmp_path):
    report = audit(write(tmp_path / "plan", changed("served_share", 10**digits)), scenario(), pairs())
    assert [str(v) for v in report.violations] == [f"format: served_share: {str(10**digits)[:40]} is no number"]
