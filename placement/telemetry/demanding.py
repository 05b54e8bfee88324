"""Telemetry to the table demand: source → history → forecast → rows; writing them is a step of its own."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from placement.telemetry.config import CLASS, TelemetryConfig, rates_query
from placement.telemetry.errors import StaleTelemetryError, TelemetryError

if TYPE_CHECKING:
    import pandas as pd

    from placement.telemetry.backtest import Backtest
    from placement.telemetry.days import Days
    from placement.telemetry.forecasting import Forecast
    from placement.telemetry.mapping import Class
    from placement.telemetry.names import Names
    from placement.telemetry.rows import Rows

SCHEMA = "nearserve-demand-1"
NAMED = 20
JUDGED = 20
"""Design rates of the past that must have been tried before their coverage condemns a forecast."""


@dataclass(frozen=True)
class Expected:
    """The demand that telemetry lets expect.

    `frame` has the columns of demand.csv; `provenance` says of which history it is which quantile, and how the same
    way did in the past (the back-test): what is written to demand.provenance.json. `told` are lines for a person: what
    was kept, dropped, widened, or belongs to no class.
    """

    frame: "pd.DataFrame"
    provenance: Mapping[str, Any]
    told: tuple[str, ...]


@dataclass(frozen=True)
class Known:
    """What a forecast starts from: the history, its classes that the scenario names, and the others' requests."""

    history: "pd.DataFrame"
    names: "Names"
    days: "Days"
    strangers: "tuple[Class, ...]"  # the busiest first
    strange_share: float


def demand_from_telemetry(config: TelemetryConfig, scenario_folder: Path, as_of: datetime) -> Expected:
    """What `scenario_folder` has to expect on the days after `as_of`, by the telemetry that `config` names.

    `config` has whole paths (`TelemetryConfig.below`). The history file is brought up to date; the scenario is not
    touched: `placement.telemetry.table.write_demand` does that.

    Raises:
        TelemetryError: a source that does not answer, too little history, too many gaps, too much that belongs to no
            class, a back-test too far off. `StaleTelemetryError` where the newest hour is too old.
        ValueError: `as_of` has no time zone.
    """
    from placement.telemetry.source import bring_up_to_date  # noqa: PLC0415

    return expect(config, known(config, scenario_folder, bring_up_to_date(config, utc(as_of)).history, as_of), as_of)


def utc(as_of: datetime) -> datetime:
    """The same time in UTC. Raises ValueError where it names no zone."""
    if as_of.tzinfo is None:
        raise ValueError("as_of needs a time zone, as 2026-11-20T02:00:00+00:00")
    return as_of.astimezone(UTC)


def known(config: TelemetryConfig, scenario_folder: Path, history: "pd.DataFrame", as_of: datetime) -> Known:
    """The history by the scenario's classes, once it is fresh, long and whole enough.

    Raises:
        TelemetryError: it is not; every reason at once.
    """
    from placement.telemetry.days import days_of  # noqa: PLC0415
    from placement.telemetry.names import read_names  # noqa: PLC0415

    names = read_names(scenario_folder)
    fresh(config, history, utc(as_of))
    classes = set(history[list(CLASS)].drop_duplicates().itertuples(index=False, name=None))
    ours = sorted(cls for cls in classes if names.knows(cls))
    days = days_of(history, ours, names.slices, config, utc(as_of))
    strangers, share = _strangers(history, classes - set(ours))
    wrong = _too_little(config, days, ours, strangers, share)
    if wrong:
        raise TelemetryError(*wrong)
    return Known(history, names, days, strangers, share)


def fresh(config: TelemetryConfig, history: "pd.DataFrame", as_of: datetime) -> None:
    """Raises StaleTelemetryError where the newest hour is too old, TelemetryError where there is none."""
    if history.empty:
        raise TelemetryError(f"nothing was seen at all in the {config.history_days} days before: {_where(config)}")
    newest = history["observed_at"].max()
    age_h = (as_of - newest).total_seconds() / 3600 - 1
    if age_h > config.max_age_hours:
        raise StaleTelemetryError(
            f"the newest hour began at {newest:%Y-%m-%dT%H:%MZ} and ended {age_h:.1f} hours ago, more than "
            f"max_age_hours = {config.max_age_hours:g}: mend what collects it"
        )


