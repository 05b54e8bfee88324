"""Whatever is done to the files, the audit answers with violations and never with a traceback."""

import json
from typing import Any

import pyarrow as pa
import pytest
from audit_world import ROUTES, pairs, plan, routes_table, scenario, write
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from placement.audit import audit

SLOW = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**40), 10**40),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=5),
    st.just([]),
    st.just({}),
    st.just([[{}]]),
    st.just({"": [None]}),
)


def places(value: Any, way: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The way to every value within a JSON value."""
    found = [way] if way else []
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, inner in items:
        found += places(inner, (*way, step))
    return found


@SLOW
@given(data=st.data())
def test_any_value_anywhere_in_plan_json_is_judged_and_never_raises(data, tmp_path):
    document = plan()
    for _ in range(data.draw(st.integers(1, 3))):
        way = data.draw(st.sampled_from(places(document)))
        place: Any = document
        for step in way[:-1]:
            place = place[step]
        if data.draw(st.booleans()):
            place[way[-1]] = data.draw(ODD)
        else:
            del place[way[-1]]
    report = audit(write(tmp_path / "plan", document), scenario(), pairs())
    assert report.passed == (not report.violations)


@SLOW
@given(position=st.integers(0, 10**6), byte=st.integers(0, 255), name=st.sampled_from(["plan.json", "routes.parquet"]))
def test_any_byte_of_the_files_may_be_wrong(position, byte, name, tmp_path):
    path = write(tmp_path / "plan") / name
    raw = bytearray(path.read_bytes())
    raw[position % len(raw)] = byte
    path.write_bytes(bytes(raw))
    report = audit(path.parent, scenario(), pairs())
    assert report.passed == (not report.violations)


@SLOW
@given(length=st.integers(0, 3000), name=st.sampled_from(["plan.json", "routes.parquet", "certificate.npz"]))
def test_files_cut_short_do_not_pass(length, name, tmp_path):
    path = write(tmp_path / "plan") / name
    raw = path.read_bytes()
    path.write_bytes(raw[: min(length, len(raw) - 1)])
    assert not audit(path.parent, scenario(), pairs()).passed


@SLOW
@given(rows=st.lists(st.sampled_from(ROUTES), max_size=8), share=st.integers(-(2**63), 2**63 - 1), data=st.data())
def test_any_routes_are_judged_and_only_the_valid_ones_pass(rows, share, data, tmp_path):
    changed = [list(row) for row in rows]
    if changed:
        changed[0][data.draw(st.integers(0, 5))] = data.draw(st.sampled_from(["", "m", "alba", "one", None]))
        changed[0][6] = share
    report = audit(write(tmp_path / "plan", routes=changed), scenario(), pairs())
    assert not report.passed


@pytest.mark.parametrize(
    "kind", [pa.float64(), pa.bool_(), pa.string(), pa.list_(pa.int64()), pa.decimal128(12), pa.binary()]
)
def test_a_column_of_another_type_is_named(kind, tmp_path):
    table = routes_table()
    for name in ("share_ppb", "site"):
        column = pa.nulls(6, kind)
        if name == "site" and kind == pa.string():
            continue
        changed = table.set_column(table.schema.get_field_index(name), name, column)
        report = audit(write(tmp_path / "plan", routes=changed), scenario(), pairs())
        assert {v.rule for v in report.violations} == {"format"}


def test_dictionary_encoded_names_are_read_like_plain_ones(tmp_path):
    table = routes_table()
    for name in ("site", "shape", "slice"):
        at = table.schema.get_field_index(name)
        table = table.set_column(at, name, table.column(name).dictionary_encode())
    assert audit(write(tmp_path / "plan", routes=table), scenario(), pairs()).passed


def test_names_of_large_strings_and_a_failure_column_of_nulls_are_read(tmp_path):
    table = routes_table()
    at = table.schema.get_field_index("site")
    table = table.set_column(at, "site", table.column("site").cast(pa.large_string()))
    table = table.set_column(table.schema.get_field_index("failure"), "failure", pa.nulls(6))
    assert audit(write(tmp_path / "plan", routes=table), scenario(), pairs()).passed


def test_plan_json_that_is_a_folder_is_a_violation_of_the_format(tmp_path):
    folder = write(tmp_path / "plan")
    (folder / "plan.json").unlink()
    (folder / "plan.json").mkdir()
    assert {v.rule for v in audit(folder, scenario(), pairs()).violations} == {"format"}


def test_numbers_that_floats_read_as_infinite_are_violations_of_the_format(tmp_path):
    folder = write(tmp_path / "plan")
    text = json.dumps(plan()).replace('"served_share": ', '"served_share": 1e999, "x": ')
    (folder / "plan.json").write_text(text, encoding="utf-8")
    assert "format" in {v.rule for v in audit(folder, scenario(), pairs()).violations}
