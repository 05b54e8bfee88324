"""Who belongs to which region, as far as the backend can tell: the table `clients`, and what a scenario says anyhow.

client,region
198.51.100.0/24,berlin      a network, at most /24 or /56: resolvers keep answers by such
2001:db8:1::/48,berlin
AS3320,berlin               an autonomous system
US-CA,west                  a subdivision of a country
US,east                     a country: what nothing above says of it
continent EU,berlin         what no country says

Everything but networks needs a GeoIP database. A region that asks for something and that the table does not name is
known by its asn, or else by its country.
"""

import csv
import io
import re
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import TypeAlias

from placement.feeds.view import View
from placement.scenario.findings import nearest

Network: TypeAlias = IPv4Network | IPv6Network

FORMATS = ("asn-%as", "subdivision-%cc-%re", "country-%cc", "continent-%cn")
"""In this order the backend looks for a client's place; what it knows is in lower case."""
FINEST = {4: 24, 6: 56}
_PLACES = (
    (re.compile(r"AS([0-9]{1,10})", re.IGNORECASE), "asn-{}"),
    (re.compile(r"([A-Z]{2}-[A-Z0-9]{1,3})", re.IGNORECASE), "subdivision-{}"),
    (re.compile(r"([A-Z]{2})", re.IGNORECASE), "country-{}"),
    (re.compile(r"continent ([A-Z]{2})", re.IGNORECASE), "continent-{}"),
)
_COLUMNS = ["client", "region"]
_SHOWN = 6


@dataclass(frozen=True)
class Clients:
    """Regions by network, and by place as FORMATS spell it; both sorted."""

    networks: Mapping[Network, str]
    places: Mapping[str, str]


def clients(path: Path | None, view: View, reasons: list[str]) -> Clients:
    """Who belongs to which region; what is wrong, and which regions cannot be told apart, goes to `reasons`."""
    networks: dict[Network, str] = {}
    places: dict[str, str] = {}
    claims: dict[Network | str, list[str]] = {}
    for where, client, region in [] if path is None else _rows(path, reasons):
        key = _key(client, where, reasons)
        if region not in view.regions:
            reasons.append(f"{where}: there is no region {region!r}. {nearest(region, list(view.regions))}")
        elif key is not None:
            claims.setdefault(key, []).append(region)
    named = {region for regions in claims.values() for region in regions}
    for name in sorted({key[0] for key in (*view.classes, *view.by_class)}):
        known = view.regions[name]
        if name not in named:
            key = f"asn-{known.asn}" if known.asn is not None else f"country-{known.country.lower()}"
            claims.setdefault(key, []).append(name)
    for key, regions in claims.items():
        apart = sorted(set(regions))
        if len(apart) > 1:
            names = ", ".join(apart[:_SHOWN]) + (f" and {len(apart) - _SHOWN} more" if len(apart) > _SHOWN else "")
            told = f"{names} are all known by {_spelt(key)}, so that GeoIP cannot tell them apart"
            reasons.append(f"{told}; give each its networks, subdivisions or autonomous systems in the table `clients`")
        elif isinstance(key, str):
            places[key] = apart[0]
        else:
            networks[key] = apart[0]
    order = sorted(networks, key=lambda net: (net.version, net))
    return Clients({net: networks[net] for net in order}, dict(sorted(places.items())))


def _rows(path: Path, reasons: list[str]) -> list[tuple[str, str, str]]:
    """(file and row, client, region) of every line."""
    try:
        lines = list(csv.reader(io.StringIO(path.read_text(encoding="utf-8-sig"), newline="")))
    except OSError as error:
        reasons.append(f"{path}: cannot be read: {error.strerror}; check `clients` in the table [powerdns]")
        return []
    except ValueError:
        reasons.append(f"{path}: is no text in UTF-8; write it as a CSV table")
        return []
    if not lines or [cell.strip() for cell in lines[0]] != _COLUMNS:
        reasons.append(f"{path}: row 1: the columns are not {','.join(_COLUMNS)}; write them so")
        return []
    found = []
    for number, line in enumerate(lines[1:], start=2):
        if len(line) == len(_COLUMNS):
            found.append((f"{path}: row {number}", line[0].strip(), line[1].strip()))
        elif line:
            reasons.append(f"{path}: row {number}: has {len(line)} cells; write client,region")
    return found


def _key(client: str, where: str, reasons: list[str]) -> Network | str | None:
    for pattern, spelling in _PLACES:
        if match := pattern.fullmatch(client):
            return spelling.format(match[1].lower())
    try:
        network = ip_network(client)
    except ValueError as error:
        reasons.append(f"{where}: client {client!r}: {error}; write a network, AS3320, US-CA, US or continent EU")
        return None
    finest = FINEST[network.version]
    if network.prefixlen > finest:
        told = f"is finer than /{finest}, by which resolvers keep answers, so that others would get them too"
        reasons.append(f"{where}: client {network} {told}; name {network.supernet(new_prefix=finest)} instead")
        return None
    return network


def _spelt(key: Network | str) -> str:
    if not isinstance(key, str):
        return f"the network {key}"
    kind, _, code = key.partition("-")
    return f"AS {code}" if kind == "asn" else f"the {kind} {code.upper()}"
