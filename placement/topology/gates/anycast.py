"""Anycast: an end that is near to everybody stands at many places, and its figures are none of any single one.

Two vantage points and the times from them to one place cannot be farther apart than light gets in both together:

    km(a, b) > 102.1 km/ms · (rtt_a + rtt_b) + slack    →   more than one machine answers

the discs of Cicalese et al. 2015 ("A fistful of pings: accurate and lightweight anycast enumeration and geolocation").
Only ends that light contradicts from three places or more are looked at (`blame`), and from more than a tenth of all
(the lower end of the interval for that share; a few odd records are out one by one, as `light`). Only vantage points
that nothing contradicts are asked. Where most of the contradictions are disputed by another method, or the
end is the source, something beside it answers this method in place of others (a proxy, a firewall): then only what
was measured of it by this method is out. All else that a blamed end
measured is out whatever the method, for the plan wants a figure for a place.
"""

import numpy as np
import pandas as pd

from placement.topology.gates.blame import Blamed, blamed, disjoint
from placement.topology.gates.evidence import Evidence, Finding, Ints
from placement.topology.gates.verdicts import EXCLUDE, verdict_rows

NAME = "anycast"
LEAST_SHARE = 0.1


def judge(evidence: Evidence) -> Finding:
    """Excludes what was measured of ends that no single place can explain."""
    out = np.zeros(len(evidence.frame), np.bool_)
    rows = []
    names = evidence.positions.names
    for one in blamed(evidence):
        ends, instances = disjoint(evidence.positions, one)
        if not len(ends) or one.share <= LEAST_SHARE:
            continue
        is_proxy = max(one.as_source, one.disputed) > 0.5
        which = _rows(evidence, one, is_proxy)
        name = str(names[one.end])
        rows.append(
            {
                "source": name,
                "method": one.method if is_proxy else None,
                "series": len(which),
                "records": evidence.records(which),
                "action": EXCLUDE,
                "severity": float(instances),
                "why": _why(name, one, instances, is_proxy, [str(names[end]) for end in ends]),
            }
        )
        out[which] = True
    return Finding(out, _one_an_end(verdict_rows(NAME, rows)))


def _rows(evidence: Evidence, one: Blamed, is_proxy: bool) -> Ints:
    which = evidence.rows_of(one.end)
    if not is_proxy:
        return which
    by_method = evidence.method[which] == evidence.methods.get_loc(one.method)
    return np.asarray(which[by_method], np.int64)


def _why(name: str, one: Blamed, instances: int, is_proxy: bool, far: list[str]) -> str:
    shown = f"{one.accusers} of {one.judged} places contradict where {name} is said to stand"
    if is_proxy:
        return f"{shown}: by {one.method} it is near to {far[0]} and {far[1]} alike, so something beside it answers"
    return f"{shown}, and no one place is so near to {far[0]} and {far[1]}: at least {instances} machines answer"


def _one_an_end(frame: pd.DataFrame) -> pd.DataFrame:
    """An end that two methods find is told of once, by the one that sees most instances."""
    worst = frame.sort_values(["severity"], ascending=False, kind="stable")
    return worst.drop_duplicates(["source", "method"]).sort_index(ignore_index=True)
