"""What `nearserve topology` shows of a topology: first what matters at night, then the rest; JSON has all of it."""

import math
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from placement.cli.common import print_table

if TYPE_CHECKING:
    import pandas as pd

    from placement.frames import Row
    from placement.scenario import Document
    from placement.topology import Topology

SHOWN = {
    "country": "country",
    "regions": "regions",
    "users": "users",
    "measured": "measured",
    "inferred": "inferred",
    "unknown": "unknown",
    "unknown_demand": "% of demand",
    "reachable_users": "% reached",
    "nearest_p50_ms": "nearest, ms",
}
COUNTS = {"regions", "users", "measured", "inferred", "unknown"}
SHARES = {"unknown_demand", "reachable_users"}
ENDS = {
    "unmapped": ("1 name stands for no region and no site", "names stand for no region and no site"),
    "stale": ("1 way has records too old for the window", "ways have records too old for the window"),
}
NAMES = 5
MOST_FINDINGS = 10_000
DAYS = ("first_day", "last_day")


def as_json(topology: "Topology") -> dict[str, Any]:
    """All of it, of the findings the first MOST_FINDINGS; an absent figure is null."""
    from placement.frames import records  # noqa: PLC0415
    from placement.topology.gates import quality  # noqa: PLC0415

    return {
        "coverage": [plain(row) for row in records(topology.coverage())],
        "kinds": [plain(row) for row in records(_kinds(topology))],
        "held_out": None if topology.held_out is None else plain(asdict(topology.held_out)),
        "newest": _newest(topology),
        "quality": records(quality(topology.verdicts)),
        "findings": records(topology.verdicts.frame.head(MOST_FINDINGS).pipe(_spoken)),
        "findings_left_out": max(len(topology.verdicts.frame) - MOST_FINDINGS, 0),
        "unmapped": dict(sorted(topology.unmapped.items())),
        "stale": dict(sorted(topology.stale.items())),
    }


def show(topology: "Topology", document: "Document", top: int) -> None:
    """The tables for people; of countries the `top` with most at stake, and the sum of all."""
    regions, sites = len(topology.pairs.regions), len(topology.pairs.sites)
    newest = _newest(topology)
    title = f"{document.name}: {regions:,} regions × {sites:,} sites = {regions * sites:,} pairs"
    click.secho(title + (f", newest observation {newest}" if newest else ", no observation"), bold=True)
    click.echo()
    _show_kinds(topology)
    _show_held_out(topology, document.quality.neighbours)
    _show_quality(topology)
    _show_ends(topology)
    _show_countries(topology, top)


def plain(row: "Row") -> "Row":
    """A row with null for NaN."""
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value for name, value in row.items()
    }


def _show_kinds(topology: "Topology") -> None:
    from placement.frames import records  # noqa: PLC0415

    rows = [plain(row) for row in records(_kinds(topology))]
    columns = (
        "known by",
        "pairs",
        "% of pairs",
        "nearest, % of demand",
        "± % of the middle",
        "days old: half",
        "95 %",
    )
    cells = [
        (
            row["kind"],
            row["pairs"],
            round(100 * row["share"], 2),
            _figure(row["demand"], 100, 2),
            _figure(row["width"], 50, 1),
            _figure(row["age_p50"], 1, 1),
            _figure(row["age_p95"], 1, 1),
        )
        for row in rows
    ]
    print_table(columns, cells)


def _show_held_out(topology: "Topology", asked: bool) -> None:
    """How well the inference tells pairs that were measured, from the others alone."""
    told = topology.held_out
    if told is None:
        if not asked:
            click.echo("\nneighbours are off: nothing is inferred from pairs of the same ends ([quality] neighbours)")
        return
    click.echo(f"\nneighbours, asked for {told.pairs:,} measured pairs that they did not see:")
    covered, below, above, off = (f"{100 * v:.1f} %" for v in (told.covered, told.below, told.above, told.median_error))
    click.echo(f"  {covered} lie within the 90 % interval, {below} below it, {above} above it")
    click.echo(f"  its middle is off by {off}, and it is ± {50 * told.median_width:.1f} % wide (medians)")


