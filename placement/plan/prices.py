"""What everything of a scenario costs in one period, as fractions, looked up once."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from placement.frames import Row, keyed, records
from placement.plan.exact import exact, exact_or_zero, known, total
from placement.scenario import Scenario

MONTH_HOURS = Fraction(730)
DAY_HOURS = 24


@dataclass(frozen=True)
class Prices:
    """Rows of the tables by name, and what is derived of them.

    `usd_per_kwh` and `gco2_per_kwh` are by (site, slice), the latter None where nothing is said; `hours` a month and
    `day_share` by slice; `rate` requests/s of a replica by (shape, profile); `busy_kw` is what a busy GPU draws above
    idle, the most over the servers of that GPU, since a route does not know which server carries it.
    """

    sites: Mapping[str, Row]
    servers: Mapping[str, Row]
    services: Mapping[str, Row]
    shapes: Mapping[str, Row]
    jobs: Mapping[str, Row]
    rate: Mapping[tuple[str, str], Fraction]
    ttft_ms: Mapping[tuple[str, str], Fraction]
    hours: Mapping[str, Fraction]
    usd_per_kwh: Mapping[tuple[str, str], Fraction]
    gco2_per_kwh: Mapping[tuple[str, str], Fraction | None]
    busy_kw: Mapping[str, Fraction]
    monthly_rate: Fraction  # wacc/12
    usd_per_million_request_ms: Fraction
    usd_per_1000_late: Fraction
    usd_per_move: Fraction
    usd_per_tco2e: Fraction | None

    @property
    def slices(self) -> tuple[str, ...]:
        return tuple(self.hours)

    def capital(self, server: str) -> Fraction:
        """What buying one costs at once: capex and installation, USD."""
        row = self.servers[server]
        return exact_or_zero(row["capex_usd"]) + exact_or_zero(row["install_usd"])

    def bought_usd(self, server: str) -> Fraction:
        """A month of a bought server: its capital by the recovery factor r/(1-(1+r)^-months)."""
        months = int(self.servers[server]["months"])
        rate = self.monthly_rate
        factor = rate / (1 - (1 + rate) ** -months) if rate else Fraction(1, months)
        return self.capital(server) * factor

    def rent_usd(self, server: str) -> Fraction:
        return exact(self.servers[server]["rent_usd_month"])

    def kwh_usd(self, site: str) -> Fraction:
        """A kW drawn all month, USD."""
        return total(hours * self.usd_per_kwh[site, name] for name, hours in self.hours.items())


def read_prices(scenario: Scenario, slices: Sequence[str]) -> Prices:
    """The prices of a scenario for a day of these slices; one nameless slice is the whole month."""
    shapes = records(scenario.table("shapes"))
    document = scenario.document
    return Prices(
        sites=keyed(scenario.table("sites"), "site"),
        servers=keyed(scenario.table("servers"), "server"),
        services=keyed(scenario.table("services"), "service"),
        shapes={row["shape"]: row for row in reversed(shapes)},
        jobs=keyed(scenario.table("jobs"), "job"),
        rate={(row["shape"], row["profile"]): exact(row["requests_per_s"]) for row in shapes},
        ttft_ms={(row["shape"], row["profile"]): exact(row["ttft_p95_ms"]) for row in shapes},
        hours=_slice_hours(scenario, slices),
        usd_per_kwh={at: usd for at, usd in _energy(scenario, "usd_per_kwh", slices).items() if usd is not None},
        gco2_per_kwh=_energy(scenario, "gco2_per_kwh", slices),
        busy_kw=_busy_kw(records(scenario.table("servers"))),
        monthly_rate=exact(document.money.wacc) / 12,
        usd_per_million_request_ms=exact(document.money.latency_usd_per_million_request_ms),
        usd_per_1000_late=exact(document.uncertainty.late_usd_per_1000),
        usd_per_move=exact(document.stability.usd_per_move or 0.0),
        usd_per_tco2e=None if document.objective.usd_per_tco2e is None else exact(document.objective.usd_per_tco2e),
    )


def _slice_hours(scenario: Scenario, slices: Sequence[str]) -> dict[str, Fraction]:
    """Hours a month of each slice."""
    if tuple(slices) == ("",):
        return {"": MONTH_HOURS}
    table = keyed(scenario.table("slices"), "slice")
    return {name: MONTH_HOURS * exact(table[name]["hours_per_day"]) / DAY_HOURS for name in slices}


def _energy(scenario: Scenario, column: str, slices: Sequence[str]) -> dict[tuple[str, str], Fraction | None]:
    """A figure by (site, slice): the site's row for the slice, for the day, the country's likewise, else the site's."""
    listed = {
        (row["site"], row["country"], row["slice"]): figure
        for row in records(scenario.table("energy"))
        if (figure := known(row[column])) is not None
    }
    found: dict[tuple[str, str], Fraction | None] = {}
    for row in records(scenario.table("sites")):
        for name in slices:
            own, country = (row["site"], ""), ("", row["country"])
            keys = ((*own, name), (*own, ""), (*country, name), (*country, ""))
            said = [listed[key] for key in keys if key in listed]
            found[row["site"], name] = said[0] if said else known(row[column])
    return found


def _busy_kw(servers: Iterable[Row]) -> dict[str, Fraction]:
    found: dict[str, Fraction] = {}
    for row in servers:
        kw = (exact(row["power_kw"]) - exact(row["idle_kw"])) / int(row["gpus"])
        found[row["gpu"]] = max(kw, found.get(row["gpu"], kw))
    return found
