"""(16) tCO2e a month: energy of what stands, serves and trains, and the making of new servers over their months."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from placement.plan.document import Carbon
from placement.plan.exact import exact, known, total
from placement.plan.ledger import idle_energy, job_kwh, load_energy
from placement.plan.month import Month
from placement.plan.prices import Prices

GRAMS_PER_TONNE = 10**6
KG_PER_TONNE = 10**3


@dataclass(frozen=True)
class Emitted:
    """tCO2e a month; None where a figure that is needed is absent."""

    energy: Fraction | None
    embodied: Fraction | None

    @property
    def total(self) -> Fraction | None:
        return None if self.energy is None or self.embodied is None else self.energy + self.embodied


def emitted(prices: Prices, month: Month) -> Emitted:
    """What the month emits."""
    return Emitted(_energy(prices, month), _embodied(prices, month))


def carbon_usd(prices: Prices, emission: Emitted) -> Fraction:
    """What it is priced at; nothing where the scenario prices no carbon.

    Raises:
        ValueError: carbon is priced and a figure is absent, which the problem should have refused.
    """
    if prices.usd_per_tco2e is None:
        return Fraction()
    if emission.total is None:
        raise ValueError("carbon is priced, and gco2_per_kwh of a site or embodied_kgco2e of a server is absent")
    return prices.usd_per_tco2e * emission.total


def mean_carbon(months: Sequence[tuple[Fraction, Emitted]]) -> Carbon | None:
    """Mean over periods by their months; None where neither part is known."""
    energy = _mean([(lasting, e.energy) for lasting, e in months])
    embodied = _mean([(lasting, e.embodied) for lasting, e in months])
    if energy is None and embodied is None:
        return None
    both = None if energy is None or embodied is None else float(energy + embodied)
    return Carbon(
        energy_tco2e=None if energy is None else float(energy),
        embodied_tco2e=None if embodied is None else float(embodied),
        total_tco2e=both,
    )


def _energy(prices: Prices, month: Month) -> Fraction | None:
    at = {s.site for s in month.standing} | {option.site for option in month.jobs}
    at |= {month.sites[p] for p in set(month.flow.site.tolist())}
    per_kwh = {(site, name): prices.gco2_per_kwh[site, name] for site in at for name in month.slices}
    said = {place: grams for place, grams in per_kwh.items() if grams is not None}
    if len(said) < len(per_kwh):
        return None
    per_kw = {site: total(prices.hours[name] * said[site, name] for name in month.slices) for site in at}
    grams = total(idle_energy(prices, month, per_kw.__getitem__).values())
    grams += total(load_energy(prices, month, said).values())
    grams += total(job_kwh(prices, option, said) / month.months for option in month.jobs)
    return grams / GRAMS_PER_TONNE


def _embodied(prices: Prices, month: Month) -> Fraction | None:
    made = [(s.new, prices.servers[s.server]) for s in month.standing if s.new]
    parts = [(new, known(row["embodied_kgco2e"]), exact(row["months"])) for new, row in made]
    if any(kg is None for _, kg, _ in parts):
        return None
    return total(new * kg / months / KG_PER_TONNE for new, kg, months in parts if kg is not None)


def _mean(parts: Sequence[tuple[Fraction, Fraction | None]]) -> Fraction | None:
    if any(value is None for _, value in parts):
        return None
    return total(months * value for months, value in parts if value is not None) / total(months for months, _ in parts)
