"""The wire: what is encoded comes back; a broken row is refused alone, a broken batch as a whole."""

import dataclasses
import gzip
import json
import math
import subprocess
import sys

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probes.record import Record
from probes.table import SCHEMA
from probes.transport import _KINDS, COLUMNS, BatchError, Limits, decode, encode, without

LIMITS = Limits()
HEAD = {"format": "nearserve-records", "version": 1, "agent": "fra1", "rows": 1, "columns": list(COLUMNS)}
SOUND = {
    "observed_at": 1_790_000_000_123_456_789, "source": "fra1", "target": "pop1", "method": "icmp", "agent": "fra1",
    "boot_id": "b", "seq": 7,
}  # fmt: skip
int64 = st.integers(-(2**63), 2**63 - 1)
number = st.floats(allow_nan=False, allow_infinity=False)
text = st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=50)
records = st.builds(
    Record, observed_at=int64, source=text, target=text, method=text, agent=st.just("fra1"),
    boot_id=st.text("abc-123", min_size=1, max_size=64), seq=int64, source_alias=st.none() | text,
    target_alias=st.none() | text, family=st.none() | st.integers(-128, 127), sent=st.none() | int64,
    received=st.none() | int64, rtt_ms=st.none() | st.lists(number, max_size=5).map(tuple),
    rtt_min_ms=st.none() | number, rtt_p50_ms=st.none() | number, rtt_p95_ms=st.none() | number,
    rtt_avg_ms=st.none() | number, rtt_std_ms=st.none() | number, rtt_max_ms=st.none() | number,
    mbps=st.none() | number, direction=st.none() | text, bytes=st.none() | int64, loaded=st.none() | st.booleans(),
    error=st.none() | text, clock_ok=st.none() | st.booleans(),
)  # fmt: skip
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**30), 10**30) | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


def packed(*lines: object, end: bytes = b"\n") -> bytes:
    return gzip.compress(b"\n".join(x if isinstance(x, bytes) else json.dumps(x).encode() for x in lines) + end)


def row(**changes: object) -> list[object]:
    return [(SOUND | changes).get(name) for name in COLUMNS]


def code(body: bytes, limits: Limits = LIMITS) -> str:
    with pytest.raises(BatchError) as caught:
        decode(body, limits)
    return caught.value.code


@settings(deadline=None, max_examples=200)
@given(st.lists(records, max_size=6), st.none() | st.floats(0.001, 1e6))
def test_what_is_encoded_comes_back_the_same(given_records: list[Record], next_in_s: float | None) -> None:
    body = encode(given_records, "fra1", next_in_s)
    batch = decode(body)
    assert batch.size == len(gzip.decompress(body))
    assert batch.records == tuple(given_records)
    assert batch.refused == () and batch.agent == "fra1" and batch.next_in_s == next_in_s


def test_the_same_records_give_the_same_bytes_in_gzip_that_others_read() -> None:
    record = Record(**SOUND, sent=3, received=1, rtt_ms=(1.5,))
    body = encode([record], "fra1")
    assert body == encode([record], "fra1")
    head, line, rest = gzip.decompress(body).split(b"\n")
    assert json.loads(head) == {**HEAD, "columns": ["observed_at", "source", "target", "method", "sent", "received",
                                                     "rtt_ms", "boot_id", "seq"]}  # fmt: skip
    assert json.loads(line) == [1_790_000_000_123_456_789, "fra1", "pop1", "icmp", 3, 1, [1.5], "b", 7]
    assert rest == b""


def test_every_column_of_the_schema_has_a_check_of_its_type() -> None:
    good = {pa.int64(): 5, pa.int8(): 4, pa.float64(): 1.5, pa.bool_(): True, pa.string(): "x"}
    for field in SCHEMA:
        if field.name == "agent":
            continue
        kind = pa.int64() if pa.types.is_timestamp(field.type) else field.type
        value = [1.5, 2] if pa.types.is_list(kind) else good[kind]
        check, _ = _KINDS[field.name]
        assert pa.array([check(value, Limits())], field.type)
        for other in ({"a": 1}, [None], ["x"], "x" * 5000, float("inf")):
            with pytest.raises((ValueError, OverflowError)):
                check(other, Limits())


@pytest.mark.parametrize(
    ("line", "field"),
    [
        (b"", "row"), (b"{}", "row"), (b"[1,2]", "row"), (b"nonsense", "row"), (b"\xff\xfe", "row"),
        (b"[" * 5000, "row"),
        (json.dumps(row()).replace('"fra1"', "NaN").encode(), "row"),
        (json.dumps(row()).encode()[:-1], "row"),
        (json.dumps(row(mbps=1e308)).replace("e+308", "e999").encode(), "mbps"),
        (row(seq=2**63), "seq"), (row(seq="7"), "seq"), (row(seq=7.0), "seq"), (row(seq=True), "seq"),
        (row(seq=None), "seq"),
        (row(boot_id=None), "boot_id"), (row(boot_id=""), "boot_id"), (row(boot_id="b" * 65), "boot_id"),
        (row(rtt_ms=[1, "2"]), "rtt_ms"), (row(rtt_ms=3.5), "rtt_ms"), (row(rtt_ms=[10**400]), "rtt_ms"),
        (row(rtt_ms=[[1.0]]), "rtt_ms"), (row(rtt_ms=[1.0] * 10_001), "rtt_ms"),
        (row(target="\0"), "target"), (row(target="t" * 1025), "target"), (row(target="\ud800"), "target"),
        (row(loaded=1), "loaded"), (row(family=200), "family"), (row(mbps="1"), "mbps"), (row(mbps=10**400), "mbps"),
    ],
)  # fmt: skip
def test_a_broken_row_is_refused_alone(line: object, field: str) -> None:
    good = row(seq=8)
    batch = decode(packed({**HEAD, "rows": 3}, good, line, good))
    assert [refusal.row for refusal in batch.refused] == [1]
    assert batch.refused[0].field == field and batch.refused[0].mend
    assert batch.rows == (0, 2) and [record.seq for record in batch.records] == [8, 8]


