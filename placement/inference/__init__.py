"""Round trips of pairs that nobody measured, from those that somebody did: arrays in, intervals out.

`Known` is what is known of a network, `Inference` what follows for every pair of it. Nothing here knows of scenarios,
files or records; `placement.topology` asks.

    known ─► links (sorted, logarithms, folds) ─► a view without each fold: embedding ─► kernel ─┐
             └► strangers (ends that nobody measured)                          boosting, intervals ◄┘
"""

from placement.inference.known import Inference, Known

__all__ = ["Inference", "Known", "infer"]


def infer(known: Known, seed: int = 0) -> Inference:
    """5 %, 50 % and 95 % of the chance of every pair's round trip, ms; docs/inference.md says how.

    The same arrays and seed give the same bytes, whatever the order of the known pairs and the number of threads.

    Raises:
        ValueError: an index outside of the shape, a pair twice, a round trip that is not finite and above 0, a matrix
            of another shape, a pair of a node with itself.
    """
    from placement.inference.inferring import inferred  # noqa: PLC0415  heavy: numba

    return inferred(known, seed)
