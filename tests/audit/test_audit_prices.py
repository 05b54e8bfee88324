"""Prices in figures worked out by hand: recovery of capital, energy, servers bought or rented."""

from fractions import Fraction

import pytest
from audit_opened import case
from audit_world import edited

from placement.audit.prices import recovery_factor


def test_the_recovery_factor_is_that_of_the_interest_tables():
    # A/P, 1 %, 48 periods = 0.02633 and 12 periods = 0.08885 (Park, Contemporary Engineering Economics, appendix)
    assert float(recovery_factor(Fraction(12, 100), Fraction(48))) == pytest.approx(0.02633, abs=5e-6)
    assert float(recovery_factor(Fraction(12, 100), Fraction(12))) == pytest.approx(0.08885, abs=5e-6)
    assert recovery_factor(Fraction(0), Fraction(40)) == Fraction(1, 40)


def test_a_fraction_of_a_month_is_refused():
    with pytest.raises(ValueError, match="whole number of months"):
        recovery_factor(Fraction(12, 100), Fraction(25, 2))


def test_the_price_of_energy_comes_from_the_finest_row():
    text = (
        "site,country,slice,usd_per_kwh\nbrest,,night,0.1\nbrest,,,0.2\n,FR,day,0.3\n,FR,,0.4\n,DE,night,0.5\nalba,,,"
    )
    prices = case({"energy": text}).facts.usd_per_kwh
    assert prices["brest", "night"] == Fraction(1, 10)
    assert prices["brest", "day"] == Fraction(2, 10)
    assert prices["alba", "night"] == Fraction(5, 10)
    assert prices["alba", "day"] == Fraction(2, 10)
    without = case({"energy": text.replace("brest,,night,0.1\nbrest,,,0.2\n", "")}).facts.usd_per_kwh
    assert without["brest", "day"] == Fraction(3, 10)
    assert without["brest", "night"] == Fraction(4, 10)


def test_a_server_is_bought_or_rented_as_the_tables_offer_and_charged_no_installation_that_they_lack():
    told = case(edited("servers", "1,100,4800,48,", "1,100,,48,"))
    assert told.facts.servers["s2"].new_ways == ("buy",)
    assert told.prices.capital_usd(told.facts.servers["s2"], "buy") == 1000
    assert told.facts.servers["s4"].new_ways == ("rent",)
    assert told.prices.capital_usd(told.facts.servers["s4"], "rent") == 5000
    with pytest.raises(ValueError, match="do not offer to buy"):
        told.prices.capital_usd(told.facts.servers["s4"], "buy")
    both = case(edited("servers", "1,100,4800,48,", "1,100,4800,48,900")).facts.servers["s2"]
    assert both.new_ways == ("buy", "rent")
    assert [told.prices.capital_usd(both, way) for way in ("fleet", "buy", "rent")] == [0, 1100, 900]
    assert [told.prices.support_usd(both, way) for way in ("fleet", "buy", "rent")] == [0, 100, 100]
