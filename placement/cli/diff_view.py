"""What `nearserve diff` shows: site by site what comes and goes, what it does to traffic and money, and the steps.

Everything fits into 100 columns; colours on a terminal only.
"""

from collections import defaultdict
from dataclasses import dataclass, field
from textwrap import wrap
from typing import TYPE_CHECKING, TypeAlias

import click

from placement.cli.common import print_table

if TYPE_CHECKING:
    from placement.diff.document import Added, DiffDocument, State, Steps, Wave

COLOUR = {"+": "green", "-": "red", "~": "yellow"}
WIDTH = 98
MOST_LINES = 12  # of a site
MOST_WAVES = 12
MOST_MISSING = 8

Row: TypeAlias = tuple[str, str, str | None, str | None]
"""Replicas: site, shape, tenant, slice."""


@dataclass
class _Site:
    """What changes at a site: the lines, and how much they come to."""

    lines: list[tuple[str, str]] = field(default_factory=list)
    added: int = 0
    removed: int = 0
    weight: float = 0.0


def show(said: "DiffDocument", names: tuple[str, str], top: int) -> None:
    """The whole view, on stdout."""
    click.secho(f"{said.scenario}: {names[0]}  →  {names[1]}", bold=True)
    _show_sites(said, top)
    click.echo()
    click.secho(_summary(said), bold=True)
    click.echo()
    _show_effect(said)
    _show_traffic(said)
    if said.steps is not None:
        _show_steps(said.steps)


def _summary(said: "DiffDocument") -> str:
    """The line that says it all."""
    c = said.counts
    add, remove = c.added_replicas - c.moved - c.reshaped, c.removed - c.moved - c.reshaped
    if not (c.added_replicas or c.removed or said.servers):
        changes = said.traffic.changes_site or said.traffic.newly_served or said.traffic.no_longer_served
        return "Plan: nothing comes or goes" + ("; traffic does." if changes else ", and traffic stays.")
    servers = [
        f"{n:,} {what}"
        for n, what in (
            (c.servers_bought, "to buy"),
            (c.servers_rented, "to rent"),
            (c.servers_kept, "of the fleet to take up"),
            (c.servers_retired, "to retire"),
        )
        if n
    ]
    replicas = f"{add:,} to add, {c.moved:,} to move, {c.reshaped:,} to reshape, {remove:,} to remove"
    return f"Plan: replicas {replicas}" + (f"; servers {', '.join(servers)}." if servers else ".")


def _show_sites(said: "DiffDocument", top: int) -> None:
    sites = _sites(said)
    ranked = sorted(sites.items(), key=lambda item: (-item[1].weight, item[0]))
    for name, site in ranked[:top]:
        sign = "+" if name in said.opened else "-" if name in said.closed else "~"
        word = {"+": "  (opens)", "-": "  (closes)", "~": ""}[sign]
        click.secho(f"{sign} {name}{word}", fg=COLOUR[sign], bold=True)
        for mark, line in site.lines[:MOST_LINES]:
            click.secho(f"    {mark} {_cut(line, WIDTH - 6)}", fg=COLOUR[mark])
        if len(site.lines) > MOST_LINES:
            click.echo(f"      ... {len(site.lines) - MOST_LINES} more lines")
    rest = [site for _, site in ranked[top:]]
    if rest:
        added, removed = sum(site.added for site in rest), sum(site.removed for site in rest)
        click.echo(f"... {len(rest):,} more sites: {added:,} replicas come, {removed:,} go; --top or -o shows them")


def _sites(said: "DiffDocument") -> dict[str, _Site]:
    """The lines of every site: servers, then replicas; where a replica came from or goes to is told with it."""
    sites: dict[str, _Site] = defaultdict(_Site)
    for server in said.servers:
        of = f" of {server.tenant}" if server.tenant else ""
        how = [f"{n:,} {word}" for n, word in _ways(server) if n]
        mark = "+" if server.new > server.old else "-"
        text = f"server {server.server}{of}  {server.old:,} → {server.new:,}" + (f"  ({', '.join(how)})" if how else "")
        sites[server.site].lines.append((mark, text))
        sites[server.site].weight += 8 * abs(server.new - server.old)
    way = _partners(said)
    for row in said.replicas:
        of = (f" of {row.tenant}" if row.tenant else "") + (f" in {row.slice}" if row.slice else "")
        change = row.new - row.old
        mark = "+" if row.old == 0 else "-" if row.new == 0 else "~"
        told = way.get((row.site, row.shape, row.tenant, row.slice), "")
        site = sites[row.site]
        site.lines.append((mark, f"{row.shape}{of}  {row.old:,} → {row.new:,}{told}"))
        site.added += max(change, 0)
        site.removed += max(-change, 0)
        site.weight += abs(change)
    return sites


