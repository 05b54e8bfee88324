"""How HAProxy draws the site of a request, as the lines of its frontend.

A request's class is looked up in routes.map, which has a line for each:

    <region>|<model>|<service> <unserved>/<site>/<share>/<site>/<share>...

in parts per billion. `rand(1000000000)` takes the upper bits of 32 random ones, so that the chance of each of 10^9
numbers is within 2^-32 of what it should be, and that of any range of them too: a share is drawn to 2.4e-10. What is
below `unserved` is refused. The rest is stretched over the sites that have a server which answers, in proportion to
their shares: with all of them up, it stays as it is. By `priority` a class whose sites are all down goes to the first
of its line in standbys.map that is up.
"""

from collections.abc import Iterator

from placement.feeds.haproxy.options import HaproxyOptions, expression
from placement.feeds.view import BILLION, Policy

ROUTES, STANDBYS, REGIONS = "routes.map", "standbys.map", "regions.map"


def head(options: HaproxyOptions, policy: Policy | None) -> str:
    """All of the configuration but its backends."""
    sections = (_settings(options), _frontend(options, policy))
    return "".join(f"{title}\n" + "".join(f"    {line}\n" for line in lines) + "\n" for title, lines in sections)


def _settings(options: HaproxyOptions) -> tuple[str, list[str]]:
    checked = f"check inter {options.health_interval_ms} fall 2 rise 2"
    extra = f" {options.server}" if options.server else ""
    named = f" resolvers {options.resolvers} init-addr libc,none" if options.resolvers else ""
    return "global\n    default-path config\n\ndefaults nearserve", [
        "mode http",
        f"balance {options.balance}",
        "option redispatch",
        f"timeout connect {options.connect_timeout_ms}",
        f"timeout client {options.idle_timeout_ms}",
        f"timeout server {options.idle_timeout_ms}",
        *([f"option httpchk GET {options.health_path}"] if options.health_path else []),
        f"default-server {checked}{named}{extra}",
    ]


def _frontend(options: HaproxyOptions, policy: Policy | None) -> tuple[str, list[str]]:
    return "frontend nearserve from nearserve", [
        *(f"bind {address}" for address in options.bind),
        *_class(options),
        *_live(options.most_sites),
        *_drawn(options),
        *_standing_in(options.most_sites, policy == "priority"),
        *_sent(options.most_sites, policy == "priority"),
    ]


def _set(name: str, value: str, condition: str = "") -> str:
    return f"http-request set-var(txn.{name}) {value}{condition and f' if {condition}'}"


def _refused(status: int, why: str, condition: str) -> str:
    return f"http-request return status {status} hdr x-nearserve {why} {condition}"


def _class(options: HaproxyOptions) -> Iterator[str]:
    """What the request asks for, and the line of its class; without one it is refused."""
    sources = {name: getattr(options, name) for name in ("region", "model", "service")}
    if any(source.startswith("json:") for source in sources.values()):
        yield "option http-buffer-request"
    for name, source in sources.items():
        yield _set(name, expression(source))
    yield "http-request set-var-fmt(txn.class) %[var(txn.region)]|%[var(txn.model)]|%[var(txn.service)]"
    yield _set("row", f"var(txn.class),map({ROUTES})")
    yield _refused(404, "unknown", "unless { var(txn.row) -m found }")


def _live(most: int) -> Iterator[str]:
    """site<j> of the class and end<j>, the sum of the shares of all up to it that have a server which is up.

    In a process that another takes over from, by a reload, `nbsrv` says 0 of everything, though all of it still serves.
    """
    yield _set("end0", "int(0)")
    for j in range(1, most + 1):
        yield _set(f"site{j}", f"var(txn.row),field({2 * j},/)")
        yield _set(f"end{j}", f"var(txn.end{j - 1})")
        yield _set(
            f"end{j}",
            f"var(txn.row),field({2 * j + 1},/),add(txn.end{j - 1})",
            f"{{ var(txn.site{j}),nbsrv gt 0 }} || {{ stopping }}",
        )


def _drawn(options: HaproxyOptions) -> Iterator[str]:
    """A number below the sum of what is up, unless it falls on what is unserved."""
    yield _set("unserved", "var(txn.row),field(1,/),add(0)")
    yield _set("drawn", f"rand({BILLION}),sub(txn.unserved)")
    yield _refused(options.unserved_status, "unserved", "if { var(txn.drawn) -m int lt 0 }")
    yield _set("served", f"int({BILLION}),sub(txn.unserved)")
    yield _set("drawn", f"var(txn.drawn),mul(txn.end{options.most_sites}),div(txn.served)")


def _standing_in(most: int, priority: bool) -> Iterator[str]:
    """Where nothing of the class is up: the first that stands in for it, or nothing."""
    down = f"{{ var(txn.end{most}) -m int eq 0 }}"
    if priority:
        yield _set("standbys", f"var(txn.class),map({STANDBYS})", down)
        for j in range(1, most + 1):
            up = f"{{ var(txn.standbys),field({j},/),nbsrv gt 0 }} !{{ var(txn.standby) -m found }}"
            yield _set("standby", f"var(txn.standbys),field({j},/)", up)
        down += " !{ var(txn.standby) -m found }"
    yield _refused(503, "down", f"if {down}")


def _sent(most: int, priority: bool) -> Iterator[str]:
    if priority:
        yield "use_backend %[var(txn.standby)] if { var(txn.standby) -m found }"
    for j in range(1, most + 1):
        yield f"use_backend %[var(txn.site{j})] if {{ var(txn.drawn),sub(txn.end{j}) lt 0 }}"
