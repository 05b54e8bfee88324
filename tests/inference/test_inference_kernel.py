"""Smoothing over alike rows and columns, against the double sum of its docstring written out."""

import numpy as np

from placement.inference.kernel import PRIOR, WIDTHS, alike, smooth


def test_the_nearest_rows_are_those_of_a_full_sort() -> None:
    profile = np.random.default_rng(0).normal(size=(40, 6)).astype(np.float32)
    index, weight = alike(profile, 7)
    square = ((profile[:, None] - profile[None]) ** 2).mean(axis=2)
    assert (index == np.argsort(square, axis=1, kind="stable")[:, :7]).all()
    expected = np.exp(-np.take_along_axis(square, index, 1)[:, :, None] / (2 * np.square(WIDTHS)))
    np.testing.assert_allclose(weight, expected, rtol=1e-4, atol=1e-7)


def test_smoothing_is_the_double_sum_over_both_ends() -> None:
    random = np.random.default_rng(1)
    rows, columns = 9, 7
    row_side = alike((0.1 * random.normal(size=(rows, 4))).astype(np.float32))
    column_side = alike((0.1 * random.normal(size=(columns, 4))).astype(np.float32))
    known = random.random((rows, columns)) < 0.4
    error = np.where(known, random.normal(size=(rows, columns)), 0.0)
    at_row, at_column = np.nonzero(known)
    first = np.searchsorted(at_row, np.arange(rows + 1))
    found, work = (np.empty((columns, len(WIDTHS), 3), np.float32) for _ in range(2))
    for i in range(rows):
        smooth(i, first, at_column, error[known].astype(np.float32), *row_side, *column_side, work, found)
        for w in range(len(WIDTHS)):
            left, right = np.zeros((rows, rows)), np.zeros((columns, columns))
            np.put_along_axis(left, row_side[0], row_side[1][:, :, w].astype(float), 1)
            np.put_along_axis(right, column_side[0], column_side[1][:, :, w].astype(float), 1)
            count = (left @ known @ right.T)[i]
            np.testing.assert_allclose(found[:, w, 0], (left @ error @ right.T)[i] / (count + PRIOR), atol=1e-5)
            np.testing.assert_allclose(found[:, w, 1], (left @ np.abs(error) @ right.T)[i] / (count + PRIOR), atol=1e-5)
            np.testing.assert_allclose(found[:, w, 2], np.log(count + 0.01), atol=1e-4)
