"""The plan worked out by hand passes, and every rule was looked at."""

import numpy as np
from audit_world import ROUTES, TABLES, certificate, pairs, plan, scenario, write

from placement.audit import RULES, audit


def test_the_plan_worked_out_by_hand_passes(tmp_path):
    report = audit(write(tmp_path / "plan"), scenario(), pairs())
    assert [str(v) for v in report.violations] == []
    assert report.passed


def test_every_rule_counts_the_facts_it_checked_so_that_none_passes_by_being_empty(tmp_path):
    report = audit(write(tmp_path / "plan"), scenario(), pairs())
    assert set(report.rules_checked) == set(RULES)
    off = {rule for rule in RULES if report.rules_checked[rule] <= 0}
    assert off == {"not honoured", "1 spread", "1 served", "goals", "economics", "10 installs", "10 rollout"} | {
        rule for rule in RULES if rule.startswith(("13", "14", "15", "16"))
    }
    assert report.rules_checked["1 demand"] == 5  # classes and slices
    assert report.rules_checked["5 linking"] == 6  # routes
    assert report.rules_checked["3 residency"] == 6
    assert report.rules_checked["2 latency"] == 12  # known, and within the budget


def test_the_constant_is_the_penalty_of_the_one_class_that_residency_bans_everywhere(tmp_path):
    report = audit(write(tmp_path / "plan"), scenario(), pairs())
    assert abs(report.constant_usd_month - 4525.9494375) < 1e-9
    assert abs(report.bound_verified_usd_month - 4525.9494375) < 1e-6
    assert report.bound_verified_usd_month <= 4525.9494375
    assert abs(report.gap_verified - 1) < 1e-6


def test_a_plan_whose_bound_is_not_filled_in_yet_passes_and_is_told_so(tmp_path):
    document = plan() | {"bound_verified_usd_month": None, "gap": None}
    report = audit(write(tmp_path / "plan", document), scenario(), pairs())
    assert report.passed
    assert report.gap_verified is not None
    assert "the plan states no verified bound" in report.notes


def test_rows_that_count_nothing_change_nothing(tmp_path):
    """A site that stays shut, a server too hot for its racks, a second operating point: none of them stands."""
    tables = {
        "sites": TABLES["sites"] + "calais,FR,50,2,8,8,1,0.1,,,700,40,0.9,1.5,2,US,\n",
        "servers": TABLES["servers"] + "s9,h,4,9,6,1000,9,50,,48,\n",
        "gpus": TABLES["gpus"] + "h,96,4,600\n",
        "deliveries": TABLES["deliveries"] + ",,s9,9\n",
    }
    document = plan()
    document["servers"] += [
        {"site": "brest", "server": "s9", "tenant": None, "period": None, "count": 0, "new": 0, "rented": 0},
        {"site": "calais", "server": "s2", "tenant": None, "period": None, "count": 0, "new": 0, "rented": 0},
    ]
    document["replicas"].append({**document["replicas"][0], "site": "brest", "shape": "one-far", "count": 0})
    document["shadow_prices"] = [{"limit": "capex|", "usd_month": 0.5}]
    three = ("alba", "brest", "calais")
    widened = {
        name: np.pad(value, ((0, 0), (0, 1))) for name, value in vars(pairs()).items() if isinstance(value, np.ndarray)
    }
    arrays = certificate(uplink_usd=np.zeros((3, 2)), downlink_usd=np.zeros((3, 2))) | {"site": np.array(three)}
    idle = (*ROUTES, ("south", "m", "chat", "day", "brest", "quarter", 0))
    document["replicas"].append({**document["replicas"][0], "site": "brest", "shape": "quarter", "count": 1})
    report = audit(write(tmp_path / "plan", document, idle, arrays), scenario(tables), pairs(**widened, sites=three))
    assert [str(v) for v in report.violations] == []


def test_without_the_bound_every_rule_but_those_of_the_proof_is_looked_at_as_before(tmp_path):
    """Of a plan that sends north's chat over a pair become too slow, and whose certificate is no archive."""
    folder = write(tmp_path / "plan")
    (folder / "certificate.npz").write_bytes(b"no archive")
    slow = pairs(rtt_p95_ms=np.array([[200.0, 60.0], [5.0, 10.0]]))
    whole, quick = audit(folder, scenario(), slow), audit(folder, scenario(), slow, bound=False)
    proof = {"bound", "gap", "certificate"}
    assert {v.rule for v in whole.violations} > proof
    assert [v for v in whole.violations if v.rule not in proof] == list(quick.violations)
    assert {rule: n for rule, n in whole.rules_checked.items() if rule not in proof} == {
        rule: n for rule, n in quick.rules_checked.items() if rule not in proof
    }
    assert not any(quick.rules_checked[rule] for rule in proof)
    assert "2 latency" in {v.rule for v in quick.violations}
    assert (quick.bound_verified_usd_month, quick.constant_usd_month, quick.gap_verified) == (None, None, None)
