"""What a look shows a person: tables that fit the terminal, sparklines, and what went wrong with its mend."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from probes.once.aim import Aim
from probes.once.look import Look
from probes.once.rounds import Tally

if TYPE_CHECKING:
    from probes.once.streaming import Streaming
    from probes.once.tracing import Tracing
    from probes.once.visiting import Visiting

WIDE = 110
"""From so many columns on, the address has a column of its own."""
BARS = "▁▂▃▄▅▆▇█"
LOST, UNTIMED = "×", "?"
SILENCE = "it is down, or a firewall drops this method; try --method tcp --port 443"
SEALED = "no reflector is there, or it wants a key: --key-file"
MENDS = (
    ("no icmp socket", "or measure with --method tcp"),
    ("network is unreachable", "no route from here: is the network up, and does this machine have that family?"),
    ("network unreachable", "no route from here: is the network up, and does this machine have that family?"),
    ("cannot assign requested address", "this machine has no address of that family: try the other, -4 or -6"),
    ("no local address", "this machine has no address of that family: try the other, -4 or -6"),
    ("address family not supported", "this machine has no such family: try the other, -4 or -6"),
    ("no route to host", "a router or this machine's neighbour table knows no way: is the host up?"),
    ("host unreachable", "a router knows no way to it: is the host up?"),
    ("operation not permitted", "a firewall of this machine forbids it"),
    ("permission denied", "this machine may not send there: a broadcast address, or a firewall"),
    ("not permitted", "a firewall of this machine forbids it, or a right is missing: nearserve doctor"),
    ("refused", "nothing listens at that port: is it the right one (--port)?"),
    ("not tls", "for plain HTTP write http://HOST:PORT, for plain NDT7 ws://HOST:PORT"),
    (
        "unknown issuer",
        "the server's certificate is of an authority that this machine does not trust: --ca names one more",
    ),
    ("timeout", "no answer in time: is it up, does a firewall drop this method, is --timeout long enough?"),
    ("name or service not known", "is the name spelt right?"),
)


def milliseconds(value: float | None) -> str:
    """Three significant figures or so; nothing for what was not measured."""
    if value is None:
        return ""
    return f"{value:.3f}" if value < 1 else f"{value:.2f}" if value < 100 else f"{value:,.1f}"


def sparkline(tally: Tally, width: int) -> Text:
    """The newest probes: a bar for a round trip between the least and the most shown, a mark for a lost one.

    Changes of a few percent are not blown up: the bars span at least a fifth of the least.
    """
    newest = list(zip(tally.rtt_ms, tally.answered, strict=True))[-width:]
    times = [rtt for rtt, _ in newest if rtt is not None]
    low = min(times, default=0.0)
    span = max(max(times, default=0.0) - low, 0.2 * low) or 1.0
    line = Text()
    for rtt, answered in newest:
        if rtt is not None:
            line.append(BARS[min(int((rtt - low) / span * len(BARS)), len(BARS) - 1)])
        else:
            line.append(UNTIMED, "yellow") if answered else line.append(LOST, "bold red")
    return line


def round_trips(look: Look, width: int) -> RenderableType:
    """The table of round trips of a look."""
    wide = width >= WIDE
    table = _table(
        ["target", *(["address"] if wide else [])], ["sent", "lost", "min", "p50", "p95", "p99", "jitter", "last"]
    )
    table.add_column("recent", no_wrap=True)
    for aim, tally in zip(look.aims, look.tallies, strict=True):
        summary = tally.summary
        times = (summary.min_ms, summary.p50_ms, summary.p95_ms, summary.p99_ms, summary.jitter_ms, summary.last_ms)
        lost = "" if summary.lost_share is None else f"{100 * summary.lost_share:.3g}%"
        table.add_row(
            *_names(aim, wide),
            str(summary.sent),
            Text(lost, "bold red" if summary.lost_share else ""),
            *map(milliseconds, times),
            sparkline(tally, 20 if wide else 8),
        )
    return table


def visits(look: "Visiting", width: int) -> RenderableType:
    """The table of visits: DNS apart, then the parts in their order, medians over the visits."""
    from probes.once.visiting import PARTS  # noqa: PLC0415

    wide = width >= WIDE
    names = ["visits", "lost", "DNS", "connect", "TLS", "first byte", "total", "status"]
    table = _table(["target", *(["address"] if wide else [])], names)
    for number, (aim, tally) in enumerate(zip(look.aims, look.tallies, strict=True)):
        summary, status = tally.summary, look.detail(number)["status"]
        table.add_row(
            *_names(aim, wide),
            str(summary.sent),
            f"{summary.sent - summary.received}",
            milliseconds(aim.dns_ms),
            *(milliseconds(look.median_ms(number, part)) for part in PARTS),
            "" if status is None else str(status),
        )
    return table


def transfers(look: "Streaming", width: int) -> RenderableType:
    """The table of transfers, a row for each: the rate, and the round trips without and under its load."""
    wide = width >= WIDE
    names = ["", "Mbit/s", "MB", "idle ms", "loaded p50", "p95", "resent"]
    table = _table(["target", *(["address"] if wide else [])], names)
    for aim, flows in zip(look.aims, look.flows, strict=True):
        for flow in flows:
            times = (flow.idle_ms, flow.loaded_p50_ms, flow.loaded_p95_ms)
            table.add_row(
                *_names(aim, wide),
                flow.direction,
                "" if flow.mbps is None else f"{flow.mbps:,.2f}",
                f"{flow.moved_bytes / 1e6:,.2f}" if flow.moved_bytes else "",  # 0 is nobody there
                *map(milliseconds, times),
                "" if flow.resent_share is None else f"{100 * flow.resent_share:.2g}%",
            )
    return table


def paths(look: "Tracing", width: int) -> RenderableType:
    """A table for each target, a row for each router that some flow met; flows part where a hop has several rows."""
    del width
    parts: list[RenderableType] = []
    for number, aim in enumerate(look.aims):
        path = look.paths[number]
        if path is None or not path.flows:
            continue
        ends = "reached" if path.reached else "not reached"
        parts.append(Text(f"{aim.wanted.text} by {path.protocol}, {len(path.flows)} flows: {ends}", "bold"))
        table = _table([], ["hop"])
        table.add_column("router", overflow="fold")
        table.add_column("flows", overflow="fold")
        for name in ("answered", "min", "p50"):
            table.add_column(name, justify="right")
        table.add_column("")
        limited = path.rate_limited()
        for ttl, address, flows, answered, sent, least_ms, median_ms in look.table(number):
            table.add_row(
                str(ttl),
                address or "*",
                "all" if len(flows) == len(path.flows) > 1 else ",".join(map(str, flows)),
                f"{answered}/{sent}",
                milliseconds(least_ms),
                milliseconds(median_ms),
                "limits its answers, no loss" if ttl in limited and address else "",
            )
        parts.append(table)
    return Group(*parts)


def _table(left: Sequence[str], right: Sequence[str]) -> Table:
    table = Table(header_style="bold", box=None, pad_edge=False, padding=(0, 1, 0, 0))
    for name in left:
        table.add_column(name, overflow="fold")
    for name in right:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _names(aim: Aim, wide: bool) -> list[Text]:
    """The target and its address, one below the other where there is little room."""
    address = aim.endpoint.address if aim.endpoint is not None else ""
    name, plain = Text(aim.wanted.text), Text(address, "dim")
    if wide:
        return [name, plain]
    return [name if address in aim.wanted.text else name.append(f"\n{address}", "dim")]


def notes(look: Look, problems: Sequence[Aim]) -> list[str]:
    """What is to be said below the table: DNS, what went wrong with each target, and those that were not measured."""
    lines = []
    resolved = [aim for aim in look.aims if aim.dns_ms is not None]
    if resolved:
        told = (f"{aim.wanted.host} {milliseconds(aim.dns_ms)} ms{_more(aim)}" for aim in resolved)
        lines.append(f"DNS, in no round trip: {', '.join(told)}")
    for aim, tally in zip(look.aims, look.tallies, strict=True):
        lines += [f"{aim.wanted.text}: {mended(words)}" for words in tally.errors]
        if tally.answered and not any(tally.answered) and not tally.errors:
            why = SEALED if look.method == "stamp" else SILENCE
            lines.append(f"{aim.wanted.text}: no answer to {len(tally.answered)} probes: {why}")
    return lines + [f"{aim.wanted.text}: not measured: {aim.problem}" for aim in problems]


def _more(aim: Aim) -> str:
    count = len(aim.others)
    return f" ({count} more address{'es' * (count != 1)}: name one to measure it)" if count else ""


def mended(words: str) -> str:
    """What the network or the kernel said, and what can be done about it."""
    said = words.lower()
    for part, mend in MENDS:
        if part in said and mend not in words:
            return f"{words}{', ' if mend.startswith('or ') else ': '}{mend}"
    return words


def shown(look: Look, problems: Sequence[Aim], table: RenderableType) -> RenderableType:
    """The table with its notes."""
    tables = [table] if look.aims else []
    return Group(
        *tables, *(Text(line, "dim" if line.startswith("DNS") else "yellow") for line in notes(look, problems))
    )
