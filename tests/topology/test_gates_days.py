"""Gates along the days of a series: clocks, frozen figures, unit slips and route changes, by hand."""

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from placement.topology import gates
from placement.topology.gates import Positions, Verdicts

NOWHERE = Positions(pd.Index([], dtype=object), np.empty(0), np.empty(0))
FAR = Positions(pd.Index(["r1", "s1"], dtype=object), np.zeros(2), np.array([0.0, 20.0]))
"""2,224 km apart: light allows (2,224 - 100) / 102.1 = 20.8 ms."""
FIRST = 20_000  # 2024-10-04


def series(base_ms: list[float], target: str = "s1", **more: object) -> pd.DataFrame:
    """One series a day each from FIRST on; NaN is a day without a record. More columns replace the usual ones."""
    count = len(base_ms)
    base = np.array(base_ms)
    jitter = np.arange(count) * 1e-3
    frame = pd.DataFrame(
        {
            "source": "r1", "target": target, "method": "icmp", "family": 4.0, "day": FIRST + np.arange(count),
            "records": 10, "sent": 30, "received": 30, "samples": 30, "distinct": 30, "rtt_base_ms": base,
            "rtt_p50_ms": base * 1.1 + jitter, "rtt_p95_ms": base * 1.3 + jitter, "rtt_avg_ms": base * 1.15 + jitter,
            "clock_bad": 0, **more,
        }
    )  # fmt: skip
    return frame[~np.isnan(base)]


def judge_days(daily: pd.DataFrame, positions: Positions, off: tuple[str, ...] = ()) -> Verdicts:
    """What the gates say of one frame."""
    return gates.judge_days([daily], positions, off)


def spans(verdicts: Verdicts) -> list[tuple[str, int, int, str]]:
    """Gate, first and last day counted from FIRST, and action of each verdict."""
    found = verdicts.frame
    return [
        (gate, int(first) - FIRST, int(last) - FIRST, action)
        for gate, first, last, action in zip(
            found["gate"], found["first_day"], found["last_day"], found["action"], strict=True
        )
    ]


def wavering(level_ms: float, days: int, seed: int = 1) -> list[float]:
    """Minima of a calm path."""
    noise: NDArray[np.float64] = np.random.default_rng(seed).exponential(0.1, days)
    return list(level_ms + noise)


def test_a_calm_series_is_left_alone() -> None:
    assert spans(judge_days(series(wavering(40.0, 60)), NOWHERE)) == []


@pytest.mark.parametrize("factor", [1000.0, 0.001])
def test_a_stretch_of_days_in_another_unit_is_out(factor: float) -> None:
    base = wavering(40.0, 20)
    base[7:10] = [value * factor for value in base[7:10]]
    verdicts = judge_days(series(base), NOWHERE)
    assert spans(verdicts) == [("units", 7, 9, "exclude")]
    assert verdicts.frame["records"][0] == 30
    days = verdicts.excluded_days()
    assert days["day"].tolist() == [FIRST + 7, FIRST + 8, FIRST + 9]
    assert days[["source", "target", "method", "family"]].drop_duplicates().to_numpy().tolist() == [
        ["r1", "s1", "icmp", 4.0]
    ]


def test_of_as_many_days_in_either_unit_none_stands() -> None:
    verdicts = judge_days(series([40.0, 40.1, 40_000.0, 40_200.0]), NOWHERE)
    assert spans(verdicts) == [("units", 0, 3, "exclude")]


def test_a_day_a_hundred_times_slower_is_no_unit_slip() -> None:
    assert spans(judge_days(series([4.0, 4.1, 400.0, 4.2]), NOWHERE)) == []


def test_a_day_of_which_half_the_records_have_a_moved_clock_is_out() -> None:
    verdicts = judge_days(series(wavering(40.0, 6), clock_bad=[0, 4, 5, 0, 9, 0]), NOWHERE)
    assert spans(verdicts) == [("clock", 2, 2, "exclude"), ("clock", 4, 4, "exclude")]
    assert verdicts.frame["why"][0] == "r1 to s1 by icmp has 5 of 10 records that say their clock moved"


def test_a_series_of_which_a_tenth_has_a_moved_clock_is_flagged() -> None:
    assert spans(judge_days(series(wavering(40.0, 4), clock_bad=[0, 4, 0, 0]), NOWHERE)) == [("clock", 0, 3, "flag")]
    assert spans(judge_days(series(wavering(40.0, 4), clock_bad=[0, 3, 0, 0]), NOWHERE)) == []


def test_a_day_faster_than_light_among_days_that_are_not_is_a_clock() -> None:
    base = wavering(40.0, 7)
    base[3] = 20.7
    assert spans(judge_days(series(base), FAR)) == [("clock", 3, 3, "exclude")]
    base[3] = 20.9
    assert spans(judge_days(series(base), FAR)) == []


def test_a_series_that_is_mostly_faster_than_light_is_left_to_the_gates_of_places() -> None:
    base = wavering(10.0, 7)
    base[3] = 30.0
    assert spans(judge_days(series(base), FAR)) == []


def still(base_ms: list[float], samples: int = 1) -> pd.DataFrame:
    """A series whose samples of a day are all the same."""
    base = np.array(base_ms)
    return series(
        base_ms, rtt_p50_ms=base, rtt_p95_ms=base, rtt_avg_ms=base, samples=samples, distinct=1,
    )  # fmt: skip


