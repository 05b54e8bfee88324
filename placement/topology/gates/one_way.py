"""One-way times passed off as round trips: figures about half of what others say of the same pairs.

Never judged for one pair. The voices that are compared are a method over all its pairs, and one source by one method;
others are the same pairs by another method (without HTTP, which holds more than a round trip), and the same method
from the other end. A voice is a half if, over eight pairs or more (a method: twenty) that the other sees at 4 ms or
more, the median ratio lies within 0.45 and 0.55 and 80 % of the ratios within 0.4 and 0.6.

A half is excluded if it has a witness: two other voices say so, or 10 % of it and at least three pairs are faster than
light in glass over their distance (the straightest routes at hand take 1.16 times that: half of a round trip is often
below). A half without a witness is flagged: the other may count two round trips, as a handshake does.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from placement.topology.gates.evidence import Evidence, Finding, Mask
from placement.topology.gates.light import GLASS_KM_PER_MS
from placement.topology.gates.units import pair_codes
from placement.topology.gates.verdicts import EXCLUDE, FLAG, verdict_rows

NAME = "one-way"
MIDDLE = (0.45, 0.55)
MOST = (0.4, 0.6)
MOST_SHARE = 0.8
LEAST_MS = 4.0
LEAST_OF_SOURCE, LEAST_OF_METHOD = 8, 20
FASTER_THAN_LIGHT_SHARE, FASTER_THAN_LIGHT_PAIRS = 0.1, 3


class _Half(NamedTuple):
    """A voice (of one source, or of all: None) that is half of others: how many of them, over how many pairs."""

    source: str | None
    method: str
    others: tuple[str, ...]
    pairs: int
    ratio: float


def judge(evidence: Evidence) -> Finding:
    """Excludes, or flags, the rows of methods and of sources that tell half a round trip."""
    out = np.zeros(len(evidence.frame), np.bool_)
    method = evidence.frame["method"].to_numpy(object)
    source = evidence.frame["source"].to_numpy(object)
    told: set[str] = set()
    rows = []
    for half in _halves(_voices(evidence)):
        if half.method in told:
            continue
        which = np.asarray(method == half.method, np.bool_)
        if half.source is None:
            told.add(half.method)
        else:
            which &= source == half.source
        is_sure = len(half.others) >= 2 or _outruns_light(evidence, which)
        if is_sure:
            out |= which
        rows.append(
            {
                "source": half.source,
                "method": half.method,
                "series": int(which.sum()),
                "records": int(evidence.frame["records"].to_numpy()[which].sum()),
                "action": EXCLUDE if is_sure else FLAG,
                "severity": float(half.pairs),
                "why": _why(half, is_sure),
            }
        )
    return Finding(out, verdict_rows(NAME, rows))


def _voices(evidence: Evidence) -> pd.DataFrame:
    """One row per pair, source and method: pair, source, method, rtt_ms (the least of its families)."""
    frame = evidence.frame[["source", "method"]].assign(pair=pair_codes(evidence.frame), rtt_ms=evidence.least_ms)
    usable = frame["rtt_ms"].notna() & (frame["method"] != "http")
    found = frame[usable & (evidence.frame["source"] != evidence.frame["target"])]
    found = found[found.duplicated("pair", keep=False)]  # a pair that only one voice speaks of compares nothing
    return found.groupby(["pair", "source", "method"], sort=True)["rtt_ms"].min().reset_index()


def _halves(voices: pd.DataFrame) -> Iterator[_Half]:
    """Methods first, then sources; sorted."""
    methods = sorted(voices["method"].unique())
    by_method = voices.groupby(["method", "pair"])["rtt_ms"].min()
    for one in methods:
        found = []
        for other in methods:
            if one != other:
                both = pd.concat([by_method[one], by_method[other]], axis=1, join="inner", keys=["one", "other"])
                ratios = (both["one"] / both["other"])[both["other"] >= LEAST_MS].to_numpy()
                if len(ratios) >= LEAST_OF_METHOD and _is_half(ratios):
                    found.append((other, ratios))
        if found:
            others = tuple(other for other, _ in found)
            ratios = np.concatenate([ratios for _, ratios in found])
            yield _Half(None, one, others, max(len(each) for _, each in found), float(np.median(ratios)))
    yield from _half_sources(voices)


def _half_sources(voices: pd.DataFrame) -> Iterator[_Half]:
    """What one source says by one method, against other methods of its own and the same method of the other end."""
    other = voices.rename(columns={"source": "source_b", "method": "method_b", "rtt_ms": "other_ms"})
    parts = []
    for on, right in (("method", ["pair", "method_b"]), ("source", ["pair", "source_b"])):
        both = voices.merge(other, left_on=["pair", on], right_on=right)
        differs = (both["source"] != both["source_b"]) | (both["method"] != both["method_b"])
        near_half = both["rtt_ms"] / both["other_ms"]
        voice = both["source_b"] if on == "method" else both["method_b"]
        parts.append(
            pd.DataFrame(
                {
                    "source": both["source"], "method": both["method"], "kind": on, "voice": voice,
                    "pair": both["pair"], "ratio": near_half,
                }
            )[differs & (both["other_ms"] >= LEAST_MS)]
        )  # fmt: skip
    every = pd.concat(parts, ignore_index=True)
    if not len(every):
        return
    middle = every.groupby(["source", "method", "kind"])["ratio"].median()
    suspects = middle[(middle >= MIDDLE[0]) & (middle <= MIDDLE[1])].reset_index()[["source", "method", "kind"]]
    for (source, method), group in every.merge(suspects).groupby(["source", "method"], sort=True):
        halves = [part for _, part in group.groupby("kind") if _is_half_of_enough(part)]
        if halves:
            found = pd.concat(halves)
            others = tuple(sorted(str(voice) for voice in found["voice"].unique()))
            yield _Half(str(source), str(method), others, int(found["pair"].nunique()), float(found["ratio"].median()))


def _is_half_of_enough(part: pd.DataFrame) -> bool:
    return part["pair"].nunique() >= LEAST_OF_SOURCE and _is_half(part["ratio"].to_numpy(np.float64))


def _is_half(ratios: NDArray[np.float64]) -> bool:
    """Whether ratios to another voice lie about one half."""
    inside = (ratios >= MOST[0]) & (ratios <= MOST[1])
    return bool(MIDDLE[0] <= np.median(ratios) <= MIDDLE[1] and inside.mean() >= MOST_SHARE)


def _outruns_light(evidence: Evidence, which: Mask) -> bool:
    """Whether many of the rows are faster than light, with nothing allowed for where their ends stand."""
    judged = which & (evidence.km > 0) & ~np.isnan(evidence.least_ms)
    faster = judged & (evidence.least_ms * GLASS_KM_PER_MS < evidence.km)
    return bool(faster.sum() >= max(FASTER_THAN_LIGHT_PAIRS, FASTER_THAN_LIGHT_SHARE * judged.sum()))


def _why(half: _Half, is_sure: bool) -> str:
    whose = f"what {half.source} measured by {half.method}" if half.source else f"what {half.method} measured"
    others = ", ".join(half.others[:3]) + (f" and {len(half.others) - 3} more" if len(half.others) > 3 else "")
    said = f"{whose} is {half.ratio:.2f} of what {others} say of the same {half.pairs} pairs"
    return f"{said}: one way, not there and back" if is_sure else f"{said}: one way, or do those count two round trips?"