@pytest.mark.parametrize(
    "head",
    [
        {**HEAD, "agent": ""}, {**HEAD, "agent": "../x"}, {**HEAD, "agent": 5}, {**HEAD, "agent": "a" * 64},
        {**HEAD, "rows": 2}, {**HEAD, "rows": -1}, {**HEAD, "rows": True}, {**HEAD, "rows": 1.0},
        {**HEAD, "columns": "seq"}, {**HEAD, "columns": [5]}, {**HEAD, "columns": [*COLUMNS, "seq"]},
        {**HEAD, "next_in_s": -1}, {**HEAD, "next_in_s": float("nan")}, {**HEAD, "next_in_s": "60"},
        {**HEAD, "format": "x"},
        [], None, 5, b"", b"[" * 100_000,
    ],
)  # fmt: skip
def test_a_broken_head_refuses_the_batch(head: object) -> None:
    assert code(packed(head, row())) == "batch"


def test_a_newer_agent_is_told_apart_from_a_broken_one() -> None:
    assert code(packed({**HEAD, "version": 2}, row())) == "version"
    assert code(packed({**HEAD, "columns": [*COLUMNS, "colour"]}, [*row(), "blue"])) == "version"


def test_what_is_no_gzip_or_ends_early_or_goes_on_is_refused() -> None:
    body = packed(HEAD, row())
    for broken in (b"", b"x", body[:-1], body[:20], body + b"x", body + body, gzip.decompress(body),
                   packed(HEAD, row(), end=b""), gzip.compress(b"")):  # fmt: skip
        assert code(broken) == "batch"
    flipped = bytearray(body)
    flipped[len(body) // 2] ^= 1
    assert code(bytes(flipped)) == "batch"


def test_a_bomb_is_refused_without_unpacking_it() -> None:
    bomb = gzip.compress(bytes(200 << 20), 9)
    assert len(bomb) < 1 << 20
    script = (
        "import resource, sys\n"
        "from probes.transport import BatchError, decode\n"
        "body = sys.stdin.buffer.read()\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "try:\n    decode(body)\n"
        "except BatchError as error:\n    print(error.code)\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before, 'pyarrow' in sys.modules)\n"
    )
    said = subprocess.run([sys.executable, "-c", script], input=bomb, capture_output=True, check=True).stdout.decode()
    refused, rest = said.splitlines()
    grown_kb, loads_pyarrow = rest.split()
    assert refused == "too_large"
    assert int(grown_kb) < 40 << 10  # 8 MiB is the limit, and zlib may hold it twice while its buffer grows
    assert loads_pyarrow == "False"


def test_limits_of_rows_and_lines() -> None:
    body = encode([Record(**(SOUND | {"seq": seq})) for seq in range(3)], "fra1")
    assert code(body, Limits(rows=2)) == "too_large"
    assert code(body, Limits(line_bytes=20)) == "batch"
    assert code(body, Limits(unpacked_bytes=100)) == "too_large"


def test_values_that_no_record_may_hold_never_stop_the_sender() -> None:
    strange = Record(**SOUND, rtt_min_ms=math.nan, mbps=math.inf, error="\ud800", bytes=object())  # type: ignore[arg-type]
    batch = decode(encode([strange, Record(**SOUND)], "fra1"))
    assert batch.rows == (1,) and batch.refused[0].row == 0
    with pytest.raises(ValueError, match="ams1"):
        encode([Record(**SOUND)], "ams1")


def test_more_rows_can_be_refused_later() -> None:
    batch = decode(packed({**HEAD, "rows": 3}, row(), b"x", row()))
    more = without(batch, [dataclasses.replace(batch.refused[0], row=0)])
    assert more.rows == (2,) and [refusal.row for refusal in more.refused] == [0, 1] and len(more.records) == 1


@settings(deadline=None, max_examples=300)
@given(st.lists(st.binary(max_size=60) | json_values, max_size=4), json_values, st.integers(0, 4))
def test_no_lines_whatever_raise_anything_but_a_batch_error(lines: list[object], value: object, rows: int) -> None:
    head = {**HEAD, "rows": rows, "columns": ["seq", "boot_id", "mbps", "rtt_ms"]}
    for first in (head, {**head, "agent": value}, {**head, "columns": value}, value):
        try:
            batch = decode(packed(first, *lines))
        except BatchError:
            continue
        assert len(batch.records) + len(batch.refused) == rows


@settings(deadline=None, max_examples=300)
@given(st.binary(max_size=400), st.integers(0, 10**6), st.binary(max_size=3))
def test_no_bytes_whatever_raise_anything_but_a_batch_error(noise: bytes, place: int, patch: bytes) -> None:
    sound = encode([Record(**SOUND)], "fra1")
    place %= len(sound)
    for body in (noise, gzip.compress(noise), sound[:place] + patch + sound[place + len(patch) :]):
        try:
            decode(body)
        except BatchError as error:
            assert error.code in ("batch", "too_large", "version")
