"""Answers of explain for people, within 100 columns, and as JSON."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from math import isfinite
from textwrap import wrap
from typing import Any

import click

from placement.cli.common import print_table
from placement.explain.blocked import Blockage
from placement.explain.why import Choice, Class, ClassAnswer, HereAnswer

REASON = 46  # columns that a reason may take


def as_json(answer: Any) -> dict[str, Any]:
    """An answer as a JSON object; figures that are unknown are null."""
    fields: dict[str, Any] = _plain(asdict(answer))
    return {"question": answer.question} | fields


def show(answer: Any, most: int) -> None:
    """An answer as tables of `most` rows, on stdout."""
    _VIEWS[type(answer)](answer, most)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    if isinstance(value, float):
        return round(value, 9) if isfinite(value) else None
    return value


def _blockage(answer: Blockage, most: int) -> None:
    if answer.infeasible:
        click.echo("no plan keeps the hard rules\n")
    else:
        click.echo(f"served {_percent(answer.served_share)} of requests at {answer.cost_usd:,.2f} USD a month\n")
    if not answer.blocked:
        click.echo("nothing that is asked for is left unserved" if not answer.infeasible else "")
        return
    rows: list[tuple[object, ...]] = []
    for one in answer.blocked[:most]:
        rows += _folded((one.service, one.country, one.classes, _percent(one.share), round(one.usd_month)), one.reason)
    heads = ("service", "in", "classes", "of requests", "USD a month", "blocked by")
    print_table(heads, rows, title="Unserved")
    _more(answer.blocked, most)


def _folded(cells: Sequence[object], text: str, width: int = REASON) -> Iterable[tuple[object, ...]]:
    """A row whose last cell takes as many lines as it needs."""
    first, *others = wrap(text, width) or [""]
    yield (*cells, first)
    yield from (("",) * len(cells) + (line,) for line in others)


def _class(answer: ClassAnswer, most: int) -> None:
    if len(answer.classes) > 1:
        rows = [
            (_name(cls), round(cls.requests_per_month), _percent(1 - cls.unserved), _places(places))
            for cls, places in answer.classes[:most]
        ]
        print_table(("class", "requests a month", "served", "goes to"), rows, title="Classes")
        _more(answer.classes, most)
        click.echo()
    cls = answer.chosen
    print_table(
        ("site", "in", "state", "RTT ms", "planned ms", "USD/1000", "spare/s", "share", "kept out by"),
        [row for choice in _shown(answer.choices, most) for row in _choice(choice)],
        title=f"{_name(cls)}: budget {cls.budget_ms:g} ms, {cls.requests_per_month:,.0f} requests a month",
    )
    _more(answer.choices, most)
    if cls.unserved > 0:
        click.echo(f"\n{_percent(cls.unserved)} of it is left unserved")


def _shown(choices: Sequence[Choice], most: int) -> list[Choice]:
    """The first ones, and every one that serves the class."""
    return [choice for rank, choice in enumerate(choices) if rank < most or choice.share > 0]


def _choice(choice: Choice) -> Iterable[tuple[object, ...]]:
    cells = (
        choice.site,
        choice.country,
        choice.state,
        _figure(choice.rtt_ms),
        _figure(choice.planned_ms),
        "" if choice.usd_per_1000 is None else f"{choice.usd_per_1000:.4f}",
        _figure(choice.spare_requests_per_s),
        _percent(choice.share) if choice.share > 0 else "",
    )
    yield from _folded(cells, "; ".join(choice.kept_out), 34)


def _here(answer: HereAnswer, most: int) -> None:
    if not answer.standing:
        click.echo(f"{answer.model} does not stand at {answer.site}")
        return
    for one in answer.standing:
        period = f" in {one.period}" if one.period else ""
        click.echo(
            f"{answer.model} at {answer.site}{period}: {one.replicas} replicas on {one.gpus:g} GPUs, "
            f"{_percent(one.busy)} busy in the busiest slice\n"
        )
        rows = [(_name(s.cls), _percent(s.share), f"{s.requests_per_s:,.3f}") for s in one.serves[:most]]
        print_table(("serves", "share", "requests/s"), rows)
        _more(one.serves, most)


def _name(cls: Class) -> str:
    row = cls.row
    return "/".join(part for part in (row.region, row.model, row.service, row.slice, cls.period) if part)


def _places(places: Sequence[tuple[str, float]], most: int = 3) -> str:
    said = ", ".join(f"{site} {_percent(share)}" for site, share in places[:most])
    return said + (f", {len(places) - most} more" if len(places) > most else "")


def _more(rows: Sequence[object], most: int) -> None:
    if len(rows) > most:
        click.echo(f"... {len(rows) - most:,} more: --top N shows N")


def _percent(share: float) -> str:
    """A share as a percentage that is never rounded to all or nothing."""
    return f"{100 * share:.3f} %" if 0 < share < 0.01 else f"{100 * share:.2f} %"


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:,.1f}"


_VIEWS: dict[type, Callable[[Any, int], None]] = {Blockage: _blockage, ClassAnswer: _class, HereAnswer: _here}
