"""Rules 1 to 3: violations of demand, latency and residency are planted, and the audit names them."""

import numpy as np
import pyarrow as pa
import pytest
from audit_edits import assert_named, named
from audit_planting import LEFT, Case, audited, changed, figure, nulls, route
from audit_world import NAN, ROUTES, edited, pairs, routes_table, scenario, write

from placement.audit import audit

PLANTED = [
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
    Case("1 demand", "a route of a class that is not there", routes=route(0, region="east")),
    Case("1 demand", "a null slice where classes have one", routes=nulls("slice")),
]


@pytest.mark.parametrize("case", PLANTED, ids=named)
def test_the_audit_names_the_rule_that_a_planted_violation_breaks(case, tmp_path):
    assert_named(case, audited(case, tmp_path))


def test_demand_that_is_not_shared_out_is_named_with_what_is_missing(tmp_path):
    report = audit(write(tmp_path / "plan", changed("unserved.0.share_ppb", 99_999_999)), scenario(), pairs())
    violation = next(v for v in report.violations if v.rule == "1 demand")
    assert violation.excess == -1e-9
    assert violation.detail == "shares and unserved sum to 999999999, not 1000000000"


def test_a_route_for_a_failure_that_the_scenario_does_not_have_serves_nobody(tmp_path):
    table = routes_table((*ROUTES, ROUTES[0]))
    failure = pa.array([*[None] * 6, "metro"], pa.string())
    table = table.set_column(table.schema.get_field_index("failure"), "failure", failure)
    report = audit(write(tmp_path / "plan", routes=table), scenario(), pairs())
    assert [violation.rule for violation in report.violations] == ["rule off"]
