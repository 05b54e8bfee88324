"""Smoothing over alike rows and columns, against the double sum of its docstring written out."""

import numpy as np

from placement.inference.kernel import MAIN, OUTLYING, PASSES, PRIOR, ROUNDS, WIDTHS, Side, alike, sharpened, smooth


def test_the_nearest_rows_are_those_of_a_full_sort() -> None:
    profile = np.random.default_rng(0).normal(size=(40, 6)).astype(np.float32)
    index, weight = alike(profile, 7)
    square = ((profile[:, None] - profile[None]) ** 2).mean(axis=2)
    assert (index == np.argsort(square, axis=1, kind="stable")[:, :7]).all()
    expected = np.exp(-np.take_along_axis(square, index, 1)[:, :, None] / (2 * np.square(WIDTHS)))
    np.testing.assert_allclose(weight, expected, rtol=1e-4, atol=1e-7)


def known_errors() -> tuple[np.ndarray, np.ndarray, Side, Side]:
    """Which of 9 × 7 pairs are known and their errors, one of them far out; rows and columns more or less alike."""
    random = np.random.default_rng(1)
    sides = [alike((0.1 * random.normal(size=(n, 4))).astype(np.float32)) for n in (9, 7)]
    known = random.random((9, 7)) < 0.4
    error = np.where(known, 0.1 * random.normal(size=known.shape), 0.0)
    error[tuple(np.argwhere(known)[3])] = 2.0
    return known, error, sides[0], sides[1]


def whole(side: Side, w: int) -> np.ndarray:
    """All weights between rows: n × n."""
    found = np.zeros((len(side[0]), len(side[0])))
    np.put_along_axis(found, side[0], side[1][:, :, w].astype(float), 1)
    return found


def listed(known: np.ndarray, error: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """By rows: where each begins, the columns, the errors."""
    at_row, at_column = np.nonzero(known)
    return np.searchsorted(at_row, np.arange(len(known) + 1)), at_column, error[known].astype(np.float32)


def test_what_is_left_is_smoothed_again_and_what_lies_far_out_counts_less() -> None:
    known, error, row, column = known_errors()
    sharp, share = sharpened(*listed(known, error), row, column)
    expected, shares = {}, known.astype(float)
    left_main = error
    for _ in range(ROUNDS):
        shares = np.where(known, OUTLYING / np.maximum(np.abs(left_main), OUTLYING), 0.0)
        for w in range(len(WIDTHS)):
            left, right = whole(row, w), whole(column, w)
            total, remains = np.zeros_like(error), error
            for _ in range(PASSES):
                total = total + remains
                smoothed = left @ (shares * remains) @ right.T / (left @ shares @ right.T + PRIOR)
                remains = np.where(known, remains - smoothed, 0.0)
            expected[w] = (shares * total)[known]
            if w == MAIN:
                main = remains
        left_main = main
    np.testing.assert_allclose(share, shares[known], rtol=2e-3)
    np.testing.assert_allclose(sharp, np.stack([expected[w] for w in range(len(WIDTHS))], axis=1), rtol=2e-3, atol=1e-4)
    assert share.min() < 0.1


def test_smoothing_is_the_double_sum_over_both_ends() -> None:
    known, error, row, column = known_errors()
    first, at_column, errors = listed(known, error)
    random = np.random.default_rng(2)
    share = random.random(len(errors)).astype(np.float32)
    sharp = random.normal(size=(len(errors), len(WIDTHS))).astype(np.float32)
    found, work = np.empty((7, len(WIDTHS), 3), np.float32), np.empty((7, len(WIDTHS), 4), np.float32)

    def everywhere(value: np.ndarray) -> np.ndarray:
        matrix = np.zeros(known.shape)
        matrix[known] = value
        return matrix

    for i in range(len(known)):
        smooth(i, first, at_column, errors, sharp, share, *row, *column, work, found)
        for w in range(len(WIDTHS)):
            left, right = whole(row, w), whole(column, w)
            sums = [
                (left @ everywhere(value) @ right.T)[i]
                for value in (sharp[:, w], share, np.abs(errors), np.ones(len(errors)))
            ]
            np.testing.assert_allclose(found[:, w, 0], sums[0] / (sums[1] + PRIOR), atol=1e-5)
            np.testing.assert_allclose(found[:, w, 1], sums[2] / (sums[3] + PRIOR), atol=1e-5)
            np.testing.assert_allclose(found[:, w, 2], np.log(sums[3] + 0.01), atol=1e-4)
