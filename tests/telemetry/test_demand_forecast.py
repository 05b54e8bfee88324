"""Forecasts of worlds whose quantiles are known, and the back-test against one made by hand."""

import numpy as np
import pytest

from placement.telemetry.backtest import back_test
from placement.telemetry.features import average, features, greatest, weeks_of
from placement.telemetry.forecasting import BUSIEST_DAY, REGRESSION, SAME_DAYS, WAYS, Forecast, Past, forecast, pinball
from placement.telemetry.last_week import busiest_day, same_days
from placement.telemetry.regression import regressed
from tests.telemetry.rates_world import Floats, counted, intensity

SLICES = 4
MONDAY = 0


def cells(rates: Floats) -> tuple[Floats, Floats]:
    """Peak and mean of (class, day, slice) of four slices of six hours."""
    parts = rates.reshape(*rates.shape[:2], SLICES, -1)
    return parts.max(axis=3), parts.mean(axis=3)


def world(days: int, classes: int = 60, seed: int = 1, low: float = 0.02, high: float = 50.0) -> Floats:
    draw = np.random.default_rng(seed)
    levels = np.exp(draw.uniform(np.log(low), np.log(high), classes))
    return intensity(levels, draw.integers(0, 24, classes), days)


def ahead(peak: Floats, mean: Floats, quantile: float, horizon: int) -> Forecast:
    """Of the days that follow the last."""
    return forecast(Past(peak, mean, quantile, horizon), peak.shape[1])


@pytest.mark.parametrize("quantile", [0.8, 0.9, 0.97])
@pytest.mark.parametrize("horizon", [1, 3])
def test_the_chosen_quantile_is_not_exceeded_as_often_as_chosen(quantile: float, horizon: int) -> None:
    rate = world(38)
    peak, mean = cells(counted(rate, seed=2))
    known = regressed(peak[:, :35], mean[:, :35], quantile, horizon)
    again = [cells(counted(rate[:, 35 : 35 + horizon], seed))[0].max(axis=1) for seed in range(10, 40)]
    coverage = np.mean([came <= known.design for came in again])
    assert coverage == pytest.approx(quantile, abs=0.05)


def test_weekends_and_weekdays_are_told_apart() -> None:
    rate = world(40, low=5)
    peak, mean = cells(counted(rate, seed=3))
    for days in (33, 35):  # a Saturday and a Monday follow
        known = regressed(peak[:, :days], mean[:, :days], 0.9, 1)
        true = cells(rate)[1][:, days]
        assert np.abs(known.mean / true - 1).mean() < 0.05
        naive = np.abs(mean[:, days - 7] / true - 1).mean()
        assert np.abs(known.mean / true - 1).mean() < naive * 1.1


def test_the_mean_of_sparse_classes_is_not_lost() -> None:
    rate = world(35, classes=200, low=0.0005, high=0.002)  # about one request in a quarter of an hour
    peak, mean = cells(counted(rate, seed=4))
    known = regressed(peak, mean, 0.9, 1)
    assert known.mean.sum() == pytest.approx(cells(rate)[1][:, 0].sum(), rel=0.05)


def test_a_level_that_doubled_is_followed_within_days() -> None:
    rate = world(42, low=5)
    rate[:, 37:] *= 2
    peak, mean = cells(counted(rate, seed=5))
    known = regressed(peak[:, :41], mean[:, :41], 0.9, 1)
    assert np.median(known.mean / cells(rate)[1][:, 41]) > 0.7  # after four days; last week's same day says 0.5
    assert np.median(mean[:, 34] / cells(rate)[1][:, 41]) < 0.55


def test_gaps_leave_forecasts_of_the_others_as_they_are_and_silence_of_a_week_says_nothing() -> None:
    peak, mean = cells(counted(world(35), seed=6))
    whole = regressed(peak, mean, 0.9, 1)
    holed, holed_mean = peak.copy(), mean.copy()
    for rates in (holed, holed_mean):
        rates[0, -7:] = np.nan
        rates[1:10, [5, 20, 33]] = np.nan
    found = regressed(holed, holed_mean, 0.9, 1)
    assert np.isnan(found.design[0]).all()
    assert np.isfinite(found.design[1:]).all()
    assert found.design[10:] == pytest.approx(whole.design[10:], rel=0.05)
    assert np.median(np.abs(found.design[1:10] / whole.design[1:10] - 1)) < 0.1


def test_a_world_that_never_changes_is_forecast_exactly() -> None:
    peak = np.broadcast_to(np.array([[[8.0, 2.0]], [[4.0, 1.0]]]), (2, 28, 2)).copy()
    for way in WAYS:
        known = forecast(Past(peak, peak / 2, 0.9, 2), 28, (way,))
        assert known.design == pytest.approx(peak[:, 0], rel=1e-6)
        assert known.mean == pytest.approx(peak[:, 0] / 2, rel=1e-6)


