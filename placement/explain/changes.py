"""Changes to a scenario as values: what is given more of, where, how much; applied in memory and told in words."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from math import ceil, isnan
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from placement.frames import keyed, records
from placement.problem.offers import RACK_UNITS
from placement.problem.periods import planned_periods
from placement.scenario import Scenario

Bool = NDArray[np.bool_]

Kind = Literal[
    "stock",
    "export",
    "capex",
    "monthly",
    "installs",
    "power",
    "rack_units",
    "uplink",
    "downlink",
    "served",
    "carbon",
    "pin_least",
    "pin_most",
    "moves",
    "job",
    "latency",
    "loss",
    "jitter",
    "residency",
    "fleet",
]

UNITS: dict[Kind, str] = {
    "stock": "server",
    "export": "GPU",
    "capex": "USD",
    "monthly": "USD/month",
    "installs": "server/period",
    "power": "kW",
    "rack_units": "U",
    "uplink": "Mbit/s",
    "downlink": "Mbit/s",
    "served": "share",
    "carbon": "tCO2e/month",
    "pin_least": "replica",
    "pin_most": "replica",
    "moves": "replica",
    "job": "job",
    "latency": "ms",
    "loss": "share",
    "jitter": "ms",
    "residency": "country",
    "fleet": "server",
}

_WHOLE = {"server", "GPU", "server/period", "replica", "job", "country"}
_STEP = {"USD": 100, "USD/month": 100, "share": 10**6, "tCO2e/month": 10**6}
_USUAL_STEP = 1000


@dataclass(frozen=True)
class Change:
    """`amount` more of a limit; of what is asked for (served, pin_least, job) it is that much less.

    `where` by kind: stock (server, delivery group, period) · export (gpu|server, its name, country) · capex and monthly
    (period) · power, rack_units, uplink, downlink (site) · pins (model, site) · job (its name) · latency, loss and
    jitter (service, country of its users) · residency (set, country, location|vendor) · fleet (site, server).
    """

    kind: Kind
    where: tuple[str, ...]
    amount: float

    @property
    def unit(self) -> str:
        return UNITS[self.kind]

    @property
    def whole(self) -> bool:
        """Whether it is counted."""
        return self.unit in _WHOLE


def change(kind: Kind, where: Sequence[str], amount: float) -> Change:
    """A change whose amount is rounded up to what a person would write down."""
    step = 1 if UNITS[kind] in _WHOLE else _STEP.get(UNITS[kind], _USUAL_STEP)
    return Change(kind, tuple(where), ceil(round(amount * step * (1 - 1e-8), 6)) / step)


def applied(scenario: Scenario, changes: Sequence[Change]) -> Scenario:
    """The scenario with the changes made; its files are as they were."""
    return reduce(lambda changed, one: _APPLY[one.kind](changed, one), changes, scenario)


def in_words(changes: Sequence[Change], scenario: Scenario) -> str:
    """The changes as one would ask for them."""
    return " and ".join(_WORDS[one.kind](one, scenario) for one in changes)


def with_table(scenario: Scenario, name: str, frame: pd.DataFrame) -> Scenario:
    """The scenario with another table."""
    return replace(scenario, tables={**scenario.tables, name: frame})


def _edited(scenario: Scenario, table: str, mask: Any, **values: Any) -> Scenario:
    """The rows of a mask with other values in some columns."""
    frame = scenario.table(table).copy()
    for column, value in values.items():
        frame.loc[np.asarray(mask, np.bool_), column] = value
    return with_table(scenario, table, frame)


def _appended(scenario: Scenario, table: str, key: Sequence[str], **values: Any) -> Scenario:
    """A row more, the others as they are; the table stays sorted by its key."""
    frame = scenario.table(table)
    row = {column: "" if frame[column].dtype == object else np.nan for column in frame.columns} | values
    added = pd.DataFrame([row], columns=frame.columns)
    whole = added.astype(frame.dtypes.to_dict()) if len(frame) == 0 else pd.concat([frame, added], ignore_index=True)
    return with_table(scenario, table, whole.sort_values(list(key), kind="stable", ignore_index=True))


def _limits(scenario: Scenario, **values: Any) -> Scenario:
    limits = scenario.document.limits.model_copy(update=values)
    return replace(scenario, document=scenario.document.model_copy(update={"limits": limits}))


def _stock(scenario: Scenario, one: Change) -> Scenario:
    """More delivered. A first row for every site limits all deliveries of its server: it counts the others, too."""
    server, group, period = one.where
    frame = scenario.table("deliveries")
    of_server = frame["server"] == server
    mask = of_server & (frame["delivery_group"] == group) & (frame["period"] == period)
    if mask.any():
        return _edited(scenario, "deliveries", mask, quantity=frame.loc[mask, "quantity"] + int(one.amount))
    open_to_all = of_server & (frame["delivery_group"] == "")
    others = 0 if group or open_to_all.any() else int(frame.loc[of_server, "quantity"].sum())
    key = ("period", "delivery_group", "server")
    values = {"period": period, "delivery_group": group, "server": server, "quantity": int(one.amount) + others}
    return _appended(scenario, "deliveries", key, **values)


def _export(scenario: Scenario, one: Change) -> Scenario:
    by, name, country = one.where
    frame = scenario.table("export")
    mask = (frame[by] == name) & (frame["country"] == country)
    return _edited(scenario, "export", mask, max_gpus=frame.loc[mask, "max_gpus"] + int(one.amount))


def _capex(scenario: Scenario, one: Change) -> Scenario:
    """More in one of the rows that speak of the period."""
    frame = scenario.table("budgets")
    period = next(p for p in planned_periods(scenario) if p.name == one.where[0])
    stated = [n for n, row in enumerate(records(frame)) if period.own(row["period"]) and not isnan(row["capex_usd"])]
    mask = np.arange(len(frame)) == (stated[-1] if stated else -1)
    return _edited(scenario, "budgets", mask, capex_usd=frame.loc[mask, "capex_usd"] + one.amount)


def _monthly(scenario: Scenario, one: Change) -> Scenario:
    """No row that holds in the period is below the least of them and the amount."""
    frame = scenario.table("budgets")
    period = next(p for p in planned_periods(scenario) if p.name == one.where[0])
    mine = np.array([not name or period.own(name) for name in frame["period"]], np.bool_)
    most = float(frame.loc[mine, "monthly_usd"].min()) + one.amount
    mask = mine & np.asarray(frame["monthly_usd"] < most)
    return _edited(scenario, "budgets", mask, monthly_usd=most)


def _installs(scenario: Scenario, one: Change) -> Scenario:
    return _limits(scenario, installs_per_period=(scenario.document.limits.installs_per_period or 0) + int(one.amount))


def _power(scenario: Scenario, one: Change) -> Scenario:
    """More kW, and racks that cool them where their limit is the lower one."""
    frame = scenario.table("sites")
    mask = np.asarray(frame["site"] == one.where[0])
    row = records(frame[mask])[0]
    cooled = row["max_kw_per_rack"] * row["rack_units"] / RACK_UNITS
    wanted = float(np.fmin(row["power_kw"], cooled)) + one.amount
    scenario = _edited(scenario, "sites", mask, power_kw=np.fmax(row["power_kw"], wanted))
    if cooled < wanted:
        scenario = _edited(scenario, "sites", mask, max_kw_per_rack=wanted * RACK_UNITS / row["rack_units"])
    return scenario


def _site(column: str) -> Callable[[Scenario, Change], Scenario]:
    def apply(scenario: Scenario, one: Change) -> Scenario:
        frame = scenario.table("sites")
        mask = frame["site"] == one.where[0]
        return _edited(scenario, "sites", mask, **{column: frame.loc[mask, column] + one.amount})

    return apply


def _served(scenario: Scenario, one: Change) -> Scenario:
    share = (scenario.document.limits.min_served_share or 0.0) - one.amount
    return _limits(scenario, min_served_share=share if share > 1e-9 else None)


def _carbon(scenario: Scenario, one: Change) -> Scenario:
    return _limits(scenario, max_tco2e_month=(scenario.document.limits.max_tco2e_month or 0.0) + one.amount)


def _pin(column: str, sign: int) -> Callable[[Scenario, Change], Scenario]:
    def apply(scenario: Scenario, one: Change) -> Scenario:
        frame = scenario.table("pins")
        mask = (frame["model"] == one.where[0]) & (frame["site"] == one.where[1])
        return _edited(scenario, "pins", mask, **{column: frame.loc[mask, column] + sign * one.amount})

    return apply


def _moves(scenario: Scenario, one: Change) -> Scenario:
    most = (scenario.document.stability.max_moves or 0) + int(one.amount)
    stability = scenario.document.stability.model_copy(update={"max_moves": most})
    return replace(scenario, document=scenario.document.model_copy(update={"stability": stability}))


def _job(scenario: Scenario, one: Change) -> Scenario:
    frame = scenario.table("jobs")
    return with_table(scenario, "jobs", frame[frame["job"] != one.where[0]].reset_index(drop=True))


def _service(column: str) -> Callable[[Scenario, Change], Scenario]:
    def apply(scenario: Scenario, one: Change) -> Scenario:
        """The country's users get a service of their own that differs in one limit."""
        name, country = one.where
        scenario, own = _own_service(scenario, name, country)
        frame = scenario.table("services")
        mask = frame["service"] == own
        return _edited(scenario, "services", mask, **{column: frame.loc[mask, column] + one.amount})

    return apply


