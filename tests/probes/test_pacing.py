"""Even sending: what a pacer lets go, by its own arithmetic and on the clock."""

import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probes.wire.pacing import Pacer, Rounds, sleep_until, timer_slack

MS = 1_000_000


def test_fifteen_thousand_a_second_leave_as_fifteen_each_millisecond():
    pacer = Pacer(15_000, 0)
    assert pacer.burst == 15
    sent = [pacer.take(pacer.wake_ns(10**6), 10**6) for _ in range(100)]
    assert sent == [15] * 100
    assert pacer.wake_ns(10**6) == pytest.approx(100 * MS + 14 * MS / 15, abs=2)


def test_slow_rates_leave_one_by_one():
    pacer = Pacer(10, 0)
    assert pacer.take(0, 5) == 1
    assert pacer.take(99 * MS, 5) == 0
    assert pacer.take(100 * MS, 5) == 1
    assert pacer.wake_ns(3) == 200 * MS


def test_after_a_pause_a_little_is_made_up_for_and_the_rest_is_late():
    pacer = Pacer(10_000, 0)
    pacer.take(pacer.wake_ns(10**6), 10**6)
    now, made_up = 5_000 * MS, 0
    while count := pacer.take(now, 10**6):
        assert count <= 10
        made_up += count
    assert 40 <= made_up <= 41


def test_nothing_leaves_before_it_may():
    pacer = Pacer(1_000, 0)
    pacer.hold_until(50 * MS)
    assert pacer.take(50 * MS - 1, 9) == 0
    assert pacer.take(50 * MS, 9) == 1


@given(
    st.floats(0.5, 2e6),
    st.lists(st.tuples(st.integers(0, 50 * MS), st.integers(1, 300)), min_size=1, max_size=60),
)
@settings(deadline=None)
def test_in_no_stretch_of_time_does_more_leave_than_the_rate_and_five_bursts(rate, steps):
    pacer = Pacer(rate, 0)
    now, left = 0, [(0, 0)]
    for pause, wanted in steps:
        now += pause
        count = pacer.take(now, wanted)
        assert 0 <= count <= min(wanted, pacer.burst)
        left.append((now, left[-1][1] + count))
    for i, (begins, before) in enumerate(left):
        for ends, after in left[i + 1 :]:
            assert after - before <= (ends - begins) * rate / 1e9 + 5 * pacer.burst + 1


@given(
    st.integers(1, 40),
    st.integers(1, 4),
    st.floats(100, 1e5),
    st.integers(0, 30),
    st.lists(st.tuples(st.integers(0, 20 * MS), st.integers(1, 70), st.integers(0, 3)), min_size=1, max_size=20),
)
@settings(deadline=None)
def test_all_turns_are_taken_in_order_and_those_of_one_target_are_apart(targets, rounds, rate, interval_ms, steps):
    turns = Rounds(targets, rounds, rate, interval_ms / 1e3, 0)
    now, left, calls = 0, [], 0
    while not turns.over:
        pause, most, back = steps[calls % len(steps)]
        calls += 1
        now = max(now, turns.wake_ns()) + pause
        first = turns.next
        count = turns.take(now, most)
        assert count <= most
        assert first // targets == max(first + count - 1, first) // targets
        kept = max(count - back, 1) if count else 0
        turns.give_back(count - kept)
        assert turns.next == first + kept
        left += [now] * kept
        assert calls < 10_000
    assert len(left) == targets * rounds
    for probe in range(targets, len(left)):
        assert left[probe] - left[probe - targets] >= interval_ms * MS


def test_turns_of_nothing_are_over():
    assert Rounds(0, 3, 10, 1, 0).over


@pytest.mark.parametrize("rate", [0, -1, float("inf"), float("nan")])
def test_a_rate_that_is_none_is_refused(rate):
    with pytest.raises(ValueError, match="rate"):
        Pacer(rate, 0)


def test_timer_slack_is_this_threads_own_and_restored():
    told = Path("/proc/self/timerslack_ns")
    before = told.read_text()
    with timer_slack(1_000):
        assert int(told.read_text()) == 1_000
    assert told.read_text() == before


def test_sleeping_ends_after_its_time_and_not_at_all_for_the_past():
    until = time.monotonic_ns() + 3 * MS
    sleep_until(until)
    assert time.monotonic_ns() >= until
    began = time.monotonic_ns()
    sleep_until(began - 1_000 * MS)
    assert time.monotonic_ns() - began < 500 * MS
