"""The best plan and the best bound that any run has verified, instance by instance: `bench/best_known.csv`.

With them the gap of a run splits: plan error = plan − best plan, bound error = best bound − bound, the rest is unknown.
"""

import csv
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

FILE = Path(__file__).resolve().parents[1] / "best_known.csv"
COLUMNS = ("instance", "plan_usd", "bound_usd", "constant_usd", "plan_by", "bound_by", "date")


@dataclass(frozen=True)
class Best:
    """Verified figures of one instance, in its own unit (reference arrays: USD a day, scenarios: USD a month)."""

    instance: str
    plan_usd: float
    bound_usd: float
    constant_usd: float
    plan_by: str
    bound_by: str
    date: str


@dataclass(frozen=True)
class Split:
    """Parts of a net gap; they add up to it."""

    plan: float
    bound: float
    unknown: float


def read(path: Path = FILE) -> dict[str, Best]:
    """All that is known, by instance."""
    if not path.is_file():
        return {}
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return {
        row["instance"]: Best(
            row["instance"], float(row["plan_usd"]), float(row["bound_usd"]), float(row["constant_usd"]),
            row["plan_by"], row["bound_by"], row["date"],
        )
        for row in rows
    }  # fmt: skip


def better(known: Best | None, instance: str, plan_usd: float, bound_usd: float, constant_usd: float, by: str) -> Best:
    """What is known once this run is counted."""
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    if known is None:
        return Best(instance, plan_usd, bound_usd, constant_usd, by, by, today)
    found = known
    if plan_usd < known.plan_usd:
        found = replace(found, plan_usd=plan_usd, plan_by=by, date=today)
    if bound_usd > known.bound_usd:
        found = replace(found, bound_usd=bound_usd, bound_by=by, date=today)
    return found


def write(known: dict[str, Best], path: Path = FILE) -> None:
    """Write all, sorted by instance, to the cent's hundredth."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for name in sorted(known):
            best = known[name]
            figures = (f"{value:.4f}" for value in (best.plan_usd, best.bound_usd, best.constant_usd))
            writer.writerow([name, *figures, best.plan_by, best.bound_by, best.date])


def split(plan_usd: float, bound_usd: float, constant_usd: float, best: Best) -> Split:
    """How the net gap (plan − bound)/(plan − constant) falls apart; `best` holds this run too."""
    size = max(plan_usd - constant_usd, 1e-12)
    return Split(
        max(plan_usd - best.plan_usd, 0.0) / size,
        max(best.bound_usd - bound_usd, 0.0) / size,
        max(best.plan_usd - best.bound_usd, 0.0) / size,
    )
