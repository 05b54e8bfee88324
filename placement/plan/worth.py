"""What a plan earns: its months as the stages of `placement.economics`."""

from collections import Counter
from collections.abc import Sequence
from fractions import Fraction

from placement.economics import Earned, Stage, valued
from placement.plan.document import Economics, SiteEconomics
from placement.plan.exact import cents
from placement.plan.ledger import Bill, revenue_usd
from placement.plan.month import Month
from placement.plan.prices import Prices


def economics(prices: Prices, months: Sequence[tuple[Month, Bill]]) -> Economics | None:
    """Net present value and payback; None where no service states its revenue.

    Revenue is that of served mean requests at the site that serves them; a service that states none earns nothing.
    Cost is the site's without capital: support, rent, power and place, energy, open site, egress and the jobs it
    runs. Priced milliseconds, carbon, moves and penalties are no cash and stay out.
    """
    revenue = [revenue_usd(prices, month) for month, _ in months]
    stages = []
    life = 0
    for (_, bill), earned, bought in zip(months, revenue, newly_bought([m for m, _ in months]), strict=True):
        if earned is None:
            return None
        capital: dict[str, Fraction] = {}
        for (site, server), count in bought.items():
            capital[site] = capital.get(site, Fraction()) + count * prices.capital(server)
            life = max(life, int(prices.servers[server]["months"]))
        stages.append((earned, bill.site_usd, capital))
    lasting = [month.months for month, _ in months]
    value = valued([Stage(m, *stage) for m, stage in zip(lasting, stages, strict=True)], prices.monthly_rate, life)
    return Economics(
        horizon_months=value.horizon_months,
        monthly_rate=float(prices.monthly_rate),
        revenue_usd_month=cents(value.total.revenue_usd_month),
        npv_usd=cents(value.total.npv_usd),
        payback_months=_months(value.total),
        sites=tuple(_site(name, earned) for name, earned in value.sites.items()),
    )


def newly_bought(months: Sequence[Month]) -> list[Counter[tuple[str, str]]]:
    """Servers bought at the beginning of each period, by (site, server): beyond those bought before."""
    found = []
    before: Counter[tuple[str, str, str]] = Counter()
    for month in months:
        bought = Counter({(s.site, s.server, s.tenant): s.bought for s in month.standing if s.bought})
        grown: Counter[tuple[str, str]] = Counter()
        for (site, server, _), count in sorted((bought - before).items()):
            grown[site, server] += count
        found.append(grown)
        before = bought
    return found


def _site(name: str, earned: Earned) -> SiteEconomics:
    return SiteEconomics(
        site=name,
        revenue_usd_month=cents(earned.revenue_usd_month),
        cost_usd_month=cents(earned.cost_usd_month),
        capex_usd=cents(earned.capital_usd),
        npv_usd=cents(earned.npv_usd),
        payback_months=_months(earned),
    )


def _months(earned: Earned) -> float | None:
    return None if earned.payback_months is None else float(earned.payback_months)
