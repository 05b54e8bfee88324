"""When rounds are due, and what token buckets let through: properties over any run of times."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from probes.agent.rates import Bucket, Buckets
from probes.agent.schedule import JITTER, Schedule

INTERVALS = st.dictionaries(st.sampled_from(["icmp", "tcp", "http", "train"]), st.floats(0.1, 3600), min_size=1)
STEPS = st.lists(st.floats(0, 5000), min_size=1, max_size=30)


@given(INTERVALS, STEPS, st.floats(-1e5, 1e9))
def test_every_round_is_taken_once_or_counted_as_missed(
    intervals: dict[str, float], steps: list[float], start: float
) -> None:
    schedule = Schedule("fra1-a", intervals, start)
    seen = dict.fromkeys(intervals, 0)
    for now in itertools.accumulate(steps, initial=start):
        for due in schedule.take(now):
            assert due.number == seen[due.method] + due.missed
            assert schedule.due_s(due.method, due.number) <= now
            seen[due.method] = due.number + 1
        assert all(schedule.due_s(method, number) > now for method, number in seen.items())
        assert schedule.wake_s() > now


@given(st.text(max_size=8), st.floats(0.1, 3600), st.integers(0, 10_000))
def test_rounds_keep_their_interval_within_the_jitter(agent: str, interval: float, number: int) -> None:
    schedule = Schedule(agent, {"icmp": interval}, 0.0)
    first, second = schedule.due_s("icmp", number), schedule.due_s("icmp", number + 1)
    slack = 1e-9 * (number + 1) * interval
    assert (1 - 2 * JITTER) * interval - slack <= second - first <= (1 + 2 * JITTER) * interval + slack
    assert 0 <= schedule.due_s("icmp", 0) <= (1 + JITTER) * interval


def test_agents_that_start_together_spread_over_the_interval() -> None:
    phases = sorted(Schedule(f"agent-{n}", {"icmp": 60.0}, 0.0).due_s("icmp", 0) for n in range(400))
    # 400 uniform draws leave no gap of a tenth of the interval: (1 - 1/9)^400 < 1e-20
    assert phases[0] < 6 and phases[-1] > 54
    assert max(b - a for a, b in itertools.pairwise(phases)) < 6


def test_an_agent_keeps_its_times_over_restarts_and_methods_have_their_own() -> None:
    once, again = (Schedule("fra1-a", {"icmp": 60.0, "tcp": 60.0}, 100.0) for _ in range(2))
    assert [once.due_s("icmp", n) for n in range(5)] == [again.due_s("icmp", n) for n in range(5)]
    assert once.due_s("icmp", 0) != once.due_s("tcp", 0)


def test_after_a_long_pause_one_round_comes_and_the_rest_are_missed() -> None:
    schedule = Schedule("fra1-a", {"icmp": 10.0}, 0.0)
    schedule.take(30.0)
    (due,) = schedule.take(10_030.0)
    assert 998 <= due.missed <= 1001
    assert schedule.take(10_030.0) == []


@given(
    st.floats(0.1, 1000),
    st.floats(1, 1000),
    st.lists(st.tuples(st.floats(0, 10), st.floats(0.1, 100)), min_size=1, max_size=50),
)
def test_a_bucket_never_lets_more_through_than_its_rate_and_burst(
    per_s: float, burst: float, demands: list[tuple[float, float]]
) -> None:
    bucket = Bucket(per_s, burst, 0.0)
    now = taken = largest = 0.0
    for pause, amount in demands:
        now += pause
        if bucket.take(amount, now):
            taken += amount
            largest = max(largest, amount)
    assert taken <= burst + per_s * now + max(0.0, largest - burst) + 1e-6


def test_debt_is_paid_before_anything_more_goes_through() -> None:
    bucket = Bucket(per_s=10, burst=100, now_s=0)
    bucket.charge(250, 0)
    assert bucket.level(0) == -150
    assert not bucket.take(1, 15)
    assert bucket.take(1, 15.2)
    assert bucket.level(1000) == 100


def test_a_clock_that_goes_back_gives_no_tokens() -> None:
    bucket = Bucket(per_s=10, burst=10, now_s=100)
    assert bucket.take(10, 100)
    assert bucket.level(50) == 0 and bucket.level(100) == 0


def test_addresses_have_buckets_of_their_own() -> None:
    buckets = Buckets(per_s=1, burst=3)
    assert buckets.of("127.0.0.1", 0).take(3, 0)
    assert not buckets.of("127.0.0.1", 0).take(1, 0)
    assert buckets.of("127.0.0.2", 0).take(3, 0)
    for n in range(30_000):
        buckets.of(f"a{n}", 1.0)
    assert not buckets.of("127.0.0.1", 1.0).take(3, 1.0)  # not full again: not forgotten
