"""What must hold before anything is published: small named rules, all asked and all told, the first refusal or not.

Gates about *data* are asked before the plan is made, since nothing good comes of data that are too old. Gates about
*quality* and *change* are asked of the finished plan. An approval lets gates about change pass, and no others.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from placement.nightly.config import Gates

Kind = Literal["data", "quality", "change"]


@dataclass(frozen=True)
class Verdict:
    """A gate's limit, the figure that it was asked of, and whether that holds. No figure never holds."""

    gate: str
    kind: Kind
    figure: float | None
    limit: float
    holds: bool
    unit: str
    approved_by: str | None = None

    def __str__(self) -> str:
        sign = "at least" if self.gate.startswith("min_") else "at most"
        figure = "not known" if self.figure is None else shown(self.figure, self.unit)
        said = f"{self.gate}: {figure}, {sign} {shown(self.limit, self.unit)} is allowed"
        return said if self.approved_by is None else f"{said}; approved by {self.approved_by}"

    def as_json(self) -> dict[str, Any]:
        """For the report."""
        names = ("gate", "kind", "figure", "limit", "holds", "unit", "approved_by")
        return {name: getattr(self, name) for name in names}


def shown(value: float, unit: str) -> str:
    """A figure for people."""
    if unit == "share":
        return f"{100 * value:.4g} %"
    return f"{value:,.2f} {unit}" if unit.startswith("USD") else f"{value:,.6g} {unit}"


def of_data(gates: Gates, age_hours: float | None, ahead_s: float) -> tuple[Verdict, ...]:
    """Gates about the data. `ahead_s`: how far the newest record or generation lies in the future."""
    return tuple(
        _asked(
            ("max_age_hours", "data", age_hours, gates.max_age_hours, "h"),
            ("clock_ahead_s", "data", max(ahead_s, 0.0), gates.clock_ahead_s, "s"),
        )
    )


def of_plan(gates: Gates, figures: Mapping[str, float | None]) -> tuple[Verdict, ...]:
    """Gates about a plan's quality, by figures of these names."""
    return tuple(
        _asked(
            ("min_served_share", "quality", figures["served_share"], gates.min_served_share, "share"),
            ("max_gap", "quality", figures["gap"], gates.max_gap, "share"),
            ("max_inferred_share", "quality", figures["inferred_share"], gates.max_inferred_share, "share"),
            ("max_stale_share", "quality", figures["stale_share"], gates.max_stale_share, "share"),
        )
    )


def of_change(gates: Gates, figures: Mapping[str, float | None]) -> tuple[Verdict, ...]:
    """Gates about the way from the published plan to the new one; nobody asks them where nothing is published."""
    rise = figures["cost_rise"]
    fall = None if rise is None else -rise
    return tuple(
        _asked(
            ("max_served_drop", "quality", _least_zero(figures["served_drop"]), gates.max_served_drop, "share"),
            ("max_added_replicas", "change", figures["added_replicas"], gates.max_added_replicas, "replicas"),
            ("max_moved_gpu_share", "change", figures["moved_gpu_share"], gates.max_moved_gpu_share, "share"),
            ("max_cost_rise", "change", _least_zero(rise), gates.max_cost_rise, "share"),
            ("max_cost_fall", "change", _least_zero(fall), gates.max_cost_fall, "share"),
            ("safe_steps", "change", figures["short_waves"], 0.0 if gates.safe_steps else None, "short waves"),
            ("max_missing_share", "change", figures["missing_share"], gates.max_missing_share, "share"),
        )
    )


def _asked(*rules: tuple[str, Kind, float | None, float | None, str]) -> Iterator[Verdict]:
    for name, kind, figure, limit, unit in rules:
        if limit is None:
            continue
        holds = figure is not None and (figure >= limit if name.startswith("min_") else figure <= limit)
        yield Verdict(name, kind, figure, float(limit), holds, unit)


def _least_zero(value: float | None) -> float | None:
    return None if value is None else max(value, 0.0)
