"""What goes over the wire from an agent to the collector: gzip of JSON lines, one batch a request.

Line 1 is the head: format, version, the agent, the number of rows, the names of the columns, and by when the agent
means to send again. Every further line is one record, a JSON array in the order of those columns; null is not known.
Columns that are null in the whole batch are left out. Text is ASCII with JSON's escapes.

A batch as such that is broken raises BatchError. A row that is broken is refused alone, so that it never holds up the
rows behind it. Types and sizes are checked here; the rules of the native record are the collector's to check, since
they need pyarrow and an agent on a small host does not load it.
"""

import json
import math
import re
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Final, NoReturn

from probes.reading import shortened
from probes.record import Record

FORMAT: Final = "nearserve-records"
VERSION: Final = 1
MEDIA_TYPE: Final = "application/vnd.nearserve.records+gzip"
PATH: Final = "/v1/records"
COLUMNS: Final = tuple(field.name for field in fields(Record) if field.name != "agent")
AGENT_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_GZIP: Final = 16 + zlib.MAX_WBITS
_INT64: Final = (-(2**63), 2**63 - 1)
_LONGEST_PAUSE_S: Final = 366 * 86_400


@dataclass(frozen=True, slots=True)
class Limits:
    """The largest batch that is read; beyond it BatchError "too_large", or a refused row for text and samples."""

    unpacked_bytes: int = 8 << 20
    rows: int = 10_000
    line_bytes: int = 256 << 10
    text_characters: int = 1024
    samples: int = 10_000


class BatchError(ValueError):
    """A batch that cannot be read at all. `code`: `batch` broken, `too_large`, or `version` of a newer agent."""

    def __init__(self, code: str, message: str) -> None:
        self.code = code
        super().__init__(message)


@dataclass(frozen=True, slots=True)
class Refusal:
    """A row that is not taken: its number in the batch from 0, the field (or "row"), its value shortened, the mend."""

    row: int
    field: str
    value: str
    mend: str


@dataclass(frozen=True, slots=True)
class Batch:
    """What a request held. `rows[i]` is the number in the batch of `records[i]`; the refused rows have the others.

    `next_in_s`: the agent means to send again within so many seconds, None where it does not say. `size`: bytes when
    unpacked, so that the reader can tell what a batch costs.
    """

    agent: str
    rows: tuple[int, ...]
    records: tuple[Record, ...]
    refused: tuple[Refusal, ...]
    next_in_s: float | None = None
    size: int = 0


def encode(records: Sequence[Record], agent: str, next_in_s: float | None = None) -> bytes:
    """The body of a request; without records it says that the agent is alive. The same records give the same bytes.

    Raises ValueError when a record is another agent's. Values that no record may hold are written as they are: it is
    for the collector to refuse the row.
    """
    foreign = {record.agent for record in records} - {agent}
    if foreign:
        raise ValueError(f"records of {', '.join(map(repr, foreign))} in a batch of {agent!r}")
    columns = [name for name in COLUMNS if any(getattr(record, name) is not None for record in records)]
    head: dict[str, Any] = {"format": FORMAT, "version": VERSION, "agent": agent, "rows": len(records)}
    head |= {"columns": columns} | ({} if next_in_s is None else {"next_in_s": next_in_s})
    lines = [_json(head), *(_json([getattr(record, name) for name in columns]) for record in records), ""]
    packer = zlib.compressobj(6, zlib.DEFLATED, _GZIP)
    return packer.compress("\n".join(lines).encode("ascii")) + packer.flush()


