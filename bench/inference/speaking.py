"""When neighbours may speak: how many unmeasured pairs each rule lets through, and how many of these are covered.

python -m bench.inference.speaking

Measured are a part at random, the nearest only, or only what was quick; the rules are those of
`placement.topology.neighbours`, one after the other. The sets are a made world and the clouds of intercloud2022.
"""

import argparse

import numpy as np

from bench.inference.matrix import Matrix
from bench.inference.protocol import Amount, Mask, given, known_of
from bench.inference.scale import world
from bench.inference.sets import intercloud
from bench.tools.machine import machine
from placement.inference import infer
from placement.topology.neighbours import LEAST_PARTNERS, within_say


def main(argv: list[str] | None = None) -> int:
    """Print a line per way of measuring."""
    argparse.ArgumentParser(prog="bench.inference.speaking", description=__doc__).parse_args(argv)
    print(machine())
    made, clouds = world(100, 300, 1), intercloud()
    some = known_of(made, Amount(share=0.03), 0)
    for what, matrix, known in (
        ("made, 10 % at random", made, known_of(made, Amount(share=0.1), 0)),
        ("made, the 30 nearest", made, _nearest(made, 30)),
        ("made, these and 3 % at random", made, _nearest(made, 30) | some),
        ("made, at most 60 ms", made, made.rtt_ms <= 60),
        ("clouds, 20 % at random", clouds, known_of(clouds, Amount(share=0.2), 0)),
        ("clouds, the 8 nearest", clouds, _nearest(clouds, 8)),
        ("clouds, at most 60 ms", clouds, clouds.pairs & (clouds.rtt_ms <= 60)),
    ):
        print(f"{what:30} {_line(matrix, known)}", flush=True)
    return 0


def _nearest(matrix: Matrix, count: int) -> Mask:
    """The nearest so many columns of each row."""
    assert matrix.km is not None
    known = np.zeros(matrix.pairs.shape, bool)
    nearest = np.argsort(np.where(matrix.pairs, matrix.km, np.inf), axis=1)[:, :count]
    np.put_along_axis(known, nearest, True, axis=1)
    return known & matrix.pairs


def _line(matrix: Matrix, known: Mask) -> str:
    """Share of the hidden pairs spoken of and covered, by each rule; rows and columns are two sides here."""
    told = given(Matrix(matrix.name, matrix.rtt_ms, False, matrix.km, matrix.floor_ms), known)
    found = infer(told, 0)
    hidden, truth = matrix.pairs & ~known, matrix.rtt_ms
    partners = np.minimum(known.sum(axis=1, keepdims=True), known.sum(axis=0, keepdims=True))
    assert told.prior_ms is not None
    rules = {
        "of all": np.ones(known.shape, bool),
        "four each": partners >= LEAST_PARTNERS,
        "and as far": within_say(known, told.prior_ms),
    }
    covered = (found.lower_ms <= truth) & (truth <= found.upper_ms)
    parts = []
    for name, said in rules.items():
        asked = hidden & said
        share = f"{100 * covered[asked].mean():.0f} % covered" if asked.any() else "silent"
        parts.append(f"{name}: {100 * asked.sum() / hidden.sum():3.0f} % of pairs, {share}")
    return "; ".join(parts)


if __name__ == "__main__":
    raise SystemExit(main())
