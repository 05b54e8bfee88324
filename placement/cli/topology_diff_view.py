"""What `nearserve topology diff` shows: what moved, where, the pairs that matter most, and last the plan's fate."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from placement.cli.common import print_table
from placement.cli.topology_view import plain

if TYPE_CHECKING:
    import pandas as pd

    from placement.frames import Row
    from placement.topology.drift.holding import Holding
    from placement.topology.drift.moves import Drift
    from placement.topology.drift.tally import Places

MOST_PAIRS = 10_000
"""Pairs in JSON; `-o` writes all of them."""
MOST_BROKEN = 1_000
FEW = 6
MEANS = {
    "slower": "the network: beyond what both intervals explain",
    "faster": "the network: beyond what both intervals explain",
    "raised": "the plan's figure only: the intervals touch",
    "lowered": "the plan's figure only: the intervals touch",
    "appeared": "unknown before",
    "lost": "unknown now",
    "silent": "measured in both, and no newer observation",
    "bandwidth appeared": "unknown before",
    "bandwidth lost": "unknown now",
    "narrower": "less than two thirds of the bandwidth",
    "wider": "more than half as much bandwidth again",
    "lossier": "more loss than chance explains",
    "cleaner": "less loss than chance explains",
}


@dataclass(frozen=True)
class Answer:
    """Both days by name, what moved between them, which findings of quality gates begun and which are gone, and what
    became of a plan; `mend` is the command to plan again."""

    names: tuple[str, str]
    drift: "Drift"
    places: "Places"
    begun: "pd.DataFrame"
    gone: "pd.DataFrame"
    holding: "Holding | None"
    headroom: float
    mend: str


def as_json(answer: Answer) -> dict[str, Any]:
    """All of it, of the pairs the weightiest MOST_PAIRS; an absent figure is null."""
    from placement.frames import records  # noqa: PLC0415
    from placement.topology.drift import tally  # noqa: PLC0415
    from placement.topology.drift.findings import reasons as of_pairs  # noqa: PLC0415

    drift, places, reasons = answer.drift, answer.places, of_pairs(answer.begun)
    at = tally.movers(drift, places)
    return {
        "before": answer.names[0],
        "after": answer.names[1],
        "pairs": int(drift.rtt.size),
        "counts": {**tally.counts(drift), "silent": int(drift.silent.sum())},
        "states": records(tally.transitions(drift)),
        "places": _places(drift),
        "countries": [plain(row) for row in records(tally.by_country(drift, places))],
        "sites": [plain(row) for row in records(tally.by_site(drift))],
        "moved": [plain(row) for row in records(tally.movers_table(drift, places, at[:MOST_PAIRS], reasons))],
        "moved_left_out": max(len(at) - MOST_PAIRS, 0),
        "findings": {name: _by_gate(getattr(answer, name)) for name in ("begun", "gone")},
        "plan": None if answer.holding is None else _holding_json(answer, answer.holding),
    }


def show(answer: Answer, top: int) -> None:
    """The same for people."""
    drift = answer.drift
    click.secho(f"{answer.names[0]}  →  {answer.names[1]}", bold=True)
    _show_places(drift)
    _show_counts(drift)
    _show_findings(answer)
    if drift.moved.any():
        _show_where(answer, top)
        _show_pairs(answer, top)
    if answer.holding is not None:
        _show_plan(answer, answer.holding, top)


def _places(drift: "Drift") -> dict[str, list[str]]:
    names = ("new_regions", "new_sites", "gone_regions", "gone_sites")
    return {name: list(getattr(drift, name)) for name in names}


def _holding_json(answer: Answer, held: "Holding") -> dict[str, Any]:
    from placement.frames import records  # noqa: PLC0415

    broken = [{"rule": v.rule, "subject": v.subject, "detail": v.detail} for v in held.broken]
    figures = {
        name: getattr(held, name)
        for name in ("requests_per_s", "missing_before", "missing", "tight", "met_before", "met")
    }
    return {
        "holds": held.holds,
        "broken": broken[:MOST_BROKEN],
        "broken_left_out": max(len(broken) - MOST_BROKEN, 0),
        "inputs_changed": list(held.inputs),
        "figures_changed": held.figures,
        **plain(figures),
        "headroom": answer.headroom,
        "classes": [plain(row) for row in records(held.classes)],
        "mend": None if held.holds else answer.mend,
    }


def _show_places(drift: "Drift") -> None:
    for name, places in _places(drift).items():
        if places:
            more = f" and {len(places) - FEW:,} more" if len(places) > FEW else ""
            click.echo(f"{name.replace('_', ' ')}: {', '.join(places[:FEW])}{more}")


def _show_counts(drift: "Drift") -> None:
    from placement.topology.drift import tally  # noqa: PLC0415

    found = tally.counts(drift)
    rows = [(word, count, MEANS[word]) for word, count in found["latency"].items() if count]
    silent = int(drift.silent.sum())
    rows += [("silent", silent, MEANS["silent"])] if silent else []
    rows += [
        (word, count, MEANS[word]) for what in ("bandwidth", "loss") for word, count in found[what].items() if count
    ]
    click.echo()
    if not rows:
        click.echo(f"nothing moved in {drift.rtt.size:,} pairs")
        return
    print_table(("", "pairs", ""), rows, title=f"Of {drift.rtt.size:,} pairs")
    states = tally.transitions(drift)
    if len(states):
        click.echo()
        print_table(("before", "after", "pairs"), states.head(FEW * 2).to_numpy(object).tolist(), title="States")


def _by_gate(found: "pd.DataFrame") -> dict[str, int]:
    """How many findings each gate has; one that speaks of several pairs counts once."""
    once = found.drop(columns=["region", "site"]).drop_duplicates()
    return {str(gate): int(count) for gate, count in once.groupby("gate", sort=True).size().items()}


def _show_findings(answer: Answer) -> None:
    for told, found in (("new findings of quality gates", answer.begun), ("findings gone", answer.gone)):
        gates = _by_gate(found)
        if gates:
            click.echo(f"\n{told}: {', '.join(f'{gate} ({count:,})' for gate, count in gates.items())}")


def _show_where(answer: Answer, top: int) -> None:
    """By country of regions, and by site: the kinds that there are."""
    from placement.topology.drift import tally  # noqa: PLC0415

    for title, key, table in (
        ("By country of regions", "country", tally.by_country(answer.drift, answer.places)),
        ("By site", "site", tally.by_site(answer.drift)),
    ):
        kinds = [name for name in tally.COUNTED if table[name].any()]
        shown = table.head(min(top, FEW * 2))
        nearest = [name for name in ("nearest_before_ms", "nearest_after_ms") if name in table]
        headers = ["nearest site, ms: before", "after"] if nearest else []
        rows = [
            [str(row[key]), *(int(row[kind]) for kind in kinds), *(_ms(row[name]) for name in nearest)]
            for row in shown.to_dict("records")
        ]
        click.echo()
        print_table([key, *kinds, *headers], rows, title=_of(title, len(shown), len(table)))


def _show_pairs(answer: Answer, top: int) -> None:
    from placement.frames import records  # noqa: PLC0415
    from placement.topology.drift import tally  # noqa: PLC0415
    from placement.topology.drift.findings import reasons  # noqa: PLC0415

    at = tally.movers(answer.drift, answer.places)
    shown = records(tally.movers_table(answer.drift, answer.places, at[:top], reasons(answer.begun)))
    rows = [
        (
            f"{row['region']} – {row['site']}",
            ", ".join(word for word in (row["latency"], row["bandwidth"], row["loss"]) if word),
            _interval(row, "before"),
            _interval(row, "after"),
            " → ".join(dict.fromkeys((row["kind_before"], row["kind_after"]))),
        )
        for row in shown
    ]
    click.echo()
    print_table(("pair", "", "before, ms", "after, ms", "known by"), rows, title=_of("Pairs", len(rows), len(at)))
    for row in shown:
        if row["why"]:
            click.echo(f"{row['region']} – {row['site']}: {row['why']}")


def _show_plan(answer: Answer, held: "Holding", top: int) -> None:
    """The classes that miss or are short of head-room, and the verdict."""
    from placement.frames import records  # noqa: PLC0415

    classes = records(held.classes)
    if classes:
        rows = [
            (
                f"{row['region']}/{row['model']}/{row['service']}",
                float(row["missing_before"]),
                float(row["missing"]),
                float(row["tight"]),
                int(row["backups_missing"]),
                str(row["site"]),
                f"{_ms(row['before_ms'])} → {_ms(row['after_ms'])} of {row['budget_ms']:,.0f}",
                f"{_share(row['met_before'])} → {_share(row['met'])}",
            )
            for row in classes[:top]
        ]
        columns = (
            "class",
            "missed before, req/s",
            "misses",
            "tight",
            "failures missed",
            "furthest site",
            "ms",
            "met, %",
        )
        click.echo()
        print_table(columns, rows, title=_of("Classes of the plan", len(rows), len(classes)))
    click.echo()
    click.echo(
        f"requests/s at the busiest time: {held.requests_per_s:,.2f}; beyond their budget {held.missing_before:,.2f} → "
        f"{held.missing:,.2f}; within it by less than {100 * answer.headroom:g} % {held.tight:,.2f}"
    )
    click.echo(f"chance that a request keeps its budget: {_share(held.met_before)} % → {_share(held.met)} %")
    if held.inputs:
        click.echo(f"note: the plan was made from other tables than these: {', '.join(held.inputs)}")
    if held.figures:
        told = ", ".join(f"{rule} ({count:,})" for rule, count in sorted(held.figures.items()))
        click.echo(f"note: what the plan says of itself has changed: {told}")
    for violation in held.broken[:FEW]:
        click.echo(f"{violation.rule}: {violation.subject}: {violation.detail}")
    if len(held.broken) > FEW:
        click.echo(f"... and {len(held.broken) - FEW:,} more; --format json lists them")
    _verdict(answer, held)


def _verdict(answer: Answer, held: "Holding") -> None:
    if held.holds:
        click.secho("the plan holds", bold=True)
        return
    failing = int(((held.classes["missing"] > 0) | (held.classes["backups_missing"] > 0)).sum())
    rules = sorted({violation.rule for violation in held.broken})
    missing = f"{failing:,} classes miss their budget" if failing > 1 else "1 class misses its budget"
    promises = f"{len(held.broken):,} promise{'s' * (len(held.broken) > 1)} broken"
    told = missing if failing else f"rule {', '.join(rules)}"
    click.secho(f"the plan no longer holds: {told}, {promises}", bold=True)
    click.echo(f"plan again: {answer.mend}")


def _interval(row: "Row", when: str) -> str:
    lower, upper = row[f"rtt_lower_ms_{when}"], row[f"rtt_upper_ms_{when}"]
    if math.isnan(upper):
        return "–"
    return f"{upper:,.1f}" if lower == upper else f"{lower:,.1f} … {upper:,.1f}"


def _ms(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:,.1f}"


def _share(value: float) -> str:
    return "–" if math.isnan(value) else f"{100 * value:.2f}"


def _of(title: str, shown: int, all_: int) -> str:
    return title if shown == all_ else f"{title}: the first {shown:,} of {all_:,}"