def _ways(server: object) -> list[tuple[int, str]]:
    words = (("bought", "bought"), ("rented", "rented"), ("kept", "of the fleet"))
    return [(getattr(server, name), word) for name, word in words]


def _partners(said: "DiffDocument") -> dict[Row, str]:
    """Where replicas of a row come from or go to."""
    from_: dict[Row, set[str]] = defaultdict(set)
    to: dict[Row, set[str]] = defaultdict(set)
    for move in said.moves:
        same = move.source == move.target
        source = (move.source, move.source_shape, move.tenant, move.slice)
        target = (move.target, move.target_shape, move.tenant, move.slice)
        to[source].add(move.target_shape if same else move.target)
        from_[target].add(move.source_shape if same else move.source)
    told = {row: f"  to {_few(places)}" for row, places in to.items()}
    return told | {row: f"  from {_few(places)}" for row, places in from_.items()}


def _few(names: set[str], most: int = 2) -> str:
    ordered = sorted(names)
    return ", ".join(ordered[:most]) + (f" and {len(ordered) - most} more" if len(ordered) > most else "")


def _show_effect(said: "DiffDocument") -> None:
    """Money, latency and what stands, before and after."""
    before, after = said.before, said.after
    rows: list[tuple[str, str, str, str]] = [("USD a month", *_usd(before, after, "total"))]
    kinds = sorted((after.cost or {}).keys() | (before.cost or {}).keys())
    changed = [(kind, _usd(before, after, kind)) for kind in kinds if kind != "total"]
    changed.sort(key=lambda item: (-abs(float(item[1][2].replace(",", "") or 0)), item[0]))
    rows += [(f"  {kind.replace('_', ' ')}", *usd) for kind, usd in changed if usd[2] not in ("", "0", "+0", "-0")]
    rows += [
        (f"latency {name[:3]} ms", *_figures(getattr(before.latency, name), getattr(after.latency, name), 1))
        for name in ("p50_ms", "p95_ms", "p99_ms")
    ]
    rows.append(("served %", *_figures(_percent(before.served_share), _percent(after.served_share), 3)))
    stands = (("gpus", "GPUs"), ("sites", "sites"), ("kw", "IT kW of servers"), ("rack_units", "rack units"))
    rows += [(word, *_figures(getattr(before, name), getattr(after, name), 0)) for name, word in stands]
    if before.total_tco2e is not None or after.total_tco2e is not None:
        rows.append(("tCO2e a month", *_figures(before.total_tco2e, after.total_tco2e, 1)))
    print_table(("", "before", "after", "change"), [(a, f"{b:>14}", f"{c:>14}", f"{d:>12}") for a, b, c, d in rows])
    if said.capex_usd:
        click.echo(f"what is bought costs {said.capex_usd:,.0f} USD once")
    if before.inadmissible_share:
        click.echo(f"before: {_percents(before.inadmissible_share)} of requests go where it is not admissible any more")


def _usd(before: "State", after: "State", kind: str) -> tuple[str, str, str]:
    costs = [None if state.cost is None else state.cost.get(kind) for state in (before, after)]
    return _figures(costs[0], costs[1], 0)


def _figures(old: float | None, new: float | None, digits: int) -> tuple[str, str, str]:
    told = ["–" if value is None else f"{value:,.{digits}f}" for value in (old, new)]
    change = "" if old is None or new is None else f"{new - old:+,.{digits}f}"
    return told[0], told[1], change


def _percent(share: float | None) -> float | None:
    return None if share is None else 100 * share


