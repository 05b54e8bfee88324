"""Where sites take requests: a table that operators keep beside the scenario (docs/feeds.md).

site,model,host,port
fra,,192.0.2.10,8000
fra,m8,192.0.2.11,8000

An empty model, or no such column, is every model that has no line of its own. Several lines of one place are several
addresses.
"""

import re
from collections import defaultdict
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path

from placement.feeds.view import Address, Addresses
from placement.frames import texts
from placement.scenario import Finding, Scenario
from placement.scenario.findings import in_order, nearest, shortened
from placement.scenario.reading import Raw, read_table

NEEDED = ("site", "host", "port")
KNOWN = ("site", "model", "host", "port", "note")
_LABEL = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)")


class AddressesError(ValueError):
    """A table of addresses that cannot be used; `findings` holds everything that is wrong with it."""

    def __init__(self, findings: tuple[Finding, ...]) -> None:
        super().__init__("\n".join(map(str, findings)))
        self.findings = findings


def read_addresses(path: Path, scenario: Scenario | None = None) -> Addresses:
    """The table of addresses, in CSV or Parquet; with a scenario its names of sites and models are checked too.

    Raises:
        AddressesError: it cannot be read, or lines of it are wrong: all of them, with file, row, column and value.
    """
    raw, found = read_table(path, path.name)
    if raw is not None:
        found += _columns(raw)
    if raw is None or any(finding.severity == "error" for finding in found):
        raise AddressesError(in_order(found))
    places: dict[tuple[str, str], dict[Address, int]] = defaultdict(dict)
    known = None if scenario is None else (texts(scenario.table("sites"), "site"), _models(scenario))
    for row in range(len(raw.lines)):
        found += _read(raw, row, places, known)
    if found:
        raise AddressesError(in_order(found))
    return Addresses({place: tuple(sorted(places[place])) for place in sorted(places)})


def _models(scenario: Scenario) -> list[str]:
    return sorted({*texts(scenario.table("models"), "model"), *texts(scenario.table("shapes"), "model")})


def _columns(raw: Raw) -> list[Finding]:
    missing = [
        Finding("missing-column", raw.file, f"the column {name!r} is missing", f"Columns: {', '.join(KNOWN)}.", 1, name)
        for name in NEEDED
        if name not in raw.columns
    ]
    strange = [
        Finding("unknown-column", raw.file, "no such column", nearest(name, KNOWN), 1, shortened(name))
        for name in raw.columns
        if name not in KNOWN
    ]
    return missing + strange


def _read(
    raw: Raw,
    row: int,
    places: dict[tuple[str, str], dict[Address, int]],
    known: tuple[list[str], list[str]] | None,
) -> list[Finding]:
    """One line into `places`, or what is wrong with it."""
    cells = {name: raw.columns[name][row] if name in raw.columns else "" for name in ("site", "model", "host", "port")}
    line = raw.lines[row]
    found = [
        Finding(rule, raw.file, message, mend, line, column, shortened(cells[column]))
        for rule, column, message, mend in _wrong(cells, known)
    ]
    if found:
        return found
    address = Address(_canonical(cells["host"]), int(cells["port"]))
    before = places[cells["site"], cells["model"]].setdefault(address, line)
    if before != line:
        message = f"line {before} says the same address of the same place"
        return [Finding("duplicate", raw.file, message, "Remove one of them.", line, "host", shortened(cells["host"]))]
    return []


def _wrong(cells: dict[str, str], known: tuple[list[str], list[str]] | None) -> Iterator[tuple[str, str, str, str]]:
    """(rule, column, message, mend) of everything that is wrong with a line."""
    if not cells["site"]:
        yield "missing-value", "site", "no site is named", "Write the name of a site of the scenario."
    elif known is not None and cells["site"] not in set(known[0]):
        yield "unknown-name", "site", "the scenario has no such site", nearest(cells["site"], known[0])
    if cells["model"] and known is not None and cells["model"] not in set(known[1]):
        mend = f"{nearest(cells['model'], known[1])} Leave it empty for every model."
        yield "unknown-name", "model", "the scenario has no such model", mend
    if not is_host(cells["host"]):
        yield (
            "bad-value",
            "host",
            "neither an IP address nor a name",
            "Write it as 192.0.2.10, 2001:db8::1 or a.example.",
        )
    if not (cells["port"].isascii() and cells["port"].isdecimal() and 0 < int(cells["port"][:9]) < 2**16):
        yield "bad-value", "port", "no port", "Write a whole number from 1 to 65535."


def is_ip(host: str) -> bool:
    """Whether a host is an address and not a name."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def is_host(text: str) -> bool:
    """Whether a text is an IP address or a name that DNS could know."""
    if is_ip(text):
        return "%" not in text
    labels = text.removesuffix(".").split(".")
    named = len(text) <= 253 and all(_LABEL.fullmatch(label) for label in labels)
    return named and not labels[-1].isdecimal()  # 192.0.2.300 is no name


def _canonical(host: str) -> str:
    return str(ip_address(host)) if is_ip(host) else host.lower().removesuffix(".")
