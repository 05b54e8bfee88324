"""What sets of residency allow."""

import pytest
from audit_opened import case


@pytest.mark.parametrize(
    ("entries", "country", "vendor", "allowed"),
    [
        ("x,@any,", "", "", True),
        ("x,DE,", "DE", "", True),
        ("x,DE,", "FR", "", False),
        ("x,@own,", "DE", "", True),
        ("x,@own,", "FR", "", False),
        ("x,@bloc:EU,", "FR", "", True),
        ("x,@bloc:EU,", "GB", "", False),
        ("x,@bloc:NOWHERE,", "FR", "", False),
        ("x,@any,\nx,US,vendor", "FR", "US", True),
        ("x,@any,\nx,US,vendor", "FR", "", False),
        ("x,@any,\nx,@own,vendor", "FR", "DE", True),
        ("x,@any,\nx,@bloc:EU,vendor", "FR", "IE", True),
        ("x,@any,\nx,@any,vendor", "FR", "", True),
        ("x,US,vendor", "US", "US", False),
        ("x,NA,", "NA", "", True),
    ],
)
def test_a_residency_set_allows_what_it_lists(entries, country, vendor, allowed):
    told = case({"residency": f"residency,country,scope\n{entries}"})
    assert told.residency.allows_set("x", "DE", country, vendor) is allowed


def test_without_the_table_everything_is_allowed_and_an_unknown_set_allows_nothing():
    assert case({"residency": None}).residency.allows_set("x", "DE", "FR", "")
    assert not case().residency.allows_set("x", "DE", "DE", "DE")
