"""What is no plan, names what no table knows, or says what no rule of the scenario asks for: the audit names it."""

import pyarrow as pa
import pytest
from audit_edits import assert_named, named
from audit_planting import LEFT, REPLICA, SERVER, Case, audited, changed, nulls, route
from audit_world import ROUTES, pairs, plan, routes_table, scenario, write

from placement.audit import audit


def failure_route() -> pa.Table:
    table = routes_table()
    column = pa.array(["metro", *[None] * 5], pa.string())
    return table.set_column(table.schema.get_field_index("failure"), "failure", column)


def float_shares() -> pa.Table:
    table = routes_table()
    shares = pa.array([float(row[6]) for row in ROUTES], pa.float64())
    return table.set_column(table.schema.get_field_index("share_ppb"), "share_ppb", shares)


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
    Case("periods", "a period that the scenario does not have", changed("periods", [PERIOD])),
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
    Case("format", "a route twice", routes=(*ROUTES, ROUTES[0])),
    Case("format", "a negative share", routes=route(0, share_ppb=-1)),
    Case("format", "a share above one in a route", routes=route(0, share_ppb=10**9 + 1)),
    Case("format", "shares that are floats", routes=float_shares()),
    Case("format", "a share that is null", routes=nulls("share_ppb")),
    *(Case("format", f"a null {name}", routes=nulls(name)) for name in ("region", "model", "service", "site", "shape")),
    Case("format", "a column more", routes=routes_table().append_column("note", pa.array([""] * 6))),
    Case("format", "a column fewer", routes=routes_table().drop_columns(["failure"])),
]


@pytest.mark.parametrize("case", PLANTED, ids=named)
def test_the_audit_names_the_rule_that_a_planted_violation_breaks(case, tmp_path):
    assert_named(case, audited(case, tmp_path))


@pytest.mark.parametrize("name", ["plan.json", "routes.parquet"])
def test_a_missing_file_is_a_violation_of_the_format(name, tmp_path):
    folder = write(tmp_path / "plan")
    (folder / name).unlink()
    report = audit(folder, scenario(), pairs())
    assert [violation.rule for violation in report.violations] == ["format"]
    assert not report.passed


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


@pytest.mark.parametrize("digits", [20, 400])
def test_a_whole_number_beyond_floats_is_a_violation_and_no_traceback(digits, tmp_path):
    report = audit(write(tmp_path / "plan", changed("served_share", 10**digits)), scenario(), pairs())
    assert [str(v) for v in report.violations] == [f"format: served_share: {str(10**digits)[:40]} is no number"]
