"""Net present value and payback against sums done on paper."""

from fractions import Fraction
from math import isclose

from placement.economics import Stage, valued

F = Fraction


def stage(months: object, revenue: int, cost: int, capital: int, site: str = "a") -> Stage:
    return Stage(F(str(months)), {site: F(revenue)}, {site: F(cost)}, {site: F(capital)})


def test_without_interest_the_value_is_the_plain_sum_and_payback_the_month_that_covers_the_price() -> None:
    # 1,000 USD bought; 150 - 50 a month for 12 months: 1,200 - 1,000, and even after the tenth month
    value = valued([stage(1, 150, 50, 1000)], F(0), 12)
    assert value.horizon_months == 12
    assert value.total.npv_usd == 200
    assert value.total.payback_months == 10
    assert value.sites["a"] == value.total


def test_at_interest_the_value_is_that_of_an_annuity_table() -> None:
    # 12 payments of 1 at 1 % a month are worth 11.2551 (any annuity table)
    value = valued([stage(1, 150, 50, 1000)], F(1, 100), 12)
    assert isclose(float(value.total.npv_usd), 100 * 11.2550774749 - 1000, abs_tol=1e-6)


def test_capital_of_a_later_period_is_discounted_from_its_first_month() -> None:
    # r = 100 %: 2 months of 8, then 1 of 32 to the horizon of 3; 4 USD at once, 16 at the beginning of month 3
    stages = [stage(2, 8, 0, 4), stage(1, 32, 0, 16)]
    value = valued(stages, F(1), 1)
    assert value.horizon_months == 3
    assert value.total.npv_usd == F(8, 2) + F(8, 4) + F(32, 8) - 4 - F(16, 4)
    assert value.total.capital_usd == 20
    assert value.total.revenue_usd_month == 32
    assert value.total.payback_months == 1


def test_the_last_month_repeats_to_the_end_of_the_longest_life() -> None:
    value = valued([stage(1, 10, 4, 0), stage(1, 20, 4, 0)], F(0), 5)
    assert value.horizon_months == 5
    assert value.total.npv_usd == 6 + 4 * 16


def test_a_loss_never_pays_back() -> None:
    assert valued([stage(1, 10, 11, 0)], F(0), 48).total.payback_months is None
    assert valued([stage(1, 11, 10, 49)], F(0), 48).total.payback_months is None
    assert valued([stage(1, 11, 10, 48)], F(0), 48).total.payback_months == 48


def test_payback_in_a_later_period_counts_the_months_before() -> None:
    # -100 after the first purchase, +10 a month for 4 months, another 60 spent, then +50 a month: -120 + 3 x 50 >= 0
    value = valued([stage(4, 10, 0, 100), stage(4, 50, 0, 60)], F(0), 8)
    assert value.total.payback_months == 7


def test_sites_add_up_to_the_total() -> None:
    both = Stage(F(1), {"a": F(5), "b": F(7)}, {"a": F(1), "b": F(9)}, {"b": F(3)})
    value = valued([both], F(1, 12), 24)
    assert list(value.sites) == ["a", "b"]
    assert sum(earned.npv_usd for earned in value.sites.values()) == value.total.npv_usd
    assert value.sites["b"].payback_months is None


def test_a_month_belongs_to_the_period_of_its_middle() -> None:
    # periods of half a month and two and a half: the first month's middle, 0.5, is where the second begins
    value = valued([stage(0.5, 100, 0, 0), stage(2.5, 1, 0, 0)], F(0), 3)
    assert value.total.npv_usd == 3
