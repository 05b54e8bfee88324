"""Trains whose true rate is known because the test lays out every arrival itself."""

from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probes.wire.train_rate import NotMeasurableError, rate

START = 1_700_000_000_000_000_000


def even(packets: int, gap_ns: float) -> tuple[np.ndarray, np.ndarray]:
    return np.arange(packets), START + (np.arange(packets) * gap_ns).astype(np.int64)


def error_of(seq: np.ndarray, times: np.ndarray, gap_ns: float, sent: int | None = None) -> float:
    found = rate(seq.astype(np.int64), times.astype(np.int64), sent or len(seq))
    return abs(found.packets_per_s * gap_ns / 1e9 - 1)


@given(st.integers(24, 400), st.floats(2_000, 50_000_000))
@settings(max_examples=100)
def test_evenly_spaced_packets_give_their_rate(packets: int, gap_ns: float) -> None:
    assert error_of(*even(packets, gap_ns), gap_ns) < 1e-4


def test_ten_thousand_packets_a_second_by_hand() -> None:
    found = rate(np.arange(60), START + np.arange(60) * 100_000, 60)
    assert found.packets_per_s == pytest.approx(10_000)
    assert (found.lumps, found.pauses) == (36, 0)  # the last 60 % of 60


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=50)
def test_order_copies_and_losses_leave_the_rate(seed: int) -> None:
    """A shallow queue loses packets and still hands on at the link's rate; what arrives is even, numbered anyhow."""
    rng = np.random.default_rng(seed)
    _, times = even(96, 121_120.0)
    seq = np.sort(rng.choice(160, 96, replace=False))
    copied = rng.integers(0, 96, 5)
    seq, times = np.append(seq, seq[copied]), np.append(times, times[copied] + rng.integers(1, 10**9, 5))
    order = rng.permutation(len(seq))
    assert error_of(seq[order], times[order], 121_120.0, 160) < 1e-4


def test_packets_lost_behind_the_narrowest_link_leave_holes_and_not_a_lower_rate() -> None:
    kept = np.setdiff1d(np.arange(96), [50, 66, 67, 80])
    _, times = even(96, 121_120.0)
    assert error_of(kept, times[kept], 121_120.0, 96) < 1e-4


def test_what_a_shallow_queue_keeps_of_a_train_is_enough() -> None:
    """43 packets fit in at once, and leave at the link's rate; the others are dropped."""
    assert error_of(*even(43, 1_200_000.0), 1_200_000.0, 88) < 1e-4


@pytest.mark.parametrize("together", [2, 4, 8])
def test_of_packets_handed_over_together_the_last_counts(together: int) -> None:
    """Every lump is handed over when its last packet is in, the packets of it a microsecond apart."""
    gap_ns, packets = 12_112.0, 300
    lump = np.arange(packets) // together
    last = np.minimum((lump + 1) * together, packets) - 1
    times = START + (last * gap_ns).astype(np.int64) - (last - np.arange(packets)) * 1_000
    assert error_of(np.arange(packets), times, gap_ns) < 0.003


def test_what_a_bucket_let_through_first_is_not_believed() -> None:
    """38 packets at ten times the rate, the others at the rate: 0.4 of 96 is 38.4."""
    gaps = np.where(np.arange(96) < 38, 12_112, 121_120)
    assert error_of(np.arange(96), START + np.cumsum(gaps), 121_120.0) < 1e-4


@given(st.integers(39, 90))
def test_a_bucket_larger_than_that_is_never_taken_for_the_rate(knee: int) -> None:
    gaps = np.where(np.arange(96) < knee, 12_112, 121_120)
    try:
        assert error_of(np.arange(96), START + np.cumsum(gaps), 121_120.0) < 0.01
    except NotMeasurableError:
        assert knee > 45  # a few packets too many still leave enough behind them


@given(st.integers(45, 90), st.floats(0.6, 400.0))
def test_a_pause_within_the_train_is_no_part_of_the_rate(at: int, packets_long: float) -> None:
    gap_ns = 30_280.0
    _, times = even(96, gap_ns)
    times[at:] += int(packets_long * gap_ns)
    assert error_of(np.arange(96), times, gap_ns) < 0.002


@given(st.integers(45, 80), st.integers(2, 10))
def test_a_receiver_that_slept_and_caught_up_changes_nothing(at: int, late: int) -> None:
    """Packets were held for a while and then handed over at once; the link had gone on."""
    gap_ns = 121_120.0
    _, times = even(96, gap_ns)
    times[at : at + late] = times[at + late] - np.arange(late, 0, -1) * 1_000
    assert error_of(np.arange(96), times, gap_ns) < 0.01


def test_a_receiver_that_sleeps_often_and_catches_up_at_twice_the_rate_changes_little() -> None:
    """Four sleeps of a quarter of a millisecond in each train; plain least squares is off by per cents."""
    errors, plain = [], []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        gap_ns, packets = 12_112.0, 300
        seq, came = even(packets, gap_ns)
        asleep_from = START + rng.integers(0, int(packets * gap_ns * 0.9), 4)
        times, free = np.empty(packets, np.int64), 0
        for packet, at in enumerate(came.tolist()):
            taken = max(at, free)
            for start in np.sort(asleep_from).tolist():
                if start <= taken < start + 250_000:
                    taken = start + 250_000
            times[packet], free = taken, taken + 6_000
        plain.append(abs(gap_ns / np.polyfit(seq[120:], times[120:] - START, 1)[0] - 1))
        with suppress(NotMeasurableError):
            errors.append(error_of(seq, times, gap_ns))
    assert np.median(plain) > 0.02
    assert len(errors) > 30  # the others are refused: a train asleep for most of what is believed says nothing
    assert np.median(errors) < 0.002
    assert max(errors) < 0.03


def test_random_lateness_of_a_third_of_a_packet_stays_within_a_percent() -> None:
    rng = np.random.default_rng(5)
    errors = []
    for _ in range(50):
        _, times = even(300, 12_112.0)
        errors.append(error_of(np.arange(300), times + rng.exponential(4_000, 300).astype(np.int64), 12_112.0))
    assert np.median(errors) < 0.004
    assert max(errors) < 0.01


@pytest.mark.parametrize(
    ("seq", "times", "sent", "words"),
    [
        (np.arange(19), START + np.arange(19) * 1000, 96, "only 19 of 96"),
        (np.arange(0), np.arange(0), 96, "only 0 of 96"),
        (np.arange(96), np.full(96, START), 96, "in 1 lumps"),
        (np.zeros(96), START + np.arange(96) * 1000, 96, "only 1 of 96"),
    ],
    ids=["lost", "nothing", "one lump", "copies"],
)
def test_what_says_nothing_is_refused_with_a_reason(seq: np.ndarray, times: np.ndarray, sent: int, words: str) -> None:
    with pytest.raises(NotMeasurableError, match=words):
        rate(seq.astype(np.int64), times.astype(np.int64), sent)


@given(st.lists(st.tuples(st.integers(-(2**40), 2**40), st.integers(-(2**62), 2**62)), max_size=120))
def test_any_report_gives_a_rate_or_a_reason(pairs: list[tuple[int, int]]) -> None:
    seq, times = np.array(pairs, np.int64).reshape(-1, 2).T
    try:
        found = rate(seq, times, 96)
    except NotMeasurableError:
        return
    assert 0 < found.packets_per_s < float("inf")