def _where(config: TelemetryConfig) -> str:
    """Where one looks whether there is anything."""
    if config.prometheus is not None:
        return f"try {rates_query(config.prometheus)} at {config.prometheus.url}"
    return f"look at the times in {', '.join(map(str, config.files.paths if config.files else ()))}"


def _strangers(history: "pd.DataFrame", classes: "set[Class]") -> "tuple[tuple[Class, ...], float]":
    """Classes that the scenario does not name, the busiest first, and their share of all requests."""
    sums = history.groupby(list(CLASS), observed=True, sort=True)["requests_per_s"].sum()
    strange = sums[[cls in classes for cls in sums.index]].sort_values(ascending=False, kind="stable")
    return tuple(strange.index), float(strange.sum() / max(sums.sum(), 1e-12))


def _too_little(
    config: TelemetryConfig, days: "Days", ours: "list[Class]", strangers: "tuple[Class, ...]", share: float
) -> list[str]:
    from placement.telemetry.rows import shown  # noqa: PLC0415

    wrong = []
    if not ours:
        wrong.append(
            "no class that was seen has its region, model and service in the scenario: check the labels, or list them "
            f"in a table; seen were {shown(strangers)}"
        )
    elif days.days < config.min_history_days:
        wrong.append(
            f"{days.days} days of history, and min_history_days = {config.min_history_days}: wait, import older data, "
            "or ask for less"
        )
    elif (gaps := days.absent_hours / max(days.all_hours, 1)) > config.max_gap_share:
        wrong.append(
            f"{gaps:.1%} of the classes' hours are absent, and max_gap_share = {config.max_gap_share:g}: mend what "
            "collects them; hours of fewer than 9 five-minute windows count as absent (scrape at least every 2 minutes)"
        )
    if share > config.max_unmapped_share and ours:
        wrong.append(
            f"{share:.1%} of all requests belong to no class of the scenario, and max_unmapped_share = "
            f"{config.max_unmapped_share:g}: {shown(strangers)}; list them in the table of classes, or add their names"
        )
    return wrong


def expect(config: TelemetryConfig, known: Known, as_of: datetime) -> Expected:
    """The forecast of what is known, back-tested, as rows of demand.csv.

    Raises:
        TelemetryError: the back-test is too far off, or classes have no telemetry and may not.
    """
    from placement.telemetry.backtest import back_test  # noqa: PLC0415
    from placement.telemetry.forecasting import Past, forecast  # noqa: PLC0415
    from placement.telemetry.rows import rows_of  # noqa: PLC0415

    days = known.days
    past = Past(days.peak, days.mean, config.quantile, config.horizon_days)
    tested = back_test(past)
    if tested is None:
        raise TelemetryError(
            f"{days.days} days are too few to try a forecast of {config.horizon_days} days on even once: wait, or give "
            "a shorter horizon_days"
        )
    ahead = forecast(past, past.days)
    wrong = _too_far_off(config, tested, ahead)
    if wrong:
        raise TelemetryError(*wrong)
    found = rows_of(known.names, days, ahead.design, ahead.mean, config)
    provenance = _provenance(config, known, tested, ahead, found, utc(as_of))
    return Expected(found.frame, provenance, _told(known, ahead, found))


