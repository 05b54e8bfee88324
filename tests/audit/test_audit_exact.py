"""Decimals as fractions, and sums of fractions in whole units."""

from fractions import Fraction

import numpy as np
import pytest

from placement.audit.exact import counted, exact


def test_a_float_is_the_decimal_that_it_was_read_from():
    draw = np.random.default_rng(0)
    figures = [
        0.1,
        -0.0,
        5e-324,
        1.7976931348623157e308,
        3.0,
        *(draw.normal(size=300) * 10.0 ** draw.integers(-30, 30, 300)),
    ]
    assert [exact(value) for value in figures] == [Fraction(repr(float(value))) for value in figures]
    assert exact(0.1) == Fraction(1, 10)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_what_is_no_figure_is_refused(value):
    with pytest.raises(ValueError, match="no figure"):
        exact(value)


def test_whole_units_sum_up_to_what_the_fractions_do():
    figures = {"a": Fraction(1, 6), "b": Fraction(-3, 4), "c": Fraction(5), "d": Fraction(0)}
    found = counted(figures)
    assert found.per_one == 12
    assert {name: found.value(units) for name, units in found.units.items()} == figures
    assert found.value(sum(found.units.values())) == sum(figures.values())
    assert counted({}).value(0) == 0
