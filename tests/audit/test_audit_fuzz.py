"""Whatever is done to the files, the audit answers with violations and never with a traceback."""

from copy import deepcopy
from typing import Any

import audit_whole_plan as whole_plan
import audit_world_whole as whole
from audit_world import ROUTES, pairs, plan, scenario, write
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
    # built anew each time: a later change of the document may be within them
    st.builds(list),
    st.builds(dict),
    st.builds(lambda: [[{}]]),
    st.builds(lambda: {"": [None]}),
)


def places(value: Any, way: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The way to every value within a JSON value."""
    found = [way] if way else []
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, inner in items:
        found += places(inner, (*way, step))
    return found


def disturbed(document: dict[str, Any], data: st.DataObject) -> dict[str, Any]:
    """The document with one to three of its values removed, or something odd in their place."""
    for _ in range(data.draw(st.integers(1, 3))):
        way = data.draw(st.sampled_from(places(document)))
        place: Any = document
        for step in way[:-1]:
            place = place[step]
        if data.draw(st.booleans()):
            place[way[-1]] = data.draw(ODD)
        else:
            del place[way[-1]]
    return document


@SLOW
@given(data=st.data())
def test_any_value_anywhere_in_plan_json_is_judged_and_never_raises(data, tmp_path):
    document = disturbed(plan(), data)
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


@SLOW
@given(data=st.data())
def test_any_value_anywhere_in_a_plan_with_every_rule_is_judged_and_never_raises(data, tmp_path):
    document = disturbed(whole_plan.plan(), data)
    report = audit(whole.written(tmp_path, document), whole.scenario(tmp_path), whole.whole_pairs())
    assert report.passed == (not report.violations)


@SLOW
@given(data=st.data())
def test_any_plan_before_is_judged_and_never_raises(data, tmp_path):
    before = deepcopy(whole_plan.BEFORE)
    way = data.draw(st.sampled_from(places(before)))
    place: Any = before
    for step in way[:-1]:
        place = place[step]
    place[way[-1]] = data.draw(ODD)
    report = audit(whole.written(tmp_path, before=before), whole.scenario(tmp_path), whole.whole_pairs())
    assert report.passed == (not report.violations)


@SLOW
@given(
    number=st.integers(0, len(whole_plan.ROUTES) - 1),
    column=st.integers(0, 8),
    value=st.sampled_from(["", "m", "oslo", "turku", "cloud", "one", "quick", "bank", "metro-oslo", "2027-2", None]),
    share=st.integers(0, 10**9),
)
def test_any_routes_of_a_plan_with_every_rule_are_judged(number, column, value, share, tmp_path):
    row = list(whole_plan.ROUTES[number])
    row[column] = share if column == 8 else value
    routes = (*whole_plan.ROUTES[:number], tuple(row), *whole_plan.ROUTES[number + 1 :])
    report = audit(whole.written(tmp_path, routes=routes), whole.scenario(tmp_path), whole.whole_pairs())
    assert report.passed == (tuple(row) == whole_plan.ROUTES[number])
