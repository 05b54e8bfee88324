"""What the gates found: one row for each thing that was excluded or flagged, with the reason in words."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

EXCLUDE = "exclude"
FLAG = "flag"

KINDS = {
    "gate": "object",
    "source": "object",
    "target": "object",
    "method": "object",
    "family": "Int64",
    "first_day": "Int32",
    "last_day": "Int32",
    "series": "int64",
    "records": "int64",
    "action": "object",
    "severity": "float64",
    "why": "object",
}
SERIES = ("source", "target", "method", "family")


@dataclass(frozen=True)
class Verdicts:
    """`frame` has one row a verdict, sorted by gate, source, target, method, family and first day:

    | column | meaning |
    |---|---|
    | gate | its name |
    | source, target, method, family | the series it speaks of; None means any: a whole end, a whole method |
    | first_day, last_day | days since 1970 UTC, both included; NA: all of the window |
    | series, records | how many it speaks of |
    | action | `exclude`: not used, as if it had never been measured; `flag`: shown, still used |
    | severity | how far beyond the rule, 1 at the rule itself; comparable within a gate only |
    | why | a sentence |

    `off` names the gates that the scenario switched off.
    """

    frame: pd.DataFrame = field(default_factory=lambda: verdict_rows("", []))
    off: tuple[str, ...] = ()

    @classmethod
    def together(cls, parts: Iterable["Verdicts"]) -> "Verdicts":
        """One of several, in the order of `frame`, whatever theirs."""
        every = list(parts)
        frames = [one.frame for one in every if len(one.frame)]
        frame = pd.concat(frames, ignore_index=True) if frames else verdict_rows("", [])
        by = ["gate", *SERIES, "first_day", "action", "why"]
        frame = frame.sort_values(by, na_position="first", kind="stable", ignore_index=True)
        return cls(frame, tuple(sorted({name for one in every for name in one.off})))

    def excluded_days(self) -> pd.DataFrame:
        """Columns source, target, method, family and day: the days of series that are not to be merged."""
        spans = self.frame[(self.frame["action"] == EXCLUDE) & self.frame["first_day"].notna()]
        first, last = (spans[name].to_numpy(np.int64) for name in ("first_day", "last_day"))
        days = last - first + 1
        found = spans.loc[spans.index.repeat(days), list(SERIES)].reset_index(drop=True)
        nth = np.arange(int(days.sum())) - np.repeat(np.cumsum(days) - days, days)
        found["family"] = found["family"].astype("Float64").to_numpy(np.float64, na_value=np.nan)
        return found.assign(day=(np.repeat(first, days) + nth).astype(np.int32))

    def by_gate(self, gates: Sequence[str]) -> pd.DataFrame:
        """One row for each of the gates, in their order: gate, state (`on`, `off`), verdicts, series, excluded and
        flagged (records), worst (the reason of the worst verdict, exclusions first; "" where there is none)."""
        rows = []
        for gate in gates:
            found = self.frame[self.frame["gate"] == gate]
            out = found["action"] == EXCLUDE
            ranked = found.assign(out=out).sort_values(["out", "severity"], ascending=False, kind="stable")
            rows.append(
                {
                    "gate": gate,
                    "state": "off" if gate in self.off else "on",
                    "verdicts": len(found),
                    "series": int(found["series"].sum()),
                    "excluded": int(found.loc[out, "records"].sum()),
                    "flagged": int(found.loc[~out, "records"].sum()),
                    "worst": str(ranked["why"].iloc[0]) if len(ranked) else "",
                }
            )
        return pd.DataFrame(rows)


def verdict_rows(gate: str, rows: Iterable[Mapping[str, object]]) -> pd.DataFrame:
    """Verdicts of one gate as a frame of the columns above; a key that a row lacks is absent, `series` is then one."""
    frame = pd.DataFrame(list(rows), columns=list(KINDS))
    frame["gate"] = gate
    frame["series"] = frame["series"].fillna(1)
    frame = frame.astype(KINDS)
    words = [name for name, kind in KINDS.items() if kind == "object"]
    frame[words] = frame[words].where(frame[words].notna(), None)
    return frame


def as_date(day: int) -> str:
    """A day since 1970 as people write it."""
    return str(np.datetime64(int(day), "D"))


def spoken_ms(value: float) -> str:
    """Milliseconds to three figures: 0.0512 ms, 51.2 ms, 51,200 ms."""
    return f"{value:,.0f} ms" if value >= 100 else f"{value:.3g} ms"
