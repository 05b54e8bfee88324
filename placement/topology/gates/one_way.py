"""One-way times passed off as round trips: figures about half of what others say of the same pairs.

Never judged for one pair. The voices that are compared are a method over all its pairs, and one source by one method;
others are the same pairs by another method (without HTTP, which holds more than a round trip), and the same method
from the other end. A voice is a half if, over eight pairs or more (a method: twenty) that the other sees at 4 ms or
more, the median ratio lies within 0.45 and 0.55 and 80 % of the ratios within 0.4 and 0.6.

A half is excluded if it has a witness: two other voices say so, or 10 % of it and at least three pairs are faster than
light in glass over their distance (the straightest routes at hand take 1.16 times that: half of a round trip is often
below). A half without a witness is flagged: the other may count two round trips, as a handshake does.

A method that nothing can be compared with is excluded if light contradicts half of its ends or more, of eight or more,
each from three places: so many ends do not stand elsewhere, and half of a round trip is the usual reason.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from placement.topology.gates.blame import contradicted
from placement.topology.gates.evidence import Evidence, Finding, Mask
from placement.topology.gates.light import GLASS_KM_PER_MS
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
    rows = []
    told: set[str] = set()
    for half in _halves(evidence, _voices(evidence)):
        if half.method in told:
            continue
        which = np.asarray(evidence.method == evidence.methods.get_loc(half.method), np.bool_)
        if half.source is None:
            told.add(half.method)
        else:
            which &= evidence.source_name == evidence.names.get_loc(half.source)
        is_sure = len(half.others) >= 2 or _outruns_light(evidence, which)
        if is_sure:
            out |= which
        action = EXCLUDE if is_sure else FLAG
        told_why = _why(half, is_sure)
        rows.append(_verdict(evidence, half.source, half.method, which, action, float(half.pairs), told_why))
    for method, (bad, of) in contradicted(evidence.without(out)).items():
        if of >= LEAST_OF_SOURCE and 2 * bad >= of:
            which = np.asarray((evidence.method == evidence.methods.get_loc(method)) & ~out, np.bool_)
            out |= which
            rows.append(_verdict(evidence, None, method, which, EXCLUDE, float(bad), _why_light(method, bad, of)))
    return Finding(out, verdict_rows(NAME, rows))


def _verdict(
    evidence: Evidence, source: str | None, method: str, which: Mask, action: str, severity: float, why: str
) -> dict[str, object]:
    return {
        "source": source,
        "method": method,
        "series": int(which.sum()),
        "records": evidence.records(which),
        "action": action,
        "severity": severity,
        "why": why,
    }


def _why_light(method: str, bad: int, of: int) -> str:
    return (
        f"three places or more contradict {bad} of {of} ends that {method} measured: faster than light nearly "
        "everywhere, so these are no round trips, or the positions of the places are wrong altogether"
    )


def _voices(evidence: Evidence) -> pd.DataFrame:
    """One row per pair, source and method, all as numbers, and rtt_ms, the least of its families; of pairs that
    several voices speak of."""
    timed = ~np.isnan(evidence.least_ms) & (evidence.source_name != evidence.target_name)
    if "http" in evidence.methods:
        timed &= evidence.method != evidence.methods.get_loc("http")
    frame = pd.DataFrame(
        {
            "pair": evidence.pairs(),
            "source": evidence.source_name,
            "method": evidence.method,
            "rtt_ms": evidence.least_ms,
        }
    )[timed]
    found = frame[frame.duplicated("pair", keep=False)]
    least: pd.DataFrame = found.groupby(["pair", "source", "method"], sort=True, as_index=False).agg({"rtt_ms": "min"})
    return least


def _halves(evidence: Evidence, voices: pd.DataFrame) -> Iterator[_Half]:
    """Methods first, then sources; sorted."""
    spoken = sorted(voices["method"].unique())
    by_method = voices.groupby(["method", "pair"])["rtt_ms"].min()
    for one in spoken:
        found = []
        for other in spoken:
            if one != other:
                both = pd.concat([by_method[one], by_method[other]], axis=1, join="inner", keys=["one", "other"])
                ratios = (both["one"] / both["other"])[both["other"] >= LEAST_MS].to_numpy()
                if len(ratios) >= LEAST_OF_METHOD and _is_half(ratios):
                    found.append((str(evidence.methods[other]), ratios))
        if found:
            others = tuple(other for other, _ in found)
            ratios = np.concatenate([ratios for _, ratios in found])
            most = max(len(each) for _, each in found)
            yield _Half(None, str(evidence.methods[one]), others, most, float(np.median(ratios)))
    yield from _half_sources(evidence, voices)


def _half_sources(evidence: Evidence, voices: pd.DataFrame) -> Iterator[_Half]:
    """What one source says by one method, against the same method of the other ends, and other methods of its own."""
    every = pd.concat([_compared(voices, "method", "source"), _compared(voices, "source", "method")], ignore_index=True)
    middle = every.groupby(["source", "method", "kind"])["ratio"].median()
    suspects = middle[(middle >= MIDDLE[0]) & (middle <= MIDDLE[1])].reset_index()[["source", "method", "kind"]]
    for _, group in every.merge(suspects).groupby(["source", "method"], sort=True):
        halves = [part for _, part in group.groupby("kind") if _is_half_of_enough(part)]
        if halves:
            found = pd.concat(halves)
            names = {"method": evidence.names, "source": evidence.methods}
            told = {str(names[kind][voice]) for kind, voice in zip(found["kind"], found["voice"], strict=True)}
            first = found.iloc[0]
            yield _Half(
                str(evidence.names[int(first["source"])]),
                str(evidence.methods[int(first["method"])]),
                tuple(sorted(told)),
                int(found["pair"].nunique()),
                float(found["ratio"].median()),
            )


def _compared(voices: pd.DataFrame, same: str, differs: str) -> pd.DataFrame:
    """Every voice beside each other that speaks of its pair with the same method (or from the same source):
    source, method, kind (what is the same), voice (the other's source or method), pair and ratio."""
    both = voices.merge(voices, on=["pair", same], suffixes=("", "_b"))
    both = both[(both[differs] != both[f"{differs}_b"]) & (both["rtt_ms_b"] >= LEAST_MS)]
    ratio = both["rtt_ms"] / both["rtt_ms_b"]
    return both[["source", "method", "pair"]].assign(kind=same, voice=both[f"{differs}_b"], ratio=ratio)


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
