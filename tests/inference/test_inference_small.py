"""Small and odd networks: an interval or nothing, and never a figure that cannot be."""

import numpy as np
import pytest

from placement.inference import Inference, Known, infer


def known(shape: tuple[int, int], pairs: dict[tuple[int, int], float], **more: object) -> Known:
    index = np.array(list(pairs), np.int64).reshape(-1, 2)
    return Known(shape, index[:, 0], index[:, 1], np.array(list(pairs.values()), float), **more)  # type: ignore[arg-type]


def sound(found: Inference, shape: tuple[int, int]) -> None:
    for array in (found.lower_ms, found.mid_ms, found.upper_ms):
        assert array.shape == shape
        assert (np.isnan(array) | (np.isfinite(array) & (array > 0))).all()
    there = ~np.isnan(found.mid_ms)
    assert (there == ~np.isnan(found.lower_ms)).all()
    assert (there == ~np.isnan(found.upper_ms)).all()
    assert (found.lower_ms[there] <= found.mid_ms[there]).all()
    assert (found.mid_ms[there] <= found.upper_ms[there]).all()


def test_of_nothing_nothing_follows() -> None:
    found = infer(known((3, 4), {}))
    assert np.isnan(found.mid_ms).all()


@pytest.mark.parametrize("square", [False, True])
def test_five_by_five_with_six_known_pairs_is_sound(square: bool) -> None:
    pairs = {(0, 1): 10.0, (1, 2): 20.0, (2, 3): 30.0, (3, 4): 40.0, (4, 0): 50.0, (0, 2): 25.0}
    found = infer(known((5, 5), pairs, square=square))
    sound(found, (5, 5))
    assert np.isnan(np.diag(found.mid_ms)).all() == square


def test_no_interval_reaches_below_light() -> None:
    floor = np.full((3, 3), 17.0)
    found = infer(known((3, 3), {(0, 0): 20.0, (1, 1): 30.0, (0, 1): 22.0}, floor_ms=floor))
    sound(found, (3, 3))
    assert found.lower_ms.min() >= 17.0


def test_faults_of_the_input_are_all_named() -> None:
    with pytest.raises(ValueError, match="not a finite figure above 0 ms; 3 × 4 is not square"):
        infer(known((3, 4), {(0, 1): -1.0}, square=True))