def _own_service(scenario: Scenario, name: str, country: str) -> tuple[Scenario, str]:
    """A copy of a service for the users of one country alone, and what it is called."""
    own = f"{name}@{country}"
    services = scenario.table("services")
    if own in set(services["service"]):
        return scenario, own
    row = keyed(services, "service")[name] | {"service": own}
    scenario = _appended(scenario, "services", ("service",), **row)
    regions, demand = scenario.table("regions"), scenario.table("demand")
    home = set(regions.loc[regions["country"] == country, "region"])
    mask = (demand["service"] == name) & demand["region"].isin(home)
    scenario = _edited(scenario, "demand", mask, service=own)
    key = ["region", "model", "service", "slice", "period"]
    return with_table(scenario, "demand", scenario.table("demand").sort_values(key, ignore_index=True)), own


def _residency(scenario: Scenario, one: Change) -> Scenario:
    """The country into the set's locations or vendors."""
    key = ("residency", "country", "scope")
    return _appended(scenario, "residency", key, **dict(zip(key, one.where, strict=True)))


def _fleet(scenario: Scenario, one: Change) -> Scenario:
    site, server = one.where
    frame = scenario.table("fleet")
    mask = (frame["site"] == site) & (frame["server"] == server)
    if mask.any():
        return _edited(scenario, "fleet", mask, count=frame.loc[mask, "count"] + int(one.amount))
    return _appended(scenario, "fleet", ("site", "server"), site=site, server=server, count=int(one.amount))


