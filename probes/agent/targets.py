"""The list of targets: JSON Lines, one target a line, those that matter most first.

    {"name": "ams1", "host": "ams1.example.net", "methods": ["icmp", "tcp:443", "stamp"], "family": 4, "every": 1}

`name` is what records call the target. `host` is a name or an IP address. `methods` are those of the native record,
each with the port after a colon where it is not the method's own. `family` is 4 or 6; without it the target is
measured at the first address that its name has. `every` = 3 measures the target in every third round only. A target
that is to be measured over both families stands twice. Reader and writer stand here together, for both sides.
"""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import Field, field_validator

from probes.document import DocumentError, Part, validated
from probes.reading import BadRecord, shortened
from probes.record import METHODS
from probes.whole_file import write_whole
from probes.wire.ports import PORTS

MOST_BYTES: Final = 64 * 1024 * 1024
_HOST: Final = re.compile(
    r"[A-Za-z0-9_]([A-Za-z0-9_.-]{0,251}[A-Za-z0-9_.])?|[0-9A-Fa-f:.]{2,45}(%[A-Za-z0-9_.-]{1,15})?"
)


class Target(Part):
    """One target as the list has it; nothing is resolved yet."""

    name: Annotated[str, Field(min_length=1, max_length=200)]
    host: Annotated[str, Field(min_length=1, max_length=253)]
    methods: Annotated[tuple[str, ...], Field(min_length=1)]
    family: int | None = None
    every: Annotated[int, Field(ge=1, le=10_000)] = 1

    @field_validator("name")
    @classmethod
    def _printable(cls, name: str) -> str:
        if not name.isprintable() or name != name.strip():
            raise ValueError("holds blanks at an end or characters that cannot be shown; remove them")
        return name

    @field_validator("host")
    @classmethod
    def _host(cls, host: str) -> str:
        if not _HOST.fullmatch(host):
            raise ValueError("is neither a host name nor an IP address; no URL, no port, international names as xn--")
        return host

    @field_validator("methods")
    @classmethod
    def _methods(cls, methods: tuple[str, ...]) -> tuple[str, ...]:
        names = [_method(text)[0] for text in methods]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"{twice[0]} stands twice; records could not be told apart: give a second target a name")
        return methods

    @field_validator("family")
    @classmethod
    def _family(cls, family: int | None) -> int | None:
        if family not in (4, 6, None):
            raise ValueError("must be 4 or 6; leave it out where either will do")
        return family

    @property
    def ports(self) -> dict[str, int | None]:
        """The port of each method of this target, None for icmp."""
        return dict(map(_method, self.methods))


def _method(text: str) -> tuple[str, int | None]:
    """The method and its port; ValueError where the text is no method[:port]."""
    name, colon, port = text.partition(":")
    if name not in METHODS:
        raise ValueError(f"{shortened(name)!r} is no method; use {', '.join(METHODS)}, each with :PORT where needed")
    if not colon:
        return name, PORTS.get(name)
    if name == "icmp" or not (port.isascii() and port.isdigit() and 0 < int(port[:6]) < 65_536):
        raise ValueError(f"{shortened(text)!r} has no port from 1 to 65535; icmp has none, the others as tcp:443")
    return name, int(port)


def read_targets(path: Path) -> list[Target]:
    """The targets of a file, in its order; raises DocumentError with every fault, OSError where it cannot be read."""
    if path.stat().st_size > MOST_BYTES:
        fault = BadRecord(
            str(path), 0, "size", f"{path.stat().st_size} bytes", "no list of targets is so long", "split it"
        )
        raise DocumentError([fault])
    targets, faults = parse_targets(path.read_bytes().splitlines(), str(path))
    if faults:
        raise DocumentError(faults)
    return targets


def parse_targets(lines: Iterable[bytes], file: str) -> tuple[list[Target], list[BadRecord]]:
    """The sound targets of the lines and every fault; blank lines are passed over."""
    targets: list[Target] = []
    rows: list[int] = []
    faults: list[BadRecord] = []
    for row, line in enumerate(lines, 1):
        if not line.strip():
            continue
        target, found = _target(line, file, row)
        faults += found
        if target is not None:
            targets.append(target)
            rows.append(row)
    return targets, faults + list(duplicates(targets, file, rows))


def duplicates(targets: Sequence[Target], file: str, rows: Sequence[int]) -> Iterator[BadRecord]:
    """A fault for each target whose records could not be told from those of one before it."""
    seen: dict[tuple[str, int | None], int] = {}
    for target, row in zip(targets, rows, strict=True):
        clash = [
            f for f in (4, 6, None) if (target.name, f) in seen and (f == target.family or None in (f, target.family))
        ]
        if clash:
            first = seen[target.name, clash[0]]
            mend = "give it a name of its own, or family 4 to one and 6 to the other"
            yield BadRecord(file, row, "name", target.name, f"stands already, as number {first}", mend)
        seen.setdefault((target.name, target.family), row)


def write_targets(path: Path, targets: Iterable[Target]) -> None:
    """Writes the list so that a reader sees the old or the new one, never half; OSError where it cannot."""
    text = "".join(json.dumps(_plain(target), ensure_ascii=False) + "\n" for target in targets)
    write_whole(path, text.encode(), durable=True)


def _target(line: bytes, file: str, row: int) -> tuple[Target | None, list[BadRecord]]:
    try:
        values = json.loads(line.decode())
    except (ValueError, RecursionError) as error:
        text = line[:80].decode(errors="replace")
        return None, [
            BadRecord(file, row, "line", shortened(text), f"is no JSON: {shortened(str(error))}", "one object a line")
        ]
    return validated(Target, values, file, row)


def _plain(target: Target) -> dict[str, Any]:
    """The keys that say something: defaults are left out."""
    return target.model_dump(mode="json", exclude_defaults=True)