def _show_quality(topology: "Topology") -> None:
    """The gates that found something, with the worst of it; the others by name."""
    from placement.frames import records  # noqa: PLC0415
    from placement.topology.gates import quality  # noqa: PLC0415

    rows = records(quality(topology.verdicts))
    found = [row for row in rows if row["verdicts"]]
    click.echo()
    if found:
        columns = ("gate", "findings", "records left out", "records flagged")
        cells = [(row["gate"], row["verdicts"], row["excluded"], row["flagged"]) for row in found]
        print_table(columns, cells, title="Measurements that cannot be true, or no longer are")
        for row in found:
            click.echo(f"  {row['gate']}, the worst: {row['worst']}")
    quiet = [row["gate"] for row in rows if not row["verdicts"] and row["state"] == "on"]
    off = [row["gate"] for row in rows if row["state"] == "off"]
    for told, gates in (("gates without a finding", quiet), ("gates that are off", off)):
        if gates:
            click.echo(f"{told}: {', '.join(gates)}")


def _spoken(frame: "pd.DataFrame") -> "pd.DataFrame":
    """Days as people write them, and None for what is absent."""
    import numpy as np  # noqa: PLC0415

    days = {name: frame[name].map(lambda day: str(np.datetime64(int(day), "D")), na_action="ignore") for name in DAYS}
    frame = frame.astype(object).assign(**days)
    return frame.where(frame.notna(), None)


def _show_ends(topology: "Topology") -> None:
    for what, (one, several) in ENDS.items():
        names = getattr(topology, what)
        if names:
            most = sorted(names, key=lambda name: (-names[name], name))[:NAMES]
            more = f" and {len(names) - NAMES:,} more" if len(names) > NAMES else ""
            told = one if len(names) == 1 else f"{len(names):,} {several}"
            records = sum(names.values())
            click.echo(f"\n{what}: {told} ({records:,} record{'s' * (records != 1)}): {', '.join(most)}{more}")


def _show_countries(topology: "Topology", top: int) -> None:
    """The countries with the most demand, or the most users, on unknown pairs."""
    from placement.frames import records  # noqa: PLC0415

    *rows, total = records(topology.coverage())
    weight = "requests_per_s" if total["requests_per_s"] > 0 else "users"
    unknown = "unknown_demand" if weight == "requests_per_s" else "unknown_users"
    rows.sort(
        key=lambda row: (
            -row[weight] * (row[unknown] if row[unknown] == row[unknown] else 0),
            -row[weight],
            row["country"],
        )
    )
    click.echo()
    title = "By country of regions" + (f", the {top} with the most at stake of {len(rows)}" if len(rows) > top else "")
    cells = [[_cell(row, name) for name in SHOWN] for row in [*rows[:top], total]]
    print_table(list(SHOWN.values()), cells, title=title)


def _cell(row: "Row", name: str) -> object:
    """A figure for people: shares as percent, absent as nothing."""
    value = row[name]
    if isinstance(value, str):
        return value
    if isinstance(value, float) and not math.isfinite(value):
        return ""
    return round(100 * value, 1) if name in SHARES else int(value) if name in COUNTS else value


def _figure(value: float | None, scale: float, digits: int) -> object:
    return "" if value is None else round(scale * value, digits)


def _kinds(topology: "Topology") -> Any:
    from placement.topology.coverage import kinds  # noqa: PLC0415

    return kinds(topology.pairs, topology.regions, topology.demand)


def _newest(topology: "Topology") -> str | None:
    """The time of the newest observation of any pair, UTC."""
    import numpy as np  # noqa: PLC0415

    newest = float(np.nanmax(topology.pairs.observed_at_s, initial=-np.inf))
    return datetime.fromtimestamp(newest, UTC).strftime("%Y-%m-%d %H:%M UTC") if math.isfinite(newest) else None
