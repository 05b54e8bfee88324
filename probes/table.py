"""Native records as a pyarrow Table: the schema, and the rules that a stored record keeps.

Apart from `probes.record`, so that an agent on a small host need not load pyarrow.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from probes.record import EARLIEST, LATEST, METHODS, REQUIRED, RTT_SUMMARIES, Record

SCHEMA: Final = pa.schema(
    [
        pa.field("observed_at", pa.timestamp("ns", tz="UTC"), nullable=False),
        pa.field("agent", pa.string()),
        pa.field("source", pa.string(), nullable=False),
        pa.field("target", pa.string(), nullable=False),
        pa.field("source_alias", pa.string()),
        pa.field("target_alias", pa.string()),
        pa.field("method", pa.string(), nullable=False),
        pa.field("family", pa.int8()),
        pa.field("sent", pa.int64()),
        pa.field("received", pa.int64()),
        pa.field("rtt_ms", pa.list_(pa.field("item", pa.float64()))),
        pa.field("rtt_min_ms", pa.float64()),
        pa.field("rtt_p50_ms", pa.float64()),
        pa.field("rtt_p95_ms", pa.float64()),
        pa.field("rtt_avg_ms", pa.float64()),
        pa.field("rtt_std_ms", pa.float64()),
        pa.field("rtt_max_ms", pa.float64()),
        pa.field("mbps", pa.float64()),
        pa.field("direction", pa.string()),
        pa.field("bytes", pa.int64()),
        pa.field("loaded", pa.bool_()),
        pa.field("error", pa.string()),
        pa.field("clock_ok", pa.bool_()),
        pa.field("boot_id", pa.string()),
        pa.field("seq", pa.int64()),
    ]
)
_LADDER: Final = (
    ("rtt_min_ms", "rtt_p50_ms"),
    ("rtt_p50_ms", "rtt_p95_ms"),
    ("rtt_p95_ms", "rtt_max_ms"),
    ("rtt_min_ms", "rtt_avg_ms"),
    ("rtt_avg_ms", "rtt_max_ms"),
    ("rtt_min_ms", "rtt_max_ms"),
)

# Tools print three digits, cut or rounded: an average may stand this far outside of its minimum and maximum.
ROUNDING_MS: Final = 0.002


@dataclass(frozen=True, slots=True)
class Fault:
    """A value that no native record may hold: row number from 0, column, the value as text, and the mend."""

    row: int
    field: str
    value: str
    mend: str


class RecordError(ValueError):
    """Records that break the rules of the native record; `faults` names every one of them."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = tuple(faults)
        lines = [f"row {f.row}, {f.field} = {f.value}: {f.mend}" for f in self.faults[:20]]
        more = len(self.faults) - len(lines)
        super().__init__("\n".join(lines + ([f"and {more} more"] if more else [])))


def unchecked_table(records: Iterable[Record]) -> Any:
    """A pyarrow Table of `SCHEMA`, not validated; pyarrow.ArrowInvalid or OverflowError where a type is wrong."""
    rows = list(records)
    columns = {field.name: [getattr(row, field.name) for row in rows] for field in fields(Record)}
    return pa.table([pa.array(columns[field.name], field.type) for field in SCHEMA], schema=SCHEMA)


def to_table(records: Iterable[Record]) -> Any:
    """A pyarrow Table of `SCHEMA`; raises RecordError that names every value outside its range."""
    table = unchecked_table(records)
    found = faults(table)
    if found:
        raise RecordError(found)
    return table


def empty_table() -> Any:
    """A Table of `SCHEMA` without rows."""
    return SCHEMA.empty_table()


def faults(table: Any) -> list[Fault]:
    """Every value of a Table of `SCHEMA` that the record does not allow, in order of rows; [] when it is sound."""
    found = [
        Fault(row, name, str(table.column(name)[row].as_py()), mend)
        for name, bad, mend in _rules(table)
        for row in _rows(bad)
    ]
    return sorted(found, key=lambda fault: fault.row)


def _rows(bad: Any) -> list[int]:
    return pc.indices_nonzero(pc.fill_null(bad, False)).to_pylist()  # type: ignore[no-any-return]


def _rules(table: Any) -> Iterator[tuple[str, Any, str]]:
    """(column, boolean array that is true where the row breaks the rule, mend), one for each rule."""
    yield from _identity_rules(table)
    yield from _count_rules(table)
    yield from _rtt_rules(table)
    yield from _throughput_rules(table)


