"""How often each way of finding an order is needed, and how often all of them miss one that there is.

    python -m bench.diff.orders [MOVES] [SEED]

Random moves between two plans of the tests' small world, each held against brute force over all orders of single
steps, and walked step by step.
"""

import sys
import tempfile
from collections import Counter
from pathlib import Path
from random import Random
from time import process_time

from placement.diff import waves
from placement.diff.ground import ground
from tests.diff.test_waves import ROOMY, THIN, TIGHT, case_of, plan, random_side, states, steps
from tests.diff.walked import safe_order_exists, walk

MOST_STATES = 2000


def main(moves: int = 500, seed: int = 0) -> None:
    """Print the tally."""
    random, tally, spent_s = Random(seed), Counter[str](), 0.0
    with tempfile.TemporaryDirectory() as scratch:
        cases = {limits: case_of(limits, Path(scratch) / f"{limits}") for limits in (TIGHT, ROOMY, THIN)}
        for _ in range(moves):
            limits = random.choice((TIGHT, TIGHT, ROOMY, THIN))
            old, new = random_side(limits, random), random_side(limits, random)
            if states(old, new) > MOST_STATES:
                tally["too many states for brute force"] += 1
                continue
            began = process_time()
            said = steps(cases[limits], old, new)
            spent_s += process_time() - began
            walk(said, limits, old, new)
            exists = safe_order_exists(limits, old, new)
            basis = ground(cases[limits], plan(old), plan(new))
            walked = waves.Walk(basis)
            greedy = not walked.blocked() or not any(waves.lacking(basis, step.routes) for step in walked.waves()[:-1])
            tally[f"{said['method']}{'' if said['safe'] else ', not safe'}"] += 1
            tally["safe"] += said["safe"]
            tally["a safe order of single steps exists"] += exists
            tally["missed"] += exists and not said["safe"]
            tally["missed by the waves alone"] += exists and not greedy
            tally["safe by stopping replicas for a while, where no order of single steps is"] += (
                said["safe"] and not exists
            )
    for what, count in sorted(tally.items(), key=lambda item: (-item[1], item[0])):
        print(f"{count:6,}  {what}")
    print(f"{1000 * spent_s / max(moves, 1):.1f} ms of CPU a move")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