def test_forecasts_scale_with_the_classes_and_not_with_their_order() -> None:
    peak, mean = cells(counted(world(28, low=5), seed=7))
    known = regressed(peak, mean, 0.9, 1)
    turned = regressed(peak[::-1], mean[::-1], 0.9, 1)
    assert turned.design[::-1] == pytest.approx(known.design, rel=1e-3)
    assert (known.design >= known.mean).all()


def test_features_never_see_the_days_to_come() -> None:
    draw = np.random.default_rng(8)
    rates = draw.gamma(2.0, size=(40, 3, 2))
    later = rates.copy()
    later[30:] = draw.gamma(2.0, size=(10, 3, 2))
    for fold in (greatest, average):
        for weeks in (0, 2, 4):
            first, second = (features(each, 30, 3, weeks, fold) for each in (rates, later))
            np.testing.assert_array_equal(first[0], second[0])
            np.testing.assert_array_equal(first[1], second[1])


def test_the_season_is_the_weekdays_mean_over_that_of_whole_weeks() -> None:
    week = np.array([6.0, 6, 6, 6, 6, 3, 2])
    rates = np.tile(week, 3)[:, None, None]
    columns, unit = features(rates, 21, 1, 2, greatest)
    one = 1 / 300
    mean = week.mean()
    monday = (6.0 + one) / (mean + one)
    recent = np.mean([value / ((value + one) / (mean + one)) for value in (6.0, 3.0, 2.0)])
    assert unit[0, 0] == pytest.approx(mean + one)
    assert columns[0, 0, 0] * unit[0, 0] == pytest.approx(recent * monday)
    assert columns[0, 0, 3] * unit[0, 0] == pytest.approx(6.0)  # the Monday before
    assert columns[0, 0, -1] * unit[0, 0] == pytest.approx(one)


