"""Stale pairs: nobody has measured them for long, while others still are measured.

What lies before the window (`limits.max_age_days` before the planning date, or the days asked for) is not used; a pair
of which nothing newer exists is told of here. A series whose newest record is seven days older than the newest of all
is flagged: its figures stand, but its source may be gone.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from placement.topology.gates.evidence import Evidence, Finding
from placement.topology.gates.verdicts import EXCLUDE, FLAG, as_date, verdict_rows

NAME = "stale"
LEAST_DAYS = 7.0
S_PER_DAY = 86_400.0
ARROW = " → "


def judge(evidence: Evidence) -> Finding:
    """Flags series that ended days before the others; excludes none."""
    out = np.zeros(len(evidence.frame), np.bool_)
    seen_s = evidence.frame["observed_at_s"].to_numpy(np.float64)
    if not (seen_s > 0).any():
        return Finding(out, verdict_rows(NAME, []))
    behind_days = (np.nanmax(seen_s) - seen_s) / S_PER_DAY
    which = behind_days >= LEAST_DAYS
    rows = evidence.described(which)
    for row, at in zip(rows, np.flatnonzero(which), strict=True):
        last = int(seen_s[at] // S_PER_DAY)
        row["action"], row["severity"] = FLAG, float(behind_days[at] / LEAST_DAYS)
        row["why"] = (
            f"{row['source']} to {row['target']} by {row['method']} was last measured on {as_date(last)}, "
            f"{behind_days[at]:,.0f} days before the newest record"
        )
    return Finding(out, verdict_rows(NAME, rows))


def before_window(stale: Mapping[str, int], frame: pd.DataFrame) -> pd.DataFrame:
    """Verdicts on pairs that have records before the window only; `stale` counts them by "source → target"."""
    fresh = set(zip(frame["source"], frame["target"], strict=True)) if stale else set()
    rows = []
    for pair in sorted(stale):
        source, _, target = pair.partition(ARROW)
        if (source, target) not in fresh:
            records = "1 record, older" if stale[pair] == 1 else f"{stale[pair]:,} records, all older"
            why = f"{source} to {target} has {records} than the window of days that count"
            rows.append(
                {"source": source, "target": target, "records": stale[pair], "action": EXCLUDE, "severity": 1.0,
                 "why": why}
            )  # fmt: skip
    return verdict_rows(NAME, rows)