def decode(body: bytes, limits: Limits = Limits()) -> Batch:
    """The batch in a request's body; raises BatchError and nothing else, whatever the bytes are."""
    text = _unpacked(body, limits)
    lines = text.split(b"\n")
    if lines.pop() != b"":
        raise BatchError("batch", "the last line does not end")
    if not lines:
        raise BatchError("batch", "there is no head")
    agent, columns, count, next_in_s = _head(_value(lines[0], limits))
    if count > limits.rows:
        raise BatchError("too_large", f"{_shown(count)} rows; at most {limits.rows} at once")
    if count != len(lines) - 1:
        raise BatchError("batch", f"{len(lines) - 1} rows, but the head says {_shown(count)}")
    refused: dict[int, Refusal] = {}
    rows = [_row(number, line, columns, limits, refused) for number, line in enumerate(lines[1:])]
    _check(columns, rows, limits, refused)
    sound = [number for number in range(count) if number not in refused]
    records = tuple(Record(agent=agent, **dict(zip(columns, rows[number], strict=True))) for number in sound)
    refusals = tuple(refused[number] for number in sorted(refused))
    return Batch(agent, tuple(sound), records, refusals, next_in_s, len(text))


def without(batch: Batch, refused: Iterable[Refusal]) -> Batch:
    """The batch with more of its rows refused."""
    more = {refusal.row: refusal for refusal in refused}
    kept = [(row, record) for row, record in zip(batch.rows, batch.records, strict=True) if row not in more]
    everything = sorted((*batch.refused, *more.values()), key=lambda refusal: refusal.row)
    return replace(batch, rows=tuple(r for r, _ in kept), records=tuple(r for _, r in kept), refused=tuple(everything))


def _json(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), default=str)


def _no_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is no JSON number")


def _shown(value: object) -> str:
    try:
        return shortened(value)
    except RecursionError:  # lists in lists, just short of what the JSON reader itself refuses
        return type(value).__name__


_DECODER: Final = json.JSONDecoder(parse_constant=_no_constant)


def _unpacked(body: bytes, limits: Limits) -> bytes:
    unpacker = zlib.decompressobj(_GZIP)
    try:
        text = unpacker.decompress(body, limits.unpacked_bytes + 1)
    except zlib.error as error:
        raise BatchError("batch", f"not gzip: {error}") from error
    if len(text) > limits.unpacked_bytes:
        raise BatchError("too_large", f"more than {limits.unpacked_bytes} bytes when unpacked")
    if not unpacker.eof:
        raise BatchError("batch", "the gzip stream ends early")
    if unpacker.unused_data:
        raise BatchError("batch", "bytes behind the gzip stream")
    return text


