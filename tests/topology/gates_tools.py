"""Places on the equator and rows between them, for the tests of the gates."""

import numpy as np
import pandas as pd

from placement.topology.endpoints import Endpoints, endpoints
from placement.topology.gates import Verdicts, judge_rows

DEGREE_KM = 111.195
"""Along the equator."""


def places(kind: str, **degrees_east: float) -> pd.DataFrame:
    """Regions or sites on the equator."""
    table = pd.DataFrame({kind: list(degrees_east), "latitude": 0.0, "longitude": list(degrees_east.values())})
    return table.sort_values(kind, ignore_index=True)


def row(
    source: str, target: str, base_ms: float, method: str = "icmp", records: int = 1, **more: float
) -> dict[str, object]:
    """A row of summaries of which only the minimum is known, unless more is said."""
    figures = {"rtt_base_ms": base_ms, "rtt_p50_ms": np.nan, "rtt_p95_ms": np.nan, "rtt_avg_ms": np.nan}
    return {
        "source": source, "target": target, "method": method, "family": np.nan, "records": records,
        "observed_at_s": 1.77e9, **figures, **more,
    }  # fmt: skip


def frame(*rows: dict[str, object]) -> pd.DataFrame:
    """Summaries of some rows."""
    return pd.DataFrame(list(rows))


def judged(
    rows: pd.DataFrame,
    regions: pd.DataFrame,
    sites: pd.DataFrame,
    ends: Endpoints | None = None,
    off: tuple[str, ...] = (),
) -> tuple[pd.DataFrame, Verdicts]:
    """What stands of the rows, and the verdicts."""
    known = ends or endpoints(pd.DataFrame(), list(regions["region"]), list(sites["site"]))
    return judge_rows(rows, known, regions, sites, {}, off)


def said(verdicts: Verdicts) -> list[tuple[str, object, object, str]]:
    """Gate, source, target and action of every verdict."""
    columns = verdicts.frame[["gate", "source", "target", "action"]]
    return [tuple(values) for values in columns.itertuples(index=False)]
