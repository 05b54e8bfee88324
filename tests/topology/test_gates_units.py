"""Unit slips and one-way times between rows: by hand, with what each rule needs and no less."""

import numpy as np
import pandas as pd
import pytest
from gates_tools import frame, judged, places, row, said

REGIONS = places("region", **{f"r{i}": float(i) for i in range(30)})
SITES = places("site", **{f"s{j}": 40.0 + 3.0 * j for j in range(8)})
"""All pairs are 1,222 to 6,783 km apart; distance makes one expect 30.8 to 125 ms."""


def usual_ms(region: int, site: int) -> float:
    """10 ms and 1.7 times light over the pair's distance."""
    return 10.0 + 1.7 * 1.11195 * (40.0 + 3.0 * site - region)


def of(method: str, factor: float = 1.0, sources: int = 30, back: bool = False) -> list[dict[str, object]]:
    """Rows of one method between all regions and sites, times a factor."""
    found = []
    for i in range(sources):
        for j in range(8):
            ends = (f"s{j}", f"r{i}") if back else (f"r{i}", f"s{j}")
            found.append(row(*ends, factor * usual_ms(i, j), method=method))
    return found


@pytest.mark.parametrize(("factor", "unit"), [(1000.0, "microseconds"), (0.001, "seconds")])
def test_a_method_that_is_a_thousand_times_off_is_out_without_any_other_to_compare(factor: float, unit: str) -> None:
    kept, verdicts = judged(frame(*of("imported:x", factor)), REGIONS, SITES)
    assert (len(kept), said(verdicts)) == (0, [("units", None, None, "exclude")])
    assert verdicts.frame["series"][0] == 240
    assert f": {unit} for milliseconds" in verdicts.frame["why"][0]


def test_one_source_in_another_unit_is_out_by_itself() -> None:
    rows = of("icmp")
    for one in rows:
        if one["source"] == "r7":
            one["rtt_base_ms"] = float(one["rtt_base_ms"]) * 1000  # type: ignore[arg-type]
    kept, verdicts = judged(frame(*rows), REGIONS, SITES)
    assert said(verdicts) == [("units", "r7", None, "exclude")]
    assert len(kept) == 232


def test_a_constant_tenth_of_a_millisecond_is_no_unit_slip() -> None:
    rows = of("icmp") + [row("r3", f"s{j}", 0.1, method="tcp") for j in range(8)]
    _, verdicts = judged(frame(*rows), REGIONS, SITES)
    assert "units" not in {gate for gate, source, target, _ in said(verdicts) if target is None}


def test_of_two_rows_a_thousand_times_apart_light_says_which_is_wrong() -> None:
    rows = frame(row("r0", "s0", 80.0), row("r0", "s0", 0.08, method="tcp"))
    kept, verdicts = judged(rows, REGIONS, SITES)
    assert said(verdicts) == [("units", "r0", "s0", "exclude")]
    assert kept["rtt_base_ms"].tolist() == [80.0]


def test_of_two_rows_a_thousand_times_apart_no_path_is_as_slow_as_the_slow_one() -> None:
    near = places("region", r0=40.0)
    kept, _ = judged(frame(row("r0", "s0", 3000.0), row("r0", "s0", 3.0, method="tcp")), near, SITES)
    assert kept["rtt_base_ms"].tolist() == [3.0]


def test_two_rows_of_which_nothing_tells_the_wrong_one_are_both_out_and_a_third_decides() -> None:
    near = places("region", r0=40.0)
    rows = [row("r0", "s0", 300.0), row("r0", "s0", 0.3, method="tcp")]
    assert len(judged(frame(*rows), near, SITES)[0]) == 0
    kept, _ = judged(frame(*rows, row("s0", "r0", 0.31)), near, SITES)
    assert kept["rtt_base_ms"].tolist() == [0.3, 0.31]


def test_rows_that_differ_a_hundred_times_are_no_unit_slip() -> None:
    near = places("region", r0=40.0)
    kept, verdicts = judged(frame(row("r0", "s0", 40.0), row("r0", "s0", 0.4, method="tcp")), near, SITES)
    assert (len(kept), len(verdicts.frame)) == (2, 0)


def test_a_row_alone_that_is_too_slow_is_flagged_and_stays() -> None:
    kept, verdicts = judged(frame(row("r0", "s0", 2501.0), row("r1", "s1", 2499.0)), REGIONS, SITES)
    assert (len(kept), said(verdicts)) == (2, [("units", "r0", "s0", "flag")])