def _value(line: bytes, limits: Limits) -> Any:
    """The JSON value of a line; BatchError where it is none."""
    if len(line) > limits.line_bytes:
        raise BatchError("batch", f"a line of {len(line)} bytes; at most {limits.line_bytes}")
    try:
        return _DECODER.decode(line.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise BatchError("batch", f"not JSON: {shortened(str(error))}") from error


def _head(value: Any) -> tuple[str, tuple[str, ...], int, float | None]:
    """(agent, columns, rows, next_in_s) of the first line."""
    if not isinstance(value, dict) or value.get("format") != FORMAT:
        raise BatchError("batch", f"the head is not that of {FORMAT}")
    version = value.get("version")
    if type(version) is not int or version != VERSION:
        raise BatchError("version", f"version {_shown(version)}, and this collector reads {VERSION}: renew it first")
    agent, columns, count = value.get("agent"), value.get("columns"), value.get("rows")
    if not isinstance(agent, str) or not AGENT_NAME.fullmatch(agent):
        raise BatchError("batch", f"{_shown(agent)} is no name of an agent: letters, digits, . _ -, at most 63")
    if type(count) is not int or count < 0:
        raise BatchError("batch", f"rows = {_shown(count)} is no number of rows")
    if not isinstance(columns, list) or not all(isinstance(name, str) for name in columns):
        raise BatchError("batch", "columns must be a list of names")
    unknown = [name for name in columns if name not in COLUMNS]
    if unknown or len(set(columns)) != len(columns):
        code = "version" if unknown else "batch"
        raise BatchError(code, f"columns unknown to this collector or given twice: {_shown(unknown or columns)}")
    return agent, tuple(columns), count, _pause(value.get("next_in_s"))


def _pause(value: Any) -> float | None:
    if value is None:
        return None
    if type(value) not in (int, float) or not 0 < value < _LONGEST_PAUSE_S:
        raise BatchError("batch", f"next_in_s = {_shown(value)} is no time to wait")
    return float(value)


def _row(number: int, line: bytes, columns: Sequence[str], limits: Limits, refused: dict[int, Refusal]) -> list[Any]:
    """The values of one line; a line that is none gives nulls and a refusal."""
    try:
        values = _value(line, limits)
        mend = f"must be an array of {len(columns)} values"
    except BatchError as error:
        values, mend = None, shortened(str(error), 200)
    if type(values) is list and len(values) == len(columns):
        return values
    refused[number] = Refusal(number, "row", shortened(line[:80].decode("utf-8", "replace")), mend)
    return [None] * len(columns)


def _check(columns: Sequence[str], rows: list[list[Any]], limits: Limits, refused: dict[int, Refusal]) -> None:
    """Refuses the rows with a value of a wrong type or size; turns whole numbers in the place of times into floats."""
    for place, name in enumerate(columns):
        kind, mend = _KINDS[name]
        for number, values in enumerate(rows):
            value = values[place]
            if value is None or number in refused:
                continue
            try:
                values[place] = kind(value, limits)
            except (ValueError, OverflowError):
                refused[number] = Refusal(number, name, _shown(value), mend)
    for name in ("boot_id", "seq"):
        given = columns.index(name) if name in columns else None
        for number, values in enumerate(rows):
            if number not in refused and (given is None or values[given] is None):
                refused[number] = Refusal(number, name, "", "must be given: it is part of the record's key")


def _whole(value: Any, _limits: Limits) -> int:
    if type(value) is not int or not _INT64[0] <= value <= _INT64[1]:
        raise ValueError
    return value


def _small(value: Any, _limits: Limits) -> int:
    if type(value) is not int or not -128 <= value <= 127:
        raise ValueError
    return value


def _number(value: Any, _limits: Limits) -> float:
    if type(value) is float and math.isfinite(value):
        return value
    if type(value) is not int:
        raise ValueError
    return float(value)


def _truth(value: Any, _limits: Limits) -> bool:
    if type(value) is not bool:
        raise ValueError
    return value


def _text(value: Any, limits: Limits) -> str:
    if type(value) is not str or len(value) > limits.text_characters or "\0" in value:
        raise ValueError
    if not value.isascii():
        value.encode()  # UnicodeEncodeError, a ValueError, for half of a surrogate pair
    return value


def _key_text(value: Any, limits: Limits) -> str:
    if not 0 < len(_text(value, limits)) <= 64:
        raise ValueError
    return str(value)


def _samples(value: Any, limits: Limits) -> tuple[float, ...]:
    if type(value) is not list or len(value) > limits.samples:
        raise ValueError
    return tuple([_number(sample, limits) for sample in value])


_KINDS: Final[dict[str, tuple[Callable[[Any, Limits], Any], str]]] = {
    name: check
    for check, names in (
        ((_whole, "must be a whole number of at most 64 bits"), ("observed_at", "sent", "received", "bytes", "seq")),
        ((_small, "must be 4 or 6, or null"), ("family",)),
        ((_samples, "must be a list of finite numbers, not too long"), ("rtt_ms",)),
        ((_truth, "must be true or false"), ("loaded", "clock_ok")),
        ((_key_text, "must be text of 1 to 64 characters"), ("boot_id",)),
        (
            (_text, "must be text, not too long, without NUL and half surrogates"),
            ("source", "target", "source_alias", "target_alias", "method", "direction", "error"),
        ),
        (
            (_number, "must be a finite number"),
            ("rtt_min_ms", "rtt_p50_ms", "rtt_p95_ms", "rtt_avg_ms", "rtt_std_ms", "rtt_max_ms", "mbps"),
        ),
    )
    for name in names
}