def _identity_rules(table: Any) -> Iterator[tuple[str, Any, str]]:
    for name in REQUIRED:
        yield name, pc.is_null(table[name]), "must be given"
    time = table["observed_at"]
    stamp = time.type
    outside = pc.or_(pc.less(time, pa.scalar(EARLIEST, stamp)), pc.greater(time, pa.scalar(LATEST, stamp)))
    yield "observed_at", outside, "must lie between 1990 and 2200: is the unit right, was the clock set?"
    method = table["method"]
    known = pc.or_(pc.is_in(method, pa.array(METHODS)), pc.match_substring_regex(method, "^imported:.+"))
    yield "method", pc.invert(known), f"must be one of {', '.join(METHODS)} or imported:<tool>"
    yield "family", pc.invert(pc.is_in(table["family"], pa.array([4, 6, None], pa.int8()))), "must be 4 or 6, or empty"
    yield "seq", pc.less(table["seq"], 0), "must not be negative"


def _count_rules(table: Any) -> Iterator[tuple[str, Any, str]]:
    sent, received = table["sent"], table["received"]
    yield "sent", pc.less(sent, 0), "must not be negative; leave it empty when it is not known"
    yield "received", pc.less(received, 0), "must not be negative; leave it empty when it is not known"
    yield "received", pc.greater(received, sent), "must not exceed sent: duplicates and late answers do not count"
    yield "received", pc.and_(pc.is_valid(sent), pc.is_null(received)), "must be given where sent is"
    said = [pc.is_valid(table[name]) for name in ("sent", "received", "rtt_ms", *RTT_SUMMARIES, "mbps", "error")]
    yield "rtt_ms", pc.invert(_any(said)), "a record must hold a time, a rate, a count or an error"


def _rtt_rules(table: Any) -> Iterator[tuple[str, Any, str]]:
    received = table["received"]
    for name in RTT_SUMMARIES:
        yield name, _not_positive(table[name]), "must be above 0 and finite; leave it empty when it is not known"
        yield name, pc.and_(pc.is_valid(table[name]), pc.equal(received, 0)), "must be empty: nothing was received"
    spread = table["rtt_std_ms"]
    yield "rtt_std_ms", pc.or_(pc.invert(pc.is_finite(spread)), pc.less(spread, 0)), "must be finite, not negative"
    for low, high in _LADDER:
        above = pc.greater(table[low], pc.add(table[high], ROUNDING_MS))
        yield low, above, f"must not exceed {high}"
    samples = table["rtt_ms"].combine_chunks()
    lengths = pc.list_value_length(samples)
    yield "rtt_ms", pc.equal(lengths, 0), "must be empty (null) when no answer has a time, not a list of nothing"
    yield "rtt_ms", pc.and_(pc.is_valid(samples), pc.is_null(received)), "received must be given where samples are"
    yield "rtt_ms", pc.greater(lengths, received), "must not hold more samples than received"
    yield "rtt_ms", _holds_bad_sample(samples), "every sample must be above 0 and finite: a lost packet is left out"


def _holds_bad_sample(samples: Any) -> Any:
    flat = pc.list_flatten(samples)
    parents = pc.list_parent_indices(samples)
    bad = pc.or_kleene(pc.is_null(flat), pc.fill_null(_not_positive(flat), False))
    if not pc.any(bad).as_py():
        return pa.scalar(False)
    return pc.is_in(pa.array(range(len(samples)), parents.type), pc.filter(parents, bad))


def _throughput_rules(table: Any) -> Iterator[tuple[str, Any, str]]:
    mbps, direction = table["mbps"], table["direction"]
    yield "mbps", _not_positive(mbps), "must be above 0 and finite; leave it empty when nothing was transferred"
    yield "direction", pc.invert(pc.is_in(direction, pa.array(["up", "down", None]))), "must be up, down or empty"
    yield "direction", pc.and_(pc.is_valid(mbps), pc.is_null(direction)), "must be up or down where mbps is given"
    yield "bytes", pc.less(table["bytes"], 0), "must not be negative"


def _not_positive(values: Any) -> Any:
    return pc.or_(pc.invert(pc.is_finite(values)), pc.less_equal(values, 0))


def _any(masks: Sequence[Any]) -> Any:
    total = masks[0]
    for mask in masks[1:]:
        total = pc.or_(total, mask)
    return total
