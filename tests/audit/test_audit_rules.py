"""Every rule that the auditor knows is broken by a planted violation somewhere."""

import test_audit_rules_demand
import test_audit_rules_figures
import test_audit_rules_format
import test_audit_rules_machines
from audit_planting import WHOLE

from placement.audit import RULES

FILES = (test_audit_rules_demand, test_audit_rules_figures, test_audit_rules_format, test_audit_rules_machines)


def test_a_violation_is_planted_for_every_rule_that_the_auditor_knows():
    """Here for the rules of a day; those of periods, failures, moves, jobs and carbon are in test_audit_whole_rules."""
    assert {case.rule for file in FILES for case in file.PLANTED} == set(RULES) - WHOLE
