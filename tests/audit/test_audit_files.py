"""Files of a plan folder that are odd in one way: read where they mean the same, else named."""

import json

import pyarrow as pa
import pytest
from audit_world import pairs, plan, routes_table, scenario, write

from placement.audit import audit


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


@pytest.mark.parametrize("name", ["region", "failure"])
def test_a_column_of_the_wrong_type_is_named_even_where_other_columns_are_right(name, tmp_path):
    table = routes_table()
    table = table.set_column(table.schema.get_field_index(name), name, pa.nulls(6, pa.int32()))
    violations = audit(write(tmp_path / "plan", routes=table), scenario(), pairs()).violations
    assert [str(v) for v in violations] == [f"format: routes.parquet.{name}: is of type int32"]


@pytest.mark.parametrize(("text", "why"), [("{", "Expecting"), ('{"gap": NaN}', "NaN is no number"), ("", "Expecting")])
def test_text_that_is_no_json_is_named_with_the_reason(text, why, tmp_path):
    folder = write(tmp_path / "plan")
    (folder / "plan.json").write_text(text, encoding="utf-8")
    violations = audit(folder, scenario(), pairs()).violations
    assert [why in violation.detail for violation in violations] == [True]