_APPLY: dict[Kind, Callable[[Scenario, Change], Scenario]] = {
    "stock": _stock,
    "export": _export,
    "capex": _capex,
    "monthly": _monthly,
    "installs": _installs,
    "power": _power,
    "rack_units": _site("rack_units"),
    "uplink": _site("uplink_mbps"),
    "downlink": _site("downlink_mbps"),
    "served": _served,
    "carbon": _carbon,
    "pin_least": _pin("min_replicas", -1),
    "pin_most": _pin("max_replicas", 1),
    "moves": _moves,
    "job": _job,
    "latency": _service("latency_budget_ms"),
    "loss": _service("max_loss"),
    "jitter": _service("max_jitter_ms"),
    "residency": _residency,
    "fleet": _fleet,
}


def _figure(value: float) -> str:
    return f"{value:,.2f}".rstrip("0").rstrip(".") if value >= 0.01 else f"{value:.6g}"


def _servers(count: float, server: str, scenario: Scenario) -> str:
    gpus = int(keyed(scenario.table("servers"), "server")[server]["gpus"])
    whole = int(count)
    return f"{whole * gpus:,} more GPUs ({whole:,} {server})" if whole * gpus > 1 else f"1 more GPU (1 {server})"


def _in(period: str) -> str:
    return f" in {period}" if period else ""


def _said_stock(one: Change, scenario: Scenario) -> str:
    server, group, period = one.where
    return f"{_servers(one.amount, server, scenario)} delivered" + (f" to {group}" if group else "") + _in(period)


def _said_export(one: Change, _: Scenario) -> str:
    name, country = one.where[1:]
    return f"{int(one.amount):,} more GPUs of {name} allowed in {country}"


def _of(scope: str) -> str:
    return " for vendors" if scope == "vendor" else ""


def _plain(text: str) -> Callable[[Change, Scenario], str]:
    def tell(one: Change, _: Scenario) -> str:
        figure = f"{int(one.amount):,}" if one.whole else _figure(one.amount)
        said = text.replace("replicas", "replica").replace("installs", "install") if one.amount == 1 else text
        places = dict(zip(("a", "b", "c"), one.where, strict=False))
        return said.format(figure=figure, period=_in(one.where[0]) if one.where else "", **places)

    return tell


_WORDS: dict[Kind, Callable[[Change, Scenario], str]] = {
    "stock": _said_stock,
    "export": _said_export,
    "capex": _plain("{figure} USD more capex{period}"),
    "monthly": _plain("{figure} USD more a month{period}"),
    "installs": _plain("{figure} more installs a period"),
    "power": _plain("{figure} kW more at {a}"),
    "rack_units": _plain("{figure} rack units more at {a}"),
    "uplink": _plain("{figure} Mbit/s more out of {a}"),
    "downlink": _plain("{figure} Mbit/s more into {a}"),
    "served": lambda one, _: f"{100 * one.amount:.4g} points less of min_served_share",
    "carbon": _plain("{figure} tCO2e a month more"),
    "pin_least": _plain("{figure} fewer replicas of {a} pinned at {b}"),
    "pin_most": _plain("{figure} more replicas of {a} allowed at {b}"),
    "moves": _plain("{figure} more moves"),
    "job": _plain("job {a} left out"),
    "latency": _plain("{figure} ms more for {a} in {b}"),
    "loss": lambda one, _: f"{100 * one.amount:.4g} points more loss allowed for {one.where[0]} in {one.where[1]}",
    "jitter": _plain("{figure} ms more jitter allowed for {a} in {b}"),
    "residency": lambda one, _: f"{one.where[1]} in the residency set {one.where[0]}" + _of(one.where[2]),
    "fleet": lambda one, scenario: f"{_servers(one.amount, one.where[1], scenario)} standing at {one.where[0]}",
}