def _too_far_off(config: TelemetryConfig, tested: "Backtest", ahead: "Forecast") -> list[str]:
    """Why the past condemns the forecast."""
    mend = "look whether counters, units or labels changed, and leave such days out (left_out) or begin a new history"
    wrong = []
    if tested.figures >= JUDGED and tested.coverage < config.quantile - config.coverage_slack:
        wrong.append(
            f"of {tested.figures:,} design rates of the past only {tested.coverage:.1%} were not exceeded, where "
            f"{config.quantile:.1%} were to be, and coverage_slack = {config.coverage_slack:g}: {mend}"
        )
    if ahead.widened > config.max_widened:
        wrong.append(
            f"to have held on days of the past, the forecast ({ahead.way}) would be widened by {ahead.widened:.3g} "
            f"times each class' level, and max_widened = {config.max_widened:g}: {mend}"
        )
    return wrong


def _provenance(
    config: TelemetryConfig, known: Known, tested: "Backtest", ahead: "Forecast", found: "Rows", as_of: datetime
) -> dict[str, Any]:
    """Of which history the table is which quantile; figures of it to hold against plans by `demand_sha256`."""
    from placement.scenario.dictionary import tables  # noqa: PLC0415
    from placement.scenario.fingerprint import table_sha256  # noqa: PLC0415
    from placement.telemetry.history import history_sha256  # noqa: PLC0415

    settings = ("quantile", "design", "horizon_days", "history_days", "without_telemetry")
    return {
        "schema": SCHEMA,
        "as_of": as_of.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "demand_sha256": table_sha256(found.frame, tables()["demand"]),
        "history": {
            "sha256": history_sha256(known.history),
            "first_hour": known.history["observed_at"].min().strftime("%Y-%m-%dT%H:%MZ"),
            "last_hour": known.history["observed_at"].max().strftime("%Y-%m-%dT%H:%MZ"),
            "days": known.days.days,
            "absent_share": round(known.days.absent_hours / max(known.days.all_hours, 1), 6),
        },
        "settings": {name: getattr(config, name) for name in settings}
        | {"left_out": [str(day) for day in config.left_out], "source": _source(config)},
        "forecast": {"way": ahead.way, "widened": round(ahead.widened, 6), "statsmodels": version("statsmodels")},
        "backtest": tested.document(),
        "classes": {
            "forecast": int(len(found.frame[[*CLASS]].drop_duplicates()) - len(found.kept)),
            "kept": len(found.kept),
            "dropped": len(found.dropped),
            "added": len(found.added),
            "unmapped": len(known.strangers),
            "unmapped_share": round(known.strange_share, 6),
            "unmapped_names": [" ".join(cls).strip() for cls in known.strangers[:NAMED]],
        },
    }


def _source(config: TelemetryConfig) -> dict[str, Any]:
    if config.prometheus is not None:
        one = config.prometheus
        return {"prometheus": one.template or "query", "query": one.query, "selector": one.selector}
    return {"files": config.files.kind if config.files else None}


def _told(known: Known, ahead: "Forecast", found: "Rows") -> tuple[str, ...]:
    from placement.telemetry.features import LEAST_SEASON_DAYS  # noqa: PLC0415
    from placement.telemetry.forecasting import REGRESSION  # noqa: PLC0415
    from placement.telemetry.rows import shown  # noqa: PLC0415

    told = []
    if ahead.way == REGRESSION and ahead.widened > 0:
        told.append(
            "the forecast held too seldom on days of the past: it is widened by "
            f"{ahead.widened:.1%} of each class' level"
        )
    elif ahead.way != REGRESSION:
        told.append(f"on days of the past the {ahead.way} told more than the regression, and is taken")
    if known.days.days < LEAST_SEASON_DAYS:
        told.append(f"{known.days.days} days of history: the season of the week is not known")
    if known.strangers:
        told.append(
            f"{len(known.strangers):,} classes that were seen are none of the scenario's, {known.strange_share:.2%} of "
            f"all requests: {shown(known.strangers)}"
        )
    for what, classes in (("keep their present figures", found.kept), ("were dropped", found.dropped)):
        if classes:
            told.append(f"{len(classes):,} classes without telemetry {what}: {shown(classes)}")
    if found.added:
        told.append(f"{len(found.added):,} classes are new in demand: {shown(found.added)}")
    return tuple(told)