def _percents(share: float) -> str:
    return f"{100 * share:.3f} %" if share >= 1e-5 or not share else f"{100 * share:.1g} %"


def _show_traffic(said: "DiffDocument", most: int = 5) -> None:
    t = said.traffic
    click.echo()
    parts = [f"{_percents(t.changes_site)} of requests change site"]
    if t.newly_served:
        parts.append(f"{_percents(t.newly_served)} are newly served")
    if t.no_longer_served:
        parts.append(f"{_percents(t.no_longer_served)} no longer")
    click.secho("Traffic: " + ", ".join(parts), bold=True)
    if t.regions:
        rows = [
            (_cut(r.name, 40), f"{r.requests_per_s:,.2f}", f"{100 * r.changes_site:.2f}", f"{100 * r.newly_served:.2f}",
             f"{100 * r.no_longer_served:.2f}")
            for r in t.regions[:most]
        ]  # fmt: skip
        print_table(("region, most first", "requests/s", "change site %", "newly served %", "no longer %"), rows)


def _show_steps(steps: "Steps") -> None:
    click.echo()
    if not steps.waves:
        click.secho("Steps: none", bold=True)
        return
    waves = f"{len(steps.waves)} wave{'s' * (len(steps.waves) != 1)}"
    long = _time(steps.seconds)
    if steps.safe:
        click.secho(f"Steps: {waves}, {long} of transfers; what both plans serve is kept throughout", bold=True)
    else:
        lost = _percents(steps.worst_missing_share)
        late = f", {_percents(steps.worst_backup_share)} within backup budgets alone" * bool(steps.worst_backup_share)
        click.secho(f"Steps: {waves}, {long} of transfers; NOT SAFE: up to {lost} of requests unserved{late}", fg="red")
    rows = [_wave(wave) for wave in steps.waves[:MOST_WAVES]]
    heads = ("wave", "install", "add", "sites", "transfers", "then traffic", "then drain", "retire", "short")
    print_table(heads, rows)
    if len(steps.waves) > MOST_WAVES:
        click.echo(f"... {len(steps.waves) - MOST_WAVES} more waves; -o shows them")
    _show_missing(steps)
    d = steps.double
    if d.gpus or d.kw or d.rack_units:
        click.echo(f"twice in between, at most: {d.gpus:,.2f} GPUs, {d.kw:,.1f} kW, {d.rack_units:,.0f} rack units")
    for share, why in (
        (steps.inadmissible_share, "go where today's rules do not admit them"),
        (steps.overloaded_share, "are more than the old replicas and wires carry"),
    ):
        if share:
            click.echo(f"before the first step {_percents(share)} of requests {why}")
    for note in steps.notes:
        click.echo("\n".join(wrap(f"note: {note}", WIDTH)))


def _wave(wave: "Wave") -> tuple[object, ...]:
    sites = {row.site for row in (*wave.install, *wave.add, *wave.drain, *wave.retire)}
    short = wave.missing_share + wave.backup_share
    return (
        f"{wave.number}",
        *(_count(rows) for rows in (wave.install, wave.add)),
        f"{len(sites):,}",
        _time(wave.seconds),
        _percents(wave.switched_share),
        *(_count(rows) for rows in (wave.drain, wave.retire)),
        _percents(short) if short > 1e-9 else "",
    )


def _count(rows: "tuple[Added, ...]") -> str:
    return f"{sum(row.count for row in rows):,}" if rows else ""


def _show_missing(steps: "Steps") -> None:
    """Who is short, in which wave, and of how much: never silently."""
    rows = [
        (wave.number, f"{m.region} {m.model} {m.service}" + (f" {m.slice}" if m.slice else ""), m.share_ppb, m.why)
        for wave in steps.waves
        for m in wave.missing
        if m.share_ppb > 100
    ]
    rows.sort(key=lambda row: (-row[2], row[0], row[1]))
    for number, name, share, why in rows[:MOST_MISSING]:
        click.echo(f"  wave {number}: {_cut(name, 50)}: {_percents(share / 1e9)} {why}")
    if len(rows) > MOST_MISSING:
        click.echo(f"  ... {len(rows) - MOST_MISSING} more; -o shows them")


def _time(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"
