"""Trees against what they must find, and what they must not."""

import numpy as np

from placement.inference.boosting import boost, codes, edges_of


def test_a_step_in_one_of_three_features_is_found_where_it_lies() -> None:
    random = np.random.default_rng(0)
    features = random.random((2000, 3))
    target = np.where(features[:, 1] > 0.5, 1.0, -1.0)
    trees = boost(features, target, np.inf, [1])
    probe = np.full((2, 3), 0.5)
    probe[:, 1] = [0.2, 0.8]
    np.testing.assert_allclose(trees.predict(probe), [-1, 1], atol=0.05)


def test_clipped_errors_lead_to_the_median_and_not_to_the_mean() -> None:
    target = np.concatenate([np.zeros(900), np.full(100, 1000.0)])  # mean 100, median 0
    features = np.random.default_rng(2).random((1000, 2))
    assert np.abs(boost(features, target, 0.1, [3]).predict(features)).max() < 1.5


def test_an_absent_feature_is_a_class_of_its_own() -> None:
    features = np.array([[np.nan], [1.0], [2.0], [3.0]])
    edges = edges_of(features)
    found = codes(features, edges)[0]
    assert found[0] == 0
    assert (np.diff(found[1:].astype(int)) >= 0).all()
    assert found[1] > 0


def test_noise_is_hardly_learned() -> None:
    random = np.random.default_rng(4)
    features, target = random.random((2000, 5)), random.normal(size=2000)
    seen_not = random.random((2000, 5))
    assert boost(features, target, np.inf, [5]).predict(seen_not).std() < 0.35
