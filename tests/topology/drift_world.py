"""Pairs made by hand for the tests of drift: one region, N sites, all measured, or whatever is said otherwise."""

from dataclasses import fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from placement.topology import Pairs, Provenance, State

Float = NDArray[np.float64]


def measured(p50_ms: Float, p95_ms: Float, samples: int) -> Pairs:
    """One region with a measured pair to each site, N figures each."""
    at = (1, len(p95_ms))
    return pairs(
        at,
        rtt_state=np.full(at, State.MEASURED, np.int8),
        rtt_provenance=np.full(at, Provenance.DIRECT, np.int8),
        rtt_p50_ms=p50_ms.reshape(at),
        samples=np.full(at, samples),
        **{name: p95_ms.reshape(at) for name in ("rtt_p95_ms", "rtt_lower_ms", "rtt_mid_ms", "rtt_upper_ms")},
    )


def pairs(shape: tuple[int, int], **arrays: Any) -> Pairs:
    """Pairs of r000, r001 … and s000, s001 …, all unknown but for the arrays given."""
    every: dict[str, Any] = {}
    for field in fields(Pairs)[2:]:
        codes = field.name.endswith(("_state", "_provenance"))
        kind, nothing = (np.int8, 0) if codes else (np.int64, 0) if field.name == "samples" else (np.float64, np.nan)
        every[field.name] = np.full(shape, nothing, kind)
    names = [tuple(f"{letter}{i:06}" for i in range(n)) for letter, n in zip("rs", shape, strict=True)]
    return Pairs(regions=names[0], sites=names[1], **{**every, **arrays})
