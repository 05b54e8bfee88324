"""Summaries of round trips: by hand, and against numpy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.statistics import Summary, quantile, summarise


def test_a_summary_by_hand() -> None:
    # One of six lost; 10, 12, 11, 15, 11: sorted 10 11 11 12 15. Steps 2, 1, 4, 4.
    summary = summarise([10.0, 12.0, None, 11.0, 15.0, 11.0], sent=6, received=5)
    assert summary == Summary(
        sent=6,
        received=5,
        lost_share=pytest.approx(1 / 6),
        min_ms=10.0,
        p50_ms=11.0,
        p95_ms=pytest.approx(12 + 0.8 * 3),
        p99_ms=pytest.approx(12 + 0.96 * 3),
        max_ms=15.0,
        mean_ms=pytest.approx(11.8),
        jitter_ms=pytest.approx(11 / 4),
        last_ms=11.0,
    )


def test_nothing_received_claims_no_figure() -> None:
    summary = summarise([None, None], sent=2, received=0)
    assert summary.lost_share == 1.0
    figures = (summary.min_ms, summary.p50_ms, summary.p95_ms, summary.jitter_ms, summary.mean_ms, summary.last_ms)
    assert figures == (None,) * 6


def test_nothing_sent_has_no_loss() -> None:
    assert summarise([], sent=0, received=0).lost_share is None


def test_a_lost_last_probe_has_no_last_time_and_one_answer_no_jitter() -> None:
    summary = summarise([5.0, None], sent=2, received=1)
    assert (summary.last_ms, summary.jitter_ms, summary.min_ms) == (None, None, 5.0)


def test_an_answer_without_a_time_is_received_all_the_same() -> None:
    assert summarise([5.0, None], sent=2, received=2).lost_share == 0.0


@pytest.mark.parametrize(("sent", "received"), [(1, 2), (3, 1)])
def test_counts_that_contradict_are_refused(sent: int, received: int) -> None:
    with pytest.raises(ValueError, match="cannot be"):
        summarise([1.0, 2.0], sent=sent, received=received)


@given(st.lists(st.floats(0.001, 1e5), min_size=1, max_size=60), st.floats(0, 1))
def test_quantiles_are_those_of_numpy(values: list[float], share: float) -> None:
    assert quantile(sorted(values), share) == pytest.approx(float(np.quantile(values, share)), rel=1e-9)
