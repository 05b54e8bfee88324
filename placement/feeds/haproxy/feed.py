"""haproxy: a frontend that draws the site of each request, with its maps and backends (docs/feeds-haproxy.md)."""

import re
from collections.abc import Iterator
from fractions import Fraction
from typing import Any, ClassVar, Final

from placement.feeds.addresses import is_ip
from placement.feeds.feed import Fact, FeedError, Files, Key, Read
from placement.feeds.feed import Options as AnyOptions
from placement.feeds.haproxy import maps
from placement.feeds.haproxy.names import backend, is_key, place
from placement.feeds.haproxy.options import HaproxyOptions
from placement.feeds.haproxy.rules import REGIONS, ROUTES, STANDBYS, head
from placement.feeds.order import preferences
from placement.feeds.view import BILLION, Address, Policy, View

FILE: Final = "haproxy.cfg"
SHARES: Final = Fact("shares", ("region", "model", "service", "site"))
UNSERVED: Final = Fact("unserved", ("region", "model", "service"))
_BACKEND: Final = re.compile(r"backend (\S+) from nearserve\n((?:    server a[0-9]+ \S+\n)+)\n?")


class Haproxy:
    """A frontend that draws the site of each request, with its maps and backends.

    It notices by its health checks when a place is down, and shares what fails over the others by itself; files that
    are made for a failure do what the plan says of it.
    """

    name: ClassVar[str] = "haproxy"
    policies: ClassVar[frozenset[Policy]] = frozenset({"planned", "proportional", "priority"})
    says: ClassVar[tuple[Fact, ...]] = (SHARES, UNSERVED)
    Options: ClassVar[type[AnyOptions]] = HaproxyOptions

    def __init__(self, options: HaproxyOptions) -> None:
        self.options = options

    def render(self, view: View) -> Files:
        """The files. Raises FeedError with all that HAProxy cannot be told of the plan."""
        reasons = list(_untellable(view, self.options))
        places = _places(view)
        reasons += _unreachable(view, self.options, places)
        files: dict[str, bytes] = {ROUTES: maps.routes(view)}
        if view.policy == "priority":
            files[STANDBYS] = maps.standbys(view, self.options.most_sites)
        if self.options.clients is not None:
            files[REGIONS] = maps.regions(self.options.clients, view, reasons)
        if reasons:
            raise FeedError(tuple(reasons))
        backends = [_backend(*where, view.addresses.of(*where)) for where in places]
        files[FILE] = (head(self.options, view.policy) + "\n".join(backends)).encode()
        return files

    def read(self, files: Files) -> Read:
        """The shares that requests are drawn by. Raises FeedError where a file says anything else beside."""
        try:
            standing = self._backends(files[FILE].decode(), STANDBYS in files)
            told = maps.read_routes(files[ROUTES])
        except (KeyError, ValueError) as error:
            raise FeedError((f"no configuration of this feed: {error}; render it again",)) from error
        sent = {(site, cls[1]) for cls, (_, shares) in told.items() for site in shares}
        if missing := sorted(sent - standing):
            raise FeedError(tuple(f"{ROUTES}: sends to {backend(*where)}, which has no backend" for where in missing))
        found: dict[Fact, dict[Key, Any]] = {SHARES: {}, UNSERVED: {}}
        for cls, (unserved, shares) in told.items():
            if unserved and shares:
                found[UNSERVED][cls] = Fraction(unserved, BILLION)
            found[SHARES].update({(*cls, site): Fraction(share, BILLION - unserved) for site, share in shares.items()})
        return found

    def _backends(self, text: str, priority: bool) -> set[tuple[str, str]]:
        """The places that have a backend; nothing else may stand in the file but what the options make."""
        expected = head(self.options, "priority" if priority else None)
        if not text.startswith(expected):
            raise ValueError(f"{FILE} does not begin as these options make it")
        found, at = set(), len(expected)
        while at < len(text):
            match = _BACKEND.match(text, at)
            if match is None:
                raise ValueError(f"{FILE}: {text[at : at + 60]!r} is no backend of ours")
            found.add(place(match[1]))
            at = match.end()
        return found


def _places(view: View) -> list[tuple[str, str]]:
    """Where requests go, or may go in a failure, and where replicas stand: the same in every failure."""
    moved = [route for rows in view.backups.values() for route in rows]
    routed = {(route.site, route.model) for route in (*view.routes, *moved)}
    standing = {(row.site, view.shapes[row.shape].model) for row in view.replicas}
    return sorted(routed | {place for place in standing if view.addresses.of(*place)})


def _backend(site: str, model: str, addresses: tuple[Address, ...]) -> str:
    lines = [f"    server a{j} {_spelt(address)}\n" for j, address in enumerate(addresses, start=1)]
    return f"backend {backend(site, model)} from nearserve\n" + "".join(lines)


def _spelt(address: Address) -> str:
    return f"[{address.host}]:{address.port}" if ":" in address.host else f"{address.host}:{address.port}"


def _untellable(view: View, options: HaproxyOptions) -> Iterator[str]:
    classes = {*view.classes, *view.by_class}
    for kind, j in (("region", 0), ("model", 1), ("service", 2)):
        for name in sorted({cls[j] for cls in classes}):
            if not is_key(name):
                yield f"{kind} {name!r}: HAProxy's maps hold no blanks, bars or letters beyond ASCII; rename it"
    orders = preferences(view) if view.policy == "priority" else {}
    sites = {cls: max(len(view.by_class.get(cls, ())), len(orders.get(cls, ()))) for cls in sorted(classes)}
    many = [cls for cls, count in sites.items() if count > options.most_sites]
    if many:
        worst = max(many, key=lambda cls: sites[cls])
        more = f", and {len(many) - 1} other classes by more than {options.most_sites}" if len(many) > 1 else ""
        told = f"{'/'.join(worst)} is served by {sites[worst]} sites{more}"
        yield f"{told}; set most_sites = {sites[worst]} in the table [haproxy]"


def _unreachable(view: View, options: HaproxyOptions, places: list[tuple[str, str]]) -> Iterator[str]:
    for site, model in places:
        addresses = view.addresses.of(site, model)
        if not addresses:
            yield f"{site} has no address for {model}; name one in the table of addresses"
        for address in addresses:
            if not is_ip(address.host) and options.resolvers is None:
                told = f"{address.host}, where {site} serves {model}, is a name, and HAProxy asks nobody for it"
                yield f"{told}; give its IP address, or the name of a section `resolvers` of yours"
