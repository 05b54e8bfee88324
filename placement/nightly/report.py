"""The report of a night: what it did, what changed, which gates held, how long it took; for scripts and for people."""

import resource
from typing import TYPE_CHECKING, Any

from placement.nightly.gates import shown

if TYPE_CHECKING:
    from placement.nightly.night import Night
    from placement.nightly.tonight import Ending

SCHEMA = "nearserve-nightly-report-1"


def report(night: "Night", ending: "Ending", seconds: float) -> dict[str, Any]:
    """All that is known of a night, as a JSON value. Figures that are not known are null."""
    results = night.run.results
    changed = night.difference.facts if night.difference is not None else None
    return {
        "schema": SCHEMA,
        "run": night.run.name,
        "began_at": night.run.began.isoformat(),
        "as_of": night.tonight.now.isoformat(),
        "dry_run": night.tonight.dry_run,
        "exit_code": ending.code,
        "stage": ending.stage,
        "reason": ending.reason,
        "message": ending.message,
        "details": ending.details,
        "unchanged": ending.unchanged,
        "published": {"generation": ending.generation, "new": ending.new},
        "replaces": None if night.base is None else night.base.number,
        "figures": dict(sorted(night.figures.items())),
        "gates": [verdict.as_json() for verdict in night.verdicts],
        "change": changed,
        "stages": [
            {"stage": one.stage, "seconds": round(one.seconds, 3), "again": one.again, "facts": one.facts}
            for one in results.values()
        ],
        "seconds": round(seconds, 3),
        "peak_bytes": peak_bytes(),
    }


def peak_bytes() -> int:
    """The most memory that this process held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def lines(told: dict[str, Any]) -> list[str]:
    """The report for people."""
    said = [_outcome(told), ""]
    rows = [(one["stage"], one["seconds"], "as before" if one["again"] else "") for one in told["stages"]]
    said += [f"{name:<10} {seconds:>10,.2f} s  {note}".rstrip() for name, seconds, note in rows]
    said.append(f"{'in all':<10} {told['seconds']:>10,.2f} s")
    said += [*_hurried(told), *_figures(told)]
    if told["change"] is not None:
        said += ["", "What changes", *_change(told["change"])]
    if told["gates"]:
        said += ["", "Gates", *(_gate(one) for one in told["gates"])]
    if told["message"]:
        said += ["", *told["message"].splitlines()]
    return said


def _outcome(told: dict[str, Any]) -> str:
    number = told["published"]["generation"]
    standing = "nothing is published" if number is None else f"generation {number} stays"
    if told["exit_code"]:
        reason, code = told["reason"].replace("_", " "), told["exit_code"]
        return f"night {told['run']}: ended at {told['stage']} ({reason}, exit code {code}); {standing}"
    if told["unchanged"]:
        return f"night {told['run']}: the inputs are those of generation {number}; it stays"
    if told["dry_run"]:
        return f"night {told['run']}: would publish; dry run, {standing}"
    if not told["published"]["new"]:
        return f"night {told['run']}: the plan is that of generation {number}; it stays"
    return f"night {told['run']}: published" + ("" if number is None else f" as generation {number}")


def _figures(told: dict[str, Any]) -> list[str]:
    known = told["figures"]
    rows = (
        ("cost", "cost_usd_month", "USD a month"),
        ("served", "served_share", "share"),
        ("gap", "gap", "share"),
        ("newest", "age_hours", "h old"),
    )
    said = [f"{name:<10} {shown(known[key], unit)}" for name, key, unit in rows if known.get(key) is not None]
    return ["", *said] if said else []


def _hurried(told: dict[str, Any]) -> list[str]:
    """Where the plan's limit was too short even for what is not search."""
    for stage in told["stages"]:
        needed_s, limit_s = stage["facts"].get("needed_s"), stage["facts"].get("time_limit_s")
        if needed_s is not None:
            return [
                "",
                f"building and auditing the plan took {needed_s:.0f} s alone, of the {limit_s:.0f} s that it has:",
                "it was hardly searched for; give it more by plan.time_limit_s",
            ]
    return []


def _change(change: dict[str, Any]) -> list[str]:
    counts, before, after = change["counts"], change["before"], change["after"]
    said = [
        f"replicas   {counts['added_replicas']} added, {counts['removed']} removed, "
        f"{counts['moved']} of these moved, {counts['unchanged']} stay",
        f"sites      {counts['sites_opened']} opened, {counts['sites_closed']} closed",
        f"traffic    {100 * change['changes_site']:.2f} % of requests change their site",
    ]
    if before["cost"] is not None and after["cost"] is not None:
        was, will = before["cost"]["total"], after["cost"]["total"]
        said.append(f"cost       {was:,.2f} → {will:,.2f} USD a month ({will - was:+,.2f})")
    steps = change["steps"]
    if steps is not None:
        waves = f"{steps['waves']} wave{'s' * (steps['waves'] != 1)}"
        lacks = f"{steps['short_waves']} short of capacity" if steps["short_waves"] else "none short of capacity"
        said.append(f"steps      {waves}, {lacks}; {steps['seconds'] / 60:,.1f} minutes of loading weights")
    return said


def _gate(one: dict[str, Any]) -> str:
    verdict = "holds  " if one["holds"] else "REFUSES"
    figure = "not known" if one["figure"] is None else shown(one["figure"], one["unit"])
    approved = f", approved by {one['approved_by']}" if one["approved_by"] else ""
    return f"{verdict}  {one['gate']}: {figure} (limit {shown(one['limit'], one['unit'])}){approved}"
