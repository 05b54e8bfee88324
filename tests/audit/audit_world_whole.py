"""A second world worked out by hand, with every rule that the first lacks, and a plan that keeps them all.

Two periods of 6 and 12 months, three slices (rush 1 h, day 11 h, night 12 h), two metros that may fail one at a time
(oslo, turku) and a cloud that nobody uses. The bank's replicas have a server of their own, and may not leave Norway.
Replicas may follow the slices. Limits are met exactly wherever a plan can.
"""

from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from audit_arrays import nothing_more
from audit_whole_plan import BEFORE, FIRST, NAMES, PLAN, ROUTES, SECOND, SHARES
from audit_whole_tables import DOCUMENT, TABLES
from audit_world import frame, pairs, write

from placement.scenario import Document, Scenario
from placement.topology.pairs import Pairs


def scenario(
    folder: Path, changes: Mapping[str, str | None] | None = None, document: Mapping[str, Any] | None = None
) -> Scenario:
    """The scenario in a folder that holds the plan before; `document` merges into the sections."""
    texts = {name: text for name, text in {**TABLES, **(changes or {})}.items() if text is not None}
    merged = deepcopy(DOCUMENT)
    for section, value in (document or {}).items():
        merged[section] = {**merged[section], **value} if isinstance(merged.get(section), dict) else value
    frames = {name: frame(name, text) for name, text in texts.items()}
    return Scenario(folder, Document.model_validate(merged), frames, (), (), {"sites.csv": "5" * 64})


def whole_pairs(**changes: Any) -> Pairs:
    """norse to oslo 10 ms, to turku 20 ms, to the cloud 40 ms; no bandwidth is known."""
    size = (1, 3)
    figures: dict[str, Any] = {
        "regions": ("norse",),
        "sites": ("oslo", "turku", "cloud"),
        "rtt_state": np.full(size, 2, np.int8),
        "rtt_provenance": np.full(size, 1, np.int8),
        **{
            name: np.array([[10.0, 20.0, 40.0]])
            for name in ("rtt_base_ms", "rtt_p50_ms", "rtt_p95_ms", "rtt_lower_ms", "rtt_mid_ms", "rtt_upper_ms")
        },
        "loss": np.zeros(size),
        "jitter_ms": np.ones(size),
        "samples": np.full(size, 50, np.int64),
        "mbps_state": np.zeros(size, np.int8),
        "mbps_provenance": np.zeros(size, np.int8),
        "mbps": np.full(size, np.nan),
        "observed_at_s": np.full(size, 1.7e9),
    }
    return pairs(**{**figures, **changes})


def certificate() -> dict[str, np.ndarray]:
    """All prices zero, in both periods."""
    none = np.array([], np.str_)
    found = {
        "schema": np.array("nearserve-certificate-6"),
        "period": np.array([FIRST, SECOND]),
        "site": np.array(["cloud", "oslo", "turku"]),
        "slice": np.array(["day", "night", "rush"]),
    }
    for h, period in enumerate((FIRST, SECOND)):
        rows = [(service, name) for of, service, name, *_ in SHARES if of == period]
        columns = (["norse"] * 4, ["m"] * 4, [row[0] for row in rows], [row[1] for row in rows])
        for column, values in zip(("region", "model", "service", "slice"), columns, strict=True):
            found[f"p{h}_demand_{column}"] = np.array(values)
        found |= {f"p{h}_{name}": value for name, value in nothing_more().items()}
        found |= {
            f"p{h}_demand_usd": np.zeros(4),
            f"p{h}_uplink_usd": np.zeros((3, 3)),
            f"p{h}_downlink_usd": np.zeros((3, 3)),
            f"p{h}_limit": none,
            f"p{h}_limit_usd": np.zeros(0),
            f"p{h}_budget": np.array(0.0),
        }
    return found


def routes_table(routes: Any = ROUTES) -> pa.Table:
    """routes.parquet as a table."""
    return pa.table(
        {
            name: pa.array([row[j] for row in routes], pa.int64() if name == "share_ppb" else pa.string())
            for j, name in enumerate(NAMES)
        }
    )


def written(folder: Path, document: Any = None, routes: Any = ROUTES, before: Any = None) -> Path:
    """A plan folder below `folder`, and the plan before beside it; the valid plan unless told otherwise."""
    table = routes if isinstance(routes, pa.Table) else routes_table(routes)
    write(folder / "before", BEFORE if before is None else before, table, certificate())
    return write(folder / "plan", PLAN if document is None else document, table, certificate())