def test_five_days_of_one_figure_are_frozen_from_the_second_on() -> None:
    base = [40.123, 40.456, *[40.321] * 5, 40.111]
    assert spans(judge_days(still(base), NOWHERE)) == [("frozen", 3, 6, "exclude")]
    assert spans(judge_days(still([40.123, 40.456, *[40.321] * 4, 40.111]), NOWHERE)) == []


def test_three_days_are_enough_where_ten_samples_of_each_are_the_same() -> None:
    base = [40.123, *[40.321] * 3, 40.111]
    assert spans(judge_days(still(base, samples=10), NOWHERE)) == [("frozen", 2, 3, "exclude")]
    assert spans(judge_days(still(base, samples=9), NOWHERE)) == []


def test_a_series_that_begins_frozen_loses_its_first_day_too() -> None:
    verdicts = judge_days(still([40.321] * 6 + [40.5]), NOWHERE)
    assert spans(verdicts) == [("frozen", 0, 5, "exclude")]
    assert verdicts.frame["why"][0] == "r1 to s1 by icmp says 40.3 ms and nothing else on 6 measured days"


def test_days_without_a_record_do_not_break_a_run() -> None:
    base = [40.1, 40.321, np.nan, 40.321, 40.321, np.nan, np.nan, 40.321, 40.321, 40.2]
    assert spans(judge_days(still(base), NOWHERE)) == [("frozen", 3, 8, "exclude")]


def test_two_runs_one_after_the_other_are_two() -> None:
    base = [1.111, *[40.321] * 4, *[40.654] * 5, 2.222]
    assert spans(judge_days(still(base), NOWHERE)) == [("frozen", 6, 9, "exclude")]


def test_a_minimum_that_repeats_while_the_median_moves_is_a_quiet_path() -> None:
    assert spans(judge_days(series([40.321] * 10), NOWHERE)) == []


def test_whole_milliseconds_may_repeat_and_are_flagged_after_a_fortnight() -> None:
    assert spans(judge_days(still([40.0] * 13, samples=10), NOWHERE)) == []
    assert spans(judge_days(still([40.0] * 14, samples=10), NOWHERE)) == [("frozen", 0, 13, "flag")]


@pytest.mark.parametrize("after_ms", [60.0, 25.0])
def test_what_lies_before_a_change_of_route_is_out(after_ms: float) -> None:
    base = wavering(40.0, 12) + wavering(after_ms, 10, seed=2)
    verdicts = judge_days(series(base), NOWHERE)
    assert spans(verdicts) == [("route-change", 0, 11, "exclude")]
    assert verdicts.frame["why"][0] == (
        f"r1 to s1 by icmp went from 40.1 ms to {after_ms + 0.1:.1f} ms on 2024-10-16; what was measured up to "
        "2024-10-15 describes another route"
    )


def test_of_several_changes_the_last_counts() -> None:
    base = wavering(40.0, 10) + wavering(60.0, 10, 2) + wavering(40.0, 10, 3)
    assert spans(judge_days(series(base), NOWHERE)) == [("route-change", 0, 19, "exclude")]


def test_three_days_of_another_level_are_no_change_yet_and_four_are() -> None:
    level = wavering(40.0, 12)
    assert spans(judge_days(series(level + [60.0] * 3), NOWHERE)) == []
    assert spans(judge_days(series(level + [60.0] * 4), NOWHERE)) == [("route-change", 0, 11, "exclude")]


def test_a_change_needs_six_days_before_it() -> None:
    assert spans(judge_days(series(wavering(40.0, 2) + wavering(60.0, 10)), NOWHERE)) == []


def test_a_step_of_less_than_five_per_cent_or_a_millisecond_is_no_change() -> None:
    assert spans(judge_days(series(wavering(100.0, 12) + wavering(104.0, 12)), NOWHERE)) == []
    assert spans(judge_days(series(wavering(2.0, 12) + wavering(2.9, 12)), NOWHERE)) == []


def test_a_day_of_congestion_is_no_change() -> None:
    base = wavering(40.0, 30)
    for day in (8, 15, 16, 24):
        base[day] = 200.0
    assert spans(judge_days(series(base), NOWHERE)) == []


def test_gates_do_not_see_what_those_before_them_left_out() -> None:
    # A fortnight in microseconds is no change of route.
    base = [40_000.0 + i for i in range(8)] + wavering(40.0, 16)
    assert spans(judge_days(series(base), NOWHERE)) == [("units", 0, 7, "exclude")]
    found = judge_days(series(base), NOWHERE, off=("units",))
    assert spans(found) == [("route-change", 0, 7, "exclude")]
    assert found.off == ("units",)


def test_series_are_judged_each_by_itself_whatever_the_order_of_rows() -> None:
    two = pd.concat([series(wavering(40.0, 12) + wavering(60.0, 10)), series(wavering(70.0, 22), "s2")])
    shuffled = two.sample(frac=1.0, random_state=3)
    one, other = (judge_days(each, NOWHERE) for each in (two, shuffled))
    pd.testing.assert_frame_equal(one.frame, other.frame)
    assert one.frame[["target", "records"]].to_numpy().tolist() == [["s1", 120]]
    categories = two.astype(dict.fromkeys(("source", "target", "method"), "category"))
    pd.testing.assert_frame_equal(judge_days(categories, NOWHERE).frame, one.frame)


def test_no_days_no_verdicts() -> None:
    assert len(judge_days(series([]), NOWHERE).frame) == 0
    assert len(judge_days(series([]), NOWHERE).excluded_days()) == 0