def test_a_method_that_is_half_of_two_others_is_one_way() -> None:
    kept, verdicts = judged(frame(*of("icmp"), *of("tcp"), *of("imported:x", 0.5)), REGIONS, SITES)
    assert said(verdicts) == [("one-way", None, None, "exclude")]
    told = verdicts.frame.iloc[0]
    assert (told["method"], told["series"]) == ("imported:x", 240)
    assert (
        told["why"]
        == "what imported:x measured is 0.50 of what icmp, tcp say of the same 240 pairs: one way, not there and back"
    )
    assert set(kept["method"]) == {"icmp", "tcp"}


def test_half_of_one_other_method_is_flagged_unless_light_is_a_witness() -> None:
    # 1.7 · 1.02 times light in glass: half of it, with half of the last miles, is above light over short distances.
    near = places("region", **{f"r{i}": 38.0 + 0.01 * i for i in range(30)})
    slow = [row(f"r{i}", "s0", f * 20.0, method=m) for i in range(30) for m, f in (("icmp", 1.0), ("imported:x", 0.5))]
    kept, verdicts = judged(frame(*slow), near, SITES)
    assert said(verdicts) == [("one-way", None, None, "flag")]
    assert len(kept) == 60
    # Here half of it is below light in most pairs: 0.5 · (10 + 1.7 · km/100) < km / 102.1.
    kept, verdicts = judged(frame(*of("icmp"), *of("imported:x", 0.5)), REGIONS, SITES)
    assert said(verdicts) == [("one-way", None, None, "exclude")]
    assert set(kept["method"]) == {"icmp"}


def test_http_is_no_other_voice_as_it_counts_more_than_a_round_trip() -> None:
    near = places("region", **{f"r{i}": 38.0 + 0.01 * i for i in range(30)})
    rows = [row(f"r{i}", "s0", f * 20.0, method=m) for i in range(30) for m, f in (("icmp", 1.0), ("http", 2.0))]
    assert len(judged(frame(*rows), near, SITES)[1].frame) == 0


def test_a_source_that_is_half_of_what_eight_others_say_is_out_alone() -> None:
    rows = of("stamp", 1.0, 12) + of("stamp", 1.0, 12, back=True)
    for one in rows:
        if one["source"] == "r5":
            one["rtt_base_ms"] = 0.5 * float(one["rtt_base_ms"])  # type: ignore[arg-type]
    kept, verdicts = judged(frame(*rows), REGIONS, SITES)
    assert said(verdicts) == [("one-way", "r5", None, "exclude")]
    assert len(kept) == 2 * 96 - 8


def test_seven_pairs_are_too_few_to_call_a_source_a_half() -> None:
    near = places("region", **{f"r{i}": 38.0 + 0.01 * i for i in range(7)})
    rows = [row("s0", f"r{i}", 10.0) for i in range(7)] + [row(f"r{i}", "s0", 20.0) for i in range(7)]
    assert len(judged(frame(*rows), near, SITES)[1].frame) == 0
    more = places("region", **{f"r{i}": 38.0 + 0.01 * i for i in range(8)})
    _, verdicts = judged(frame(*rows, row("s0", "r7", 10.0), row("r7", "s0", 20.0)), more, SITES)
    assert said(verdicts) == [("one-way", "s0", None, "exclude")]


def test_a_gate_that_is_switched_off_excludes_nothing_and_is_named() -> None:
    rows = frame(row("r0", "s0", 0.08))
    assert said(judged(rows, REGIONS, SITES)[1]) == [("light", "r0", "s0", "exclude")]
    kept, verdicts = judged(rows, REGIONS, SITES, off=("light",))
    assert (len(kept), verdicts.off) == (1, ("light",))
    table = verdicts.by_gate(("units", "light"))
    assert table["state"].tolist() == ["on", "off"]


def test_the_order_of_rows_changes_nothing() -> None:
    rows = frame(*of("icmp"), *of("imported:x", 0.5), *of("tcp", 1000.0), row("s3", "r3", 0.1))
    shuffled = rows.sample(frac=1.0, random_state=7)
    one, other = (judged(each, REGIONS, SITES) for each in (rows, shuffled))
    pd.testing.assert_frame_equal(one[1].frame, other[1].frame)
    by = ["source", "target", "method"]
    pd.testing.assert_frame_equal(
        one[0].sort_values(by, ignore_index=True), other[0].sort_values(by, ignore_index=True)
    )
    assert np.isfinite(one[1].frame["severity"]).all()


def test_a_method_alone_that_light_contradicts_at_half_of_its_ends_is_no_round_trip() -> None:
    kept, verdicts = judged(frame(*of("imported:x", 0.4)), REGIONS, SITES)
    assert (len(kept), said(verdicts)) == (0, [("one-way", None, None, "exclude")])
    assert verdicts.frame["why"][0].startswith("three places or more contradict 38 of 38 ends that imported:x measured")
