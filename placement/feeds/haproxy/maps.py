"""The maps: a line for each class, and for each network of clients."""

import csv
import io
from collections.abc import Mapping
from ipaddress import ip_network
from pathlib import Path

from placement.feeds.haproxy.names import backend, is_key, place
from placement.feeds.haproxy.rules import ROUTES
from placement.feeds.order import preferences
from placement.feeds.view import BILLION, Class, View
from placement.scenario.findings import nearest


def key(cls: Class) -> str:
    """A class as maps know it."""
    return "|".join(cls)


def routes(view: View) -> bytes:
    """A line for every class that asks for something; one that is not served at all is unserved in full."""
    lines = []
    for cls in sorted({*view.classes, *view.by_class}):
        sites = view.by_class.get(cls, {})
        parts = [f"{backend(site, cls[1])}/{share}" for site, share in sites.items()]
        lines.append(f"{key(cls)} {'/'.join([str(BILLION - sum(sites.values())), *parts])}\n")
    return "".join(lines).encode()


def standbys(view: View, most: int) -> bytes:
    """A line for every class that others stand in for, in the order of preference."""
    lines = [
        f"{key(cls)} {'/'.join(backend(site, cls[1]) for site in sites[:most])}\n"
        for cls, sites in preferences(view).items()
        if sites
    ]
    return "".join(lines).encode()


def read_routes(content: bytes) -> Mapping[Class, tuple[int, Mapping[str, int]]]:
    """What is unserved of each class and what goes to each site, ppb. Raises ValueError, with the line."""
    found: dict[Class, tuple[int, Mapping[str, int]]] = {}
    for number, line in enumerate(content.decode().splitlines(), start=1):
        try:
            name, _, row = line.partition(" ")
            region, model, service = name.split("|")
            unserved, *parts = row.split("/")
            shares = {}
            for there, share in zip(parts[::2], parts[1::2], strict=True):
                site, its_model = place(there)
                if its_model != model or site in shares or int(share) <= 0:
                    raise ValueError(f"{there} has {share}")  # noqa: TRY301
                shares[site] = int(share)
            if int(unserved) + sum(shares.values()) != BILLION or int(unserved) < 0:
                raise ValueError(f"{int(unserved) + sum(shares.values())} ppb, and not 10^9")  # noqa: TRY301
            if found.setdefault((region, model, service), (int(unserved), shares))[1] is not shares:
                raise ValueError("a line above is of the same class")  # noqa: TRY301
        except ValueError as error:
            raise ValueError(f"{ROUTES}: row {number}: {error}") from error
    return found


def regions(path: Path, view: View, reasons: list[str]) -> bytes:
    """A line for each network of the table `clients`; what is wrong with it goes to `reasons`."""
    try:
        rows = list(csv.reader(io.StringIO(path.read_text(encoding="utf-8-sig"), newline="")))
    except (OSError, ValueError) as error:
        reasons.append(f"{path}: cannot be read: {error}; check `clients` in the table [haproxy]")
        return b""
    if not rows or [cell.strip() for cell in rows[0]] != ["client", "region"]:
        reasons.append(f"{path}: row 1: the columns are not client,region; write them so")
        return b""
    found: dict[str, str] = {}
    for number, row in enumerate(rows[1:], start=2):
        client, region = (*map(str.strip, row), "", "")[:2]
        try:
            network = str(ip_network(client))
        except ValueError as error:
            reasons.append(f"{path}: row {number}: client {client!r}: {error}; write a network as 198.51.100.0/24")
            continue
        if len(row) != 2 or region not in view.regions:
            reasons.append(f"{path}: row {number}: no region {region!r}. {nearest(region, list(view.regions))}")
        elif found.setdefault(network, region) != region:
            reasons.append(f"{path}: row {number}: {network} is of {found[network]} in a row above; keep one of them")
    return "".join(f"{network} {found[network]}\n" for network in sorted(found) if is_key(found[network])).encode()
