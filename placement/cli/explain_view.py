"""Answers of explain for people, within 100 columns, and as JSON."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from math import isfinite, isnan
from textwrap import wrap
from typing import Any

import click

from placement.cli.common import print_table
from placement.explain.against import Against, PinsAnswer
from placement.explain.blockage import Blockage
from placement.explain.forced import NextAnswer, NotToAnswer
from placement.explain.here import HereAnswer
from placement.explain.ways import Way
from placement.explain.why import Choice, Class, ClassAnswer
from placement.explain.worth import Worth, WorthAnswer

LIMITS = {
    "stock": "stock (deliveries)",
    "export": "export limits",
    "capex": "capex (budgets)",
    "monthly": "the cost of a month (budgets)",
    "installs": "limits.installs_per_period",
    "power": "power_kw of sites",
    "rack_units": "rack_units of sites",
    "uplink": "uplinks of sites",
    "downlink": "downlinks of sites",
    "served": "limits.min_served_share",
    "carbon": "limits.max_tco2e_month",
    "pin_least": "least replicas of pins",
    "pin_most": "most replicas of pins",
    "moves": "stability.max_moves",
    "job": "jobs",
}

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
        click.echo("no plan keeps the hard rules")
    else:
        click.echo(f"served {_percent(answer.served_share)} of requests at {answer.cost_usd:,.2f} USD a month")
    if answer.message:
        click.echo(answer.message)
    if answer.conflict:
        click.echo("these contradict each other: " + ", ".join(LIMITS[kind] for kind in answer.conflict))
    if answer.blocked:
        _blocked(answer, most)
    elif not answer.infeasible:
        click.echo("nothing that is asked for is left unserved")
    if answer.blocked and not isnan(answer.price_usd):
        click.echo("\nno limit is in the way of what sites are near enough for: serving it would cost")
        click.echo(f"{answer.price_usd:,.2f} USD a month more than its penalty (services.unserved_usd_per_1000)")
    _ways(answer, most)
    _unmeasured(answer, most)


def _unmeasured(answer: Blockage, most: int) -> None:
    if not answer.unmeasured:
        return
    click.echo()
    rows = [
        (
            one.service,
            f"{one.region} ({one.country})",
            one.site,
            f"{one.km:,.0f}",
            one.missing,
            f"{one.most_rtt_ms:,.0f}",
        )
        for one in answer.unmeasured[:most]
    ]
    heads = ("for", "measure", "to", "km", "missing", "would do: RTT ms")
    print_table(heads, rows, title="Unknown, so not admissible: nothing is planned on what is not measured")
    _more(answer.unmeasured, most)


def _blocked(answer: Blockage, most: int) -> None:
    click.echo()
    rows: list[tuple[object, ...]] = []
    for one in answer.blocked[:most]:
        rows += _folded((one.service, one.country, one.classes, _percent(one.share), round(one.usd_month)), one.reason)
    heads = ("service", "in", "classes", "of requests", "USD a month", "blocked by")
    print_table(heads, rows, title="Unserved")
    _more(answer.blocked, most)


def _ways(answer: Blockage, most: int) -> None:
    if answer.ways:
        click.echo()
        rows = [row for way in answer.ways[:most] for row in _way(way, answer.infeasible)]
        heads = ("change", "served", "USD a month") + (() if answer.infeasible else ("nets",))
        print_table(heads, rows, title="Ways out")
        _more(answer.ways, most)
    if answer.tried:
        click.echo("\nTried, and no way out:")
        for one in answer.tried[:most]:
            click.echo("\n".join(wrap(f"  {one.words}: {one.outcome}", 98, subsequent_indent="    ")))


def _way(way: Way, no_net: bool) -> Iterable[tuple[object, ...]]:
    net = "" if isnan(way.net_usd_month) else f"{way.net_usd_month:,.0f}"
    if way.resolved:
        cells = (_percent(way.served_share), f"{way.cost_usd:,.0f}") + (() if no_net else (net,))
    else:
        cells = ("not re-solved", "", f"about {net}" if net else f"up to {way.most_usd_month:,.0f}")
    yield from ((line, *cells) if first else (line, *[""] * len(cells)) for first, line in _lines(way.words, 56))


def _lines(text: str, width: int, most: int = 6) -> Iterable[tuple[bool, str]]:
    """A text in lines, the first of them marked; what would take more than `most` is cut."""
    lines = wrap(text, width)
    if len(lines) > most:
        lines = [*lines[: most - 1], "... --format json says all of it"]
    yield from ((number == 0, line) for number, line in enumerate(lines))


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
    yield from _folded(cells, "; ".join(choice.kept_out), 28)


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
    if answer.without is not None:
        _against(answer.without)
    else:
        click.echo("\nwhat it would cost without: not planned; --time-limit S plans a large scenario anew")


def _against(other: Against) -> None:
    if not other.possible:
        click.echo(f"\n{other.words}: {other.message}")
        return
    more = "" if isnan(other.more_usd) else f", {abs(other.more_usd):,.2f} {'more' if other.more_usd >= 0 else 'less'}"
    click.echo(f"\n{other.words}: {other.cost_usd:,.2f} USD a month{more}; served {_percent(other.served_share)}")
    if other.places:
        click.echo(f"the class goes to {_places(other.places)} then")


def _not_to(answer: NotToAnswer, most: int) -> None:
    del most
    choice = answer.choice
    click.echo(f"{_name(answer.cls)} goes to {_places(answer.places) or 'no site'}")
    ms = "unknown" if choice.planned_ms is None else f"{choice.planned_ms:,.1f} ms of {answer.cls.budget_ms:g} ms"
    click.echo(f"{answer.site} ({choice.country}): {choice.state}, planned {ms}")
    for rule in choice.kept_out:
        click.echo(f"kept out by rule {rule}")
    if choice.share > 0:
        click.echo(f"it does go there: {_percent(choice.share)} of it")
    elif not choice.kept_out:
        click.echo("no rule keeps it out: another site is cheaper, or this one is full or needed for others")
    if answer.forced is not None:
        _against(answer.forced)


def _next(answer: NextAnswer, most: int) -> None:
    del most
    click.echo(f"{_name(answer.cls)} goes to {_places(answer.places) or 'no site'}")
    if answer.without is not None:
        _against(answer.without)


def _pins(answer: PinsAnswer, most: int) -> None:
    if not answer.pins:
        click.echo("the scenario has no pins")
        return
    rows = []
    for pin in answer.pins[:most]:
        held = f"{pin.least} or more" if pin.most is None else f"{pin.least} to {pin.most}"
        price = pin.without.message or "there is no plan with it" if isnan(pin.price_usd) else f"{pin.price_usd:,.2f}"
        rows.append((pin.model, pin.site, held, price, pin.reason[:40]))
    print_table(("model", "site", "replicas", "costs USD a month", "reason"), rows, title="Pins, each against none")
    _more(answer.pins, most)


def _worth(answer: WorthAnswer, most: int) -> None:
    if not answer.rows:
        click.echo("no limit holds the plan back: nothing more of anything is worth a cent")
        return
    click.echo("By the certificate's prices, an indication; checked: by planning anew with the change made")
    for unit in dict.fromkeys(one.unit for one in answer.rows):
        rows = [one for one in answer.rows if one.unit == unit]
        click.echo()
        heads = ("more", f"USD a month each {unit}", "checked")
        print_table(heads, [line for one in rows[:most] for line in _worth_rows(one)])
        _more(rows, most)


def _worth_rows(one: Worth) -> Iterable[tuple[object, ...]]:
    checked = one.message if isnan(one.checked_usd) else _usd(one.checked_usd)
    first, *others = wrap(one.words, 56)
    yield first, _usd(one.usd_per_unit), checked
    yield from ((line, "", "") for line in others)


def _usd(value: float) -> str:
    return f"{value:,.2f}" if abs(value) >= 1 or not value else f"{value:.4f}"


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


_VIEWS: dict[type, Callable[[Any, int], None]] = {
    Blockage: _blockage,
    ClassAnswer: _class,
    HereAnswer: _here,
    NotToAnswer: _not_to,
    NextAnswer: _next,
    PinsAnswer: _pins,
    WorthAnswer: _worth,
}
