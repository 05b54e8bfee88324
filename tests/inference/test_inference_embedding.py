"""Coordinates: a gradient against differences, and a geometry that must come back."""

import numpy as np

from placement.inference.embedding import _cost, fit, predict


def test_the_gradient_is_that_of_the_cost() -> None:
    random = np.random.default_rng(0)
    nodes = random.normal(0, 0.5, (6, 4))
    a, b = np.array([0, 1, 2, 0]), np.array([3, 4, 5, 5])
    pair = a, b, random.normal(0, 0.3, 4), np.array([1.0, 2.0, 0.5, 1.0])
    slope, scratch = np.empty_like(nodes), np.empty_like(nodes)
    _cost(nodes, *pair, slope)
    for i in range(6):
        for k in range(4):
            ahead, behind = nodes.copy(), nodes.copy()
            ahead[i, k] += 1e-6
            behind[i, k] -= 1e-6
            difference = (_cost(ahead, *pair, scratch) - _cost(behind, *pair, scratch)) / 2e-6
            np.testing.assert_allclose(slope[i, k], difference, rtol=1e-4, atol=1e-6)


def test_points_of_a_plane_with_last_miles_come_back_from_a_third_of_their_pairs() -> None:
    random = np.random.default_rng(1)
    place, mile = random.normal(0, 0.6, (80, 2)), random.uniform(0.05, 0.2, 80)
    a, b = np.triu_indices(80, 1)
    truth = np.log(np.linalg.norm(place[a] - place[b], axis=1) + mile[a] + mile[b])
    known = random.random(len(a)) < 1 / 3
    start = np.full((80, 3), -2.0)
    start[:, :2] = random.normal(0, 0.2, (80, 2))
    nodes = fit(start, a[known], b[known], truth[known], np.ones(int(known.sum())), 1500)
    error = np.abs(np.expm1(predict(nodes, a[~known], b[~known]) - truth[~known]))
    assert np.median(error) < 0.03