def chosen_by_hand(peak: Floats, mean: Floats, quantile: float, tried: range) -> tuple[str, float]:
    """The way that lost least at the days, and its widening; of one day each, each made from the days before alone."""
    found = []
    for way in WAYS if tried[len(tried) // 2] >= 7 else (REGRESSION, BUSIEST_DAY):
        over = []
        for day in tried:
            known = regressed(peak[:, :day], mean[:, :day], quantile, 1)
            busiest = peak[:, max(day - 7, 0) : day].max(axis=1)
            last_week = peak[:, day - 7] if day >= 7 else busiest
            said = {REGRESSION: known.design, BUSIEST_DAY: busiest, SAME_DAYS: last_week}
            over.append(((peak[:, day] - said[way]) / known.level).ravel())
        errors = np.sort(np.concatenate(over))
        widened = max(errors[round(np.ceil((len(errors) + 1) * quantile - 1e-9)) - 1], 0.0)
        lost = np.mean([max(quantile * e, (quantile - 1) * e) for e in errors - widened])
        found.append((lost, way, widened))
    return min(found)[1:]


@pytest.mark.parametrize(
    ("days", "tried"), [(9, range(4, 9)), (10, range(5, 10)), (16, range(12, 16)), (32, range(18, 32))]
)
def test_the_way_that_lost_least_on_days_of_the_past_is_taken_and_widened(days: int, tried: range) -> None:
    peak, mean = cells(counted(world(days, classes=20), seed=days))
    past = Past(peak, mean, 0.9, 1)
    assert past.tried(days) == tried
    known = forecast(past, days)
    way, widened = chosen_by_hand(peak, mean, 0.9, tried)
    assert (known.way, known.widened) == (way, pytest.approx(widened))
    said = past.proposal(days)
    assert known.design == pytest.approx(said.designs[way] + widened * said.level)


def test_a_forecast_of_the_past_knows_nothing_of_what_came_later() -> None:
    peak, mean = cells(counted(world(30, classes=20), seed=9))
    whole = Past(peak, mean, 0.9, 2)
    for day in (6, 14, 23):
        then = ahead(peak[:, :day], mean[:, :day], 0.9, 2)
        found = forecast(whole, day)
        assert (found.way, found.widened) == (then.way, then.widened)
        np.testing.assert_array_equal(found.design, then.design)


def test_short_histories_are_not_left_to_a_regression_that_loses_to_last_week() -> None:
    days = 40
    peak, mean = cells(counted(world(days), seed=11))
    ours, theirs = [], []
    for day in range(26, days):
        past = Past(peak[:, day - 7 : day], mean[:, day - 7 : day], 0.9, 1)
        for ways, lost in ((WAYS, ours), ((REGRESSION,), theirs)):
            known = forecast(past, 7, ways)
            lost.append(pinball(((peak[:, day] - known.design) / known.level).ravel(), 0.9))
    assert np.mean(ours) < 0.9 * np.mean(theirs)


@pytest.mark.parametrize("quantile", [0.8, 0.9, 0.95])
def test_the_monday_after_two_weeks_is_not_planned_by_the_weekend_before(quantile: float) -> None:
    """Of 14 days two are tried, a Saturday and a Sunday, of which all ask for less than the busiest day of a week."""
    rate = world(15, low=5)
    peak, mean = cells(counted(rate, seed=12))
    known = ahead(peak[:, :14], mean[:, :14], quantile, 1)
    monday = [cells(counted(rate[:, 14:], seed))[0][:, 0] for seed in range(20, 30)]
    assert np.mean([came <= known.design for came in monday]) > quantile - 0.1


def test_weeks_that_repeat_are_forecast_by_the_same_days_exactly() -> None:
    week = np.random.default_rng(3).uniform(1, 9, (12, 7, 2))
    peak = np.tile(week, (1, 4, 1))
    known = ahead(peak, peak / 2, 0.9, 1)
    assert known.way == SAME_DAYS
    np.testing.assert_allclose(known.design, week[:, 0])
    assert ahead(peak[:, :9], peak[:, :9] / 2, 0.9, 1).way != SAME_DAYS  # two days of five had a week before them


def test_last_week_is_read_off_by_hand() -> None:
    rates = np.arange(10.0)[None, :, None] % 8  # 0 1 2 3 4 5 6 7 0 1
    assert same_days(rates, 1, greatest).tolist() == [[3.0]]
    assert same_days(rates, 3, greatest).tolist() == [[5.0]]
    assert same_days(rates, 9, average).tolist() == [[(3 + 4 + 5 + 6 + 7 + 0 + 1 + 3 + 4) / 9]]
    assert busiest_day(rates).tolist() == [[7.0]]
    assert np.isnan(same_days(rates[:, :6], 1, greatest)).all()
    rates[0, 7] = np.nan
    assert busiest_day(rates).tolist() == [[6.0]]
    assert same_days(rates, 4, greatest).tolist() == [[6.0]]
    assert np.isnan(same_days(rates, 5, greatest)).all()


def test_the_back_test_is_forecasts_made_at_days_of_the_past() -> None:
    peak, mean = cells(counted(world(30, classes=20), seed=9))
    past = Past(peak, mean, 0.9, 2)
    tested = back_test(past)
    assert tested is not None
    over, error, naive, total, ways = [], 0.0, 0.0, 0.0, []
    for origin in range(15, 29):
        known = ahead(peak[:, :origin], mean[:, :origin], 0.9, 2)
        came, came_mean = peak[:, origin : origin + 2].max(axis=1), mean[:, origin : origin + 2].mean(axis=1)
        over.append((came - known.design) / known.level)
        error += float(np.abs(came_mean - known.mean).sum())
        naive += float(np.abs(came_mean - mean[:, origin - 7 : origin - 5].mean(axis=1)).sum())
        total += float(came_mean.sum())
        ways.append(known.way)
    assert (tested.origins, tested.figures) == (14, np.size(over))
    assert tested.coverage == pytest.approx(np.mean(np.array(over) <= 1e-9))
    assert tested.coverage_worst_day == pytest.approx(min(np.mean(day <= 1e-9) for day in over))
    assert (tested.wape, tested.wape_naive) == (pytest.approx(error / total), pytest.approx(naive / total))
    assert tested.pinball == pytest.approx(np.mean([max(0.9 * e, -0.1 * e) for e in np.ravel(over)]))
    assert tested.chosen == {way: ways.count(way) for way in set(ways)}
    alone = [
        (peak[:, d : d + 2].max(axis=1) - forecast(past, d, (SAME_DAYS,)).design) / forecast(past, d).level
        for d in range(15, 29)
    ]
    assert tested.pinball_by_way[SAME_DAYS] == pytest.approx(np.mean([max(0.9 * e, -0.1 * e) for e in np.ravel(alone)]))


def test_coverage_is_told_of_small_middle_and_large_classes() -> None:
    peak = np.full((9, 12, 1), np.arange(1.0, 10.0)[:, None, None])
    peak[:3, -1] *= 2  # the small ones double on the last day, and are one of the days that are tried
    tested = back_test(Past(peak, peak / 2, 0.9, 1))
    assert tested is not None
    assert tested.coverage_by_size == (pytest.approx(1 - 1 / tested.origins), 1.0, 1.0)
    assert tested.coverage_worst_day == pytest.approx(6 / 9)


@pytest.mark.parametrize(("days", "weeks"), [(3, 0), (10, 0), (11, 1), (18, 2), (25, 3), (32, 4), (56, 4)])
def test_a_season_of_the_week_wants_days_to_learn_from(days: int, weeks: int) -> None:
    assert weeks_of(days) == weeks


@pytest.mark.parametrize("days", [3, 4, 7, 9, 14])
def test_short_histories_are_forecast_and_tried_at_least_once(days: int) -> None:
    peak, mean = cells(counted(world(days, low=5), seed=days))
    tested = back_test(Past(peak, mean, 0.9, 1))
    assert tested is not None
    assert tested.origins >= 1
    assert np.isfinite(ahead(peak, mean, 0.9, 1).design).all()


def test_two_days_are_too_few_to_try_anything() -> None:
    peak, mean = cells(counted(world(2), seed=1))
    assert back_test(Past(peak, mean, 0.9, 1)) is None
