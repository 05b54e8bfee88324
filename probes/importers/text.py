"""Bytes to text as tools and shells write it, and numbers as they print them; neither ever fails on odd input."""

import codecs
import io
import ipaddress
import math
import re
from datetime import datetime
from typing import BinaryIO, Final

from probes.record import utc_ns

_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),  # what a redirection in PowerShell writes
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_ISO_TIME: Final = re.compile(
    r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:[.,](\d{1,9})\d*)?\s?(Z|UTC|[+-]\d\d:?\d\d)?", re.IGNORECASE
)


def text_of(stream: BinaryIO) -> io.TextIOWrapper:
    """The stream as text: UTF-8 unless a byte order mark says UTF-16, any line ends; needs a seekable stream.

    Bytes that are no UTF-8 stay as lone surrogates, so that a name that holds them is refused and not renamed.
    """
    head = stream.read(4)
    stream.seek(0)
    encoding = next((name for mark, name in _MARKS if head.startswith(mark)), "utf-8")
    errors = "replace" if encoding == "utf-16" else "surrogateescape"
    return io.TextIOWrapper(stream, encoding=encoding, errors=errors, newline=None)


def number(value: object) -> float | None:
    """A finite float of a JSON number or of a string that holds one; None for anything else, NaN and infinity too."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    if isinstance(value, str) and not value.isascii():
        return None
    try:
        figure = float(value)
    except (ValueError, OverflowError):
        return None
    return figure if math.isfinite(figure) else None


def whole(value: object) -> int | None:
    """An int of a JSON number or numeric string without a fraction; None for anything else."""
    figure = number(value)
    return int(figure) if figure is not None and figure.is_integer() and abs(figure) < 2**62 else None


def words(value: object) -> str:
    """The stripped text of a JSON string or number; "" for anything else."""
    if isinstance(value, str):
        return value.strip()
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else ""


def iso_time(value: object) -> tuple[int, bool] | None:
    """(nanoseconds since 1970 UTC, whether the text names its zone) of a date and time in ISO 8601 or RFC 3339.

    Without a zone it is taken as UTC. All nine digits of a fraction count, which `datetime` cuts to six.
    """
    match = _ISO_TIME.fullmatch(value.strip()) if isinstance(value, str) and value.isascii() else None
    if match is None:
        return None
    zone = (match[4] or "Z").upper().replace("UTC", "Z")
    try:
        seconds = utc_ns(datetime.fromisoformat(f"{match[1]}T{match[2]}{zone}"))
    except (ValueError, OverflowError):
        return None
    return seconds + int((match[3] or "0").ljust(9, "0")), match[4] is not None


def family_of(address: str) -> int | None:
    """4 or 6 for an IP address (with or without a zone), None for a name."""
    try:
        return ipaddress.ip_address(address.partition("%")[0]).version
    except ValueError:
        return None


def plain_address(address: str) -> str:
    """An IPv4 address without the IPv6 prefix that a dual-stack socket shows."""
    return address.removeprefix("::ffff:") if "." in address else address


def same_address(one: str, other: str) -> bool:
    """Whether two texts are the same IP address, however it is written."""
    try:
        return ipaddress.ip_address(one) == ipaddress.ip_address(other)
    except ValueError:
        return False
