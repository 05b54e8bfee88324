"""JSON with a line for each row: any value is told as the library for JSON tells it."""

import json

from hypothesis import given
from hypothesis import strategies as st

from placement.canonical import canonical_lines

LEAVES = st.none() | st.booleans() | st.integers() | st.text()
VALUES = st.recursive(LEAVES, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner))


@given(value=VALUES, depth=st.integers(0, 4))
def test_what_is_written_by_lines_is_read_as_it_was(value: object, depth: int) -> None:
    told = canonical_lines(value, depth).decode()
    assert json.loads(told) == value
    assert told.endswith("\n")


def test_a_row_at_the_depth_has_a_line_and_keys_are_sorted() -> None:
    told = canonical_lines({"b": [{"y": 1, "x": "é"}, []], "a": {}}, 2)
    assert told.decode().splitlines() == ["{", '"a": {},', '"b": [', '{"x": "é", "y": 1},', "[]", "]", "}"]
