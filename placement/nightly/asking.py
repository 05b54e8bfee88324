"""The stages that ask the gates: the figures of a night, and what its configuration allows of them."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from placement.nightly import figures, gates, looking
from placement.nightly.config import Gates
from placement.nightly.diffing import approved
from placement.nightly.gates import Verdict

if TYPE_CHECKING:
    from placement.scenario import Scenario
    from placement.topology.pairs import Pairs


@dataclass(frozen=True)
class Asked:
    """The figures, by name, and what the gates say of them."""

    figures: Mapping[str, float | None]
    verdicts: tuple[Verdict, ...]

    @property
    def refused(self) -> list[Verdict]:
        """Those that do not hold."""
        return [verdict for verdict in self.verdicts if not verdict.holds]


@dataclass(frozen=True)
class Change:
    """Two plans, `old` None where nothing is published, of a scenario with its pairs; `facts` are the diff stage's."""

    old: Path | None
    new: Path
    scenario: "Scenario"
    pairs: "Pairs"
    facts: Mapping[str, Any]


def of_data(limits: Gates, newest_at_s: float | None, published: datetime | None, now: datetime) -> Asked:
    """Ages and clocks: `newest_at_s` is the newest record's time, `published` the current generation's."""
    now_s = now.timestamp()
    published_s = None if published is None else published.timestamp()
    ahead = [at_s - now_s for at_s in (newest_at_s, published_s) if at_s is not None]
    age = looking.age_hours(newest_at_s, now)
    return Asked({"age_hours": age}, gates.of_data(limits, age, max(ahead, default=0.0)))


def of_plan(limits: Gates, change: Change, now: datetime) -> Asked:
    """The plan, and the way to it from what is published.

    Raises:
        Fault: an approval does not hold.
    """
    document = figures.plan_document(change.new)
    stale = figures.stale_share(change.new, change.scenario, change.pairs, now.timestamp(), limits.stale_days)
    known: dict[str, float | None] = {
        "served_share": document["served_share"],
        "gap": document["gap"],
        "cost_usd_month": document["cost"]["total"],
        "inferred_share": document["budget_met"]["inferred_share"] or 0.0,
        "stale_share": stale,
    }
    asked = gates.of_plan(limits, known)
    if change.old is not None:
        before = figures.plan_document(change.old)
        known |= {
            "added_replicas": change.facts["counts"]["added_replicas"],
            "moved_gpu_share": figures.moved_gpu_share(before, document, change.scenario),
            "cost_rise": _rise(before["cost"]["total"], document["cost"]["total"]),
            "served_drop": before["served_share"] - document["served_share"],
            "short_waves": (change.facts["steps"] or {}).get("short_waves"),
            "missing_share": (change.facts["steps"] or {}).get("missing_share"),
        }
        asked += gates.of_change(limits, known)
    if any(not one.holds and one.kind == "change" for one in asked):
        asked = approved(asked, limits.approval, change.old, change.new, change.scenario, now)
    return Asked(known, asked)


def refusal(refused: list[Verdict], approval: str | None, run: Path) -> str:
    """What people are told, with what they can do where an approval would help."""
    lines = [str(one) for one in refused]
    if all(one.kind == "change" for one in refused) and approval is not None:
        place = os.path.relpath(run)
        lines += [
            "look at it:",
            f"  nearserve diff {place}/inputs/previous \\",
            f"    {place}/plan/plan \\",
            f"    --scenario {place}/inputs/scenario",
            f"let it pass: the same with --approve {os.path.relpath(approval)} --by NAME; then run this again",
        ]
    return "\n".join(lines)


def _rise(before: float, after: float) -> float | None:
    """How much more it costs, as a share of what it cost; None where that was nothing."""
    return (after - before) / before if before > 0 else None
