"""States added up part by part, against pandas over all rows, and at the ends of what whole numbers hold."""

from collections.abc import Sequence
from datetime import timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from topology_world import NOON, record

from placement.topology.summaries import adding, days_of_table, summarise
from placement.topology.summaries import merge as merge_module
from placement.topology.summaries.adding import Filled, Part, added_up, numbered, side_by_side
from placement.topology.summaries.figures import COUNTED, LEAST, MOST
from placement.topology.summaries.merge import SERIES, SERIES_DAYS
from probes.table import to_table

ROWS = st.lists(
    st.tuples(
        st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(0, 1), st.integers(20_000, 20_002)),
        st.integers(0, 99),  # what the figures are made of
        st.dictionaries(st.tuples(st.integers(0, 6), st.integers(0, 3)), st.integers(1, 9), max_size=4),
        st.booleans(),
    ),
    min_size=1,
    max_size=30,
)


def part(rows: Sequence[tuple[tuple[int, ...], int, dict[tuple[int, int], int], bool]]) -> Part:
    """Rows as a state has them; buckets hold as much more than their least value as their count is."""
    keys = np.array([key for key, *_ in rows])
    days = {name: keys[:, i] for i, name in enumerate(SERIES_DAYS)}
    figure = np.array([one for _, one, *_ in rows])
    days |= {name: figure + i for i, name in enumerate(COUNTED)}
    days |= {name: np.where(figure % 3 == 0, np.nan, figure / 8) for name in LEAST}
    days |= {name: figure.astype(np.float64) for name in MOST}
    days["buckets"] = np.array([len(sketch) for *_, sketch, _ in rows])
    filled = [(*place, count) for *_, sketch, _ in rows for place, count in sorted(sketch.items())]
    columns = np.array(filled, np.int64).reshape(-1, 3).T
    sketch = dict(zip(("figure", "bucket", "count"), columns, strict=True))
    return numbered(days, {**sketch, "excess": sketch["count"]}, np.array([kept for *_, kept in rows]))


@settings(max_examples=100, deadline=None)
@given(ROWS, st.sampled_from([SERIES, SERIES_DAYS]), st.integers(1, 29))
def test_rows_of_the_same_keys_are_added_as_pandas_does(rows, keys: tuple[str, ...], cut: int) -> None:  # type: ignore[no-untyped-def]
    found = added_up(side_by_side([part(some) for some in (rows[:cut], rows[cut:]) if some]), keys)
    figures, of_buckets = [], []
    for key, figure, sketch, kept in rows:
        if kept:
            named = dict(zip(SERIES_DAYS, key, strict=True))
            least = np.nan if figure % 3 == 0 else figure / 8
            figures.append(
                {**named, "records": figure, "sent": figure + 1, "least_ms": least, "observed_at_ns": figure}
            )
            of_buckets += [{**named, "figure": f, "bucket": b, "count": count} for (f, b), count in sketch.items()]
    if not figures:
        assert len(found.figures["day"]) == len(found.filled.place) == 0
        return
    sums = {"records": "sum", "sent": "sum", "least_ms": "min", "observed_at_ns": "max"}
    expected = pd.DataFrame(figures).groupby(list(keys)).agg(sums).reset_index()
    for name in (*keys, *sums):
        np.testing.assert_array_equal(found.figures[name], expected[name], name)
    if of_buckets:
        counted = pd.DataFrame(of_buckets).groupby(["figure", *keys, "bucket"])["count"].sum().reset_index()
        for figure in range(7):
            some, filled = counted[counted["figure"] == figure], found.filled.of_figure(figure)
            for name in keys:
                np.testing.assert_array_equal(found.figures[name][filled.row], some[name], name)
            np.testing.assert_array_equal(filled.bucket, some["bucket"])
            np.testing.assert_array_equal(filled.counts, some["count"])
            np.testing.assert_array_equal(filled.excess, some["count"])


def test_sums_stop_where_whole_numbers_end() -> None:
    most = adding.MOST_SUM
    rows = [((0, 0, 0, 20_000), 0, {(0, 5): 1}, True)] * 3 + [((0, 1, 0, 20_000), 0, {(0, 5): 1}, True)] * 3
    given_part = part(rows)
    given_part.figures["sent"] = np.array([most, most, most, 7, 8, 9])
    filled = Filled(
        given_part.filled.place, np.array([most - 1, 1, 0, 1, 2, 3]), np.array([-most, -most, -9, 1, -2, 3])
    )
    found = added_up(Part(given_part.figures, filled), SERIES)
    assert found.figures["sent"].tolist() == [most, 24]
    assert found.filled.counts.tolist() == [most, 6]
    assert found.filled.excess.tolist() == [-most, 2]


def test_a_source_of_many_targets_is_taken_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    records = to_table(
        [
            record("a" if i % 7 else "b", f"s{i % 40:02}", 5.0 + i, 9.0, at=NOON + timedelta(days=i % 3))
            for i in range(400)
        ]
    )
    whole = summarise(records).frame
    monkeypatch.setattr(merge_module, "BUCKETS_AT_ONCE", 200)
    seen: list[pd.DataFrame] = []

    def judge(daily: pd.DataFrame) -> pd.DataFrame:
        seen.append(daily)
        return daily.iloc[:0]

    with days_of_table(records) as days:
        pd.testing.assert_frame_equal(days.summaries(judge).frame, whole, check_exact=True)
    assert len(seen) > 3
    series = [set(zip(part["source"], part["target"], strict=True)) for part in seen]
    assert sum(map(len, series)) == len(set.union(*series)) == len(whole)


def test_names_that_sort_otherwise_than_their_aliases_are_merged_all_the_same() -> None:
    at = [NOON + timedelta(days=i) for i in range(3)]
    records = [record(f"10.0.0.{i}", "s", 10.0 + i, source_alias=f"p{(7 * i) % 5}", at=at[i % 3]) for i in range(20)]
    plain = [record(f"p{(7 * i) % 5}", "s", 10.0 + i, at=at[i % 3]) for i in range(20)]
    known = [f"p{i}" for i in range(5)]
    pd.testing.assert_frame_equal(
        summarise(to_table(records), known).frame, summarise(to_table(plain)).frame, check_exact=True
    )
