"""What stands where: servers in racks, replicas on GPUs, parts of GPUs."""

from dataclasses import replace
from fractions import Fraction

import pytest
from audit_opened import case, penalties
from audit_world import certificate, edited

from placement.audit.certificate import read_certificate
from placement.audit.hosting import misfit, stands
from placement.audit.pricing import Pricing


@pytest.mark.parametrize(
    ("rack", "power", "units", "stand"),
    [
        ("", "4", "4", True),
        ("", "3.9", "9", False),
        ("", "9", "3.9", False),
        ("42", "9", "4", True),
        ("41", "9", "4", False),
        ("4", "9", "42", True),
        ("3.9", "9", "84", False),
    ],
)
def test_a_server_stands_where_rack_power_and_rack_units_let_it(rack, power, units, stand):
    """s2 takes 4 kW and 4 rack units; racks cool their kW for every 42 units."""
    row = edited("sites", "50,8,8,8,1.92,0.1,1.56,,300", f"50,8,{power},{units},1.92,0.1,1.56,{rack},300")
    facts = case(row).facts
    assert stands(facts.servers["s2"], facts.sites["alba"]) is stand


@pytest.mark.parametrize(
    ("gpus", "quarters"), [("0.25", 1), ("0.5", 2), ("1", 4), ("2", 8), ("4", 16), ("8", 32), ("3", 0)]
)
def test_a_replica_is_counted_in_quarter_gpus_and_other_sizes_do_not_exist(gpus, quarters):
    shape = replace(case().facts.shapes["one"], gpus=Fraction(gpus))
    assert shape.quarters == quarters
    assert (misfit(case().facts, shape) is None) is (quarters > 3)


def test_a_shape_that_does_not_fit_its_gpu_is_held_nowhere_however_many_servers_stand():
    told = case(edited("gpus", "g,96,4", "g,96,1"))
    assert not told.hosting.can_hold("alba", "quarter")
    assert told.hosting.can_hold("alba", "one")


def test_a_site_holds_gpus_by_the_server_that_is_leanest_in_each_limit():
    """With 16 kW and 8 U: 2 kW a GPU let 8 stand, s4's 1.5 U a GPU let 5 stand (s2's 2 U let 4): 5 GPUs, 20 quarters.

    With 10 kW and 80 U: 5 by power, 53 by units.
    """
    for power_kw, units in ((16, 8), (10, 80)):
        told = penalties(edited("sites", "alba,DE,50,8,8,8,", f"alba,DE,50,8,{power_kw},{units},"))
        assert Pricing(told, read_certificate(certificate())[""]).servers.room("alba", "g") == 20
