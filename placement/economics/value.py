"""Net present value and payback of a roll-out, per site and in total, in fractions.

Month m = 1, 2, …, N; month m belongs to the period in which its middle lies, and the last period's month repeats to
the horizon N. With r the monthly rate (wacc/12), R and C a month's revenue and cost without capital, and K_h what is
spent on capital at the beginning of period h, whose first month is m_h:

    NPV = Σ_m (R_m − C_m)/(1 + r)^m − Σ_h K_h/(1 + r)^(m_h − 1)

    payback = the first m with Σ_{j ≤ m} (R_j − C_j) − Σ_{h: m_h ≤ m} K_h ≥ 0

N is the longest life of the servers bought, at least the roll-out's length, in whole months. Sunk fleet is no
capital here; nothing is sold at the end. Source: net present value and payback as in Park, Contemporary Engineering
Economics, chapter 5; cash falls at the end of its month, capital at the beginning.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil

FINEST = 10**40
"""Powers of the discount are kept in units of 10^-40: exact to the cent for any sum that money comes in."""


@dataclass(frozen=True)
class Stage:
    """One period: how long it lasts, and by site a month's revenue and cost, and what is bought at its beginning."""

    months: Fraction
    revenue_usd: Mapping[str, Fraction]
    cost_usd: Mapping[str, Fraction]
    capital_usd: Mapping[str, Fraction]


@dataclass(frozen=True)
class Earned:
    """What a site, or all of them, comes to. Month figures are those of the last period."""

    revenue_usd_month: Fraction
    cost_usd_month: Fraction
    capital_usd: Fraction
    npv_usd: Fraction
    payback_months: int | None  # None: not within the horizon


@dataclass(frozen=True)
class Value:
    """The roll-out's worth over a horizon of months."""

    horizon_months: int
    total: Earned
    sites: Mapping[str, Earned]  # by name, sorted


@dataclass(frozen=True)
class _Calendar:
    """Of every period: its whole months within the horizon, the sum of their discounts, and that of its beginning."""

    months: tuple[int, ...]
    annuity: tuple[Fraction, ...]
    discount: tuple[Fraction, ...]


def valued(stages: Sequence[Stage], monthly_rate: Fraction, life_months: int) -> Value:
    """Net present value and payback of the `stages` in order; `life_months`: the longest of what is bought."""
    calendar = _calendar([stage.months for stage in stages], monthly_rate, life_months)
    named = sorted({site for s in stages for part in (s.revenue_usd, s.cost_usd, s.capital_usd) for site in part})
    sites = {site: _earned([_at(stage, site) for stage in stages], calendar) for site in named}
    return Value(sum(calendar.months), _earned([_in_all(stage) for stage in stages], calendar), sites)


Cash = tuple[Fraction, Fraction, Fraction]
"""Revenue and cost a month, and capital at the beginning."""


def _at(stage: Stage, site: str) -> Cash:
    none = Fraction()
    return stage.revenue_usd.get(site, none), stage.cost_usd.get(site, none), stage.capital_usd.get(site, none)


def _in_all(stage: Stage) -> Cash:
    parts = (stage.revenue_usd, stage.cost_usd, stage.capital_usd)
    revenue, cost, capital = (sum(part.values(), Fraction()) for part in parts)
    return revenue, cost, capital


def _earned(cash: Sequence[Cash], calendar: _Calendar) -> Earned:
    npv = Fraction()
    for (revenue, cost, capital), annuity, discount in zip(cash, calendar.annuity, calendar.discount, strict=True):
        npv += (revenue - cost) * annuity - capital * discount
    spent = sum((capital for _, _, capital in cash), Fraction())
    return Earned(cash[-1][0], cash[-1][1], spent, npv, _payback(cash, calendar.months))


def _payback(cash: Sequence[Cash], months: Sequence[int]) -> int | None:
    """The first month at whose end the cash so far is not below zero; a period is a line: no month is walked."""
    so_far, gone = Fraction(), 0
    for (revenue, cost, capital), lasting in zip(cash, months, strict=True):
        so_far -= capital
        if lasting:
            net = revenue - cost
            if so_far + net >= 0:
                return gone + 1
            if net > 0 and so_far + net * lasting >= 0:
                return gone + ceil(-so_far / net)
            so_far += net * lasting
        gone += lasting
    return None


def _calendar(months: Sequence[Fraction], monthly_rate: Fraction, life_months: int) -> _Calendar:
    length = sum(months, Fraction())
    horizon = max(life_months, ceil(length), 1)
    ends = [sum(months[: h + 1], Fraction()) for h in range(len(months))]
    # a month whose middle is at an end belongs to the later period; what follows the last end to the last period
    last = [min(max(ceil(end - Fraction(1, 2)), 0), horizon) for end in ends[:-1]] + [horizon]
    first = [0, *last[:-1]]
    power = [Fraction(1)]
    for _ in range(horizon):
        power.append(Fraction(round(power[-1] / (1 + monthly_rate) * FINEST), FINEST))
    return _Calendar(
        tuple(end - begin for begin, end in zip(first, last, strict=True)),
        tuple(sum(power[begin + 1 : end + 1], Fraction()) for begin, end in zip(first, last, strict=True)),
        tuple(power[begin] for begin in first),
    )
