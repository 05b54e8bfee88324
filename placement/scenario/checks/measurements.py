"""What measurements say, streamed: their ends are regions and sites, and nothing is faster than light in fibre."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from placement.geo import FIBRE_KM_PER_RTT_MS, great_circle_km
from placement.scenario.checks.records import batches, least_ms
from placement.scenario.draft import Draft
from placement.scenario.findings import Finding, Severity, shortened
from placement.scenario.world import Float, world

FOLDER = "measurements"
SHOWN = 5
ENOUGH = 20  # records, before a wrong unit is suspected of all of them
MOST_PAIRS = 10_000  # kept by name; beyond it a unit is wrong, not a pair
AGGREGATES = ("country", "asn")  # a figure over many places has no distance of its own
SLACK_KM = 50.0  # coordinates are those of a city
Int = NDArray[np.int64]


@dataclass(frozen=True)
class Places:
    """Where endpoints are: E sorted names, a point each (NaN for countries and ASNs), and how far around they may be.

    A site is at its point. A region's users are within reach of the farthest known city of its country; an endpoint
    of several places is within reach of all of them.
    """

    names: Any  # pyarrow string array, E
    latitude: Float
    longitude: Float
    reach_km: Float


@dataclass
class Tally:
    """Sums over all files. Pairs are numbered source · E + target."""

    records: int = 0
    mapped: int = 0  # records both of whose ends map
    timed: int = 0  # records of mapped pairs whose distance is known
    early: int = 0  # of those, faster than light between the points
    impossible: int = 0  # of those, faster than light wherever within reach
    unmapped: dict[str, int] = field(default_factory=dict)
    pairs: dict[int, tuple[int, float, float]] = field(default_factory=dict)  # records, least ms, floor ms
    examples: list[str] = field(default_factory=list)


def check_measurements(draft: Draft) -> Iterator[Finding]:
    """Every file is native and sound; ends map to regions and sites; no round trip is faster than light in fibre."""
    if not draft.measurements or not {"sites", "regions"} <= set(draft.tables) or "endpoints" in draft.broken:
        return
    places, tally = _places(draft), Tally()
    for name in draft.measurements:
        found: list[Finding] = []
        for table in batches(draft.folder / name, name, found):
            _count(table, places, tally)
        yield from found
    yield from _said_of_ends(tally)
    yield from _said_of_light(draft, tally, places)


def _places(draft: Draft) -> Places:
    """Endpoints of the table, and regions and sites by their own names unless the table lists them."""
    where: dict[tuple[str, str], tuple[float, float, float]] = {}
    for table, key in (("regions", "region"), ("sites", "site")):
        frame = draft.frame(table)
        for name, country, lat, lon in zip(
            frame[key], frame["country"], frame["latitude"], frame["longitude"], strict=True
        ):
            where[(key, name)] = (lat, lon, _reach_km(country, lat, lon) if key == "region" else 0.0)
    listed = draft.frame("endpoints")
    points: dict[str, list[tuple[float, float, float]]] = {}
    aggregates = set(listed.loc[listed["kind"].isin(AGGREGATES), "endpoint"])
    for name, region, site in zip(listed["endpoint"], listed["region"], listed["site"], strict=True):
        place = where.get(("region", region) if region else ("site", site))
        if place is not None:
            points.setdefault(name, []).append(place)
    table_decides = set(listed["endpoint"])
    for (_, name), place in where.items():
        if name not in table_decides:
            points.setdefault(name, []).append(place)
    names = sorted(points)
    merged = np.array([_merged(points[n]) if n not in aggregates else (np.nan,) * 3 for n in names]).reshape(-1, 3)
    return Places(pa.array(names, pa.string()), merged[:, 0], merged[:, 1], merged[:, 2])


def _merged(points: list[tuple[float, float, float]]) -> tuple[float, float, float]:
    """One point, and the reach that covers all of them."""
    latitude, longitude, _ = points[0]
    away = great_circle_km(latitude, longitude, [p[0] for p in points], [p[1] for p in points])
    return latitude, longitude, float(np.max(away + np.array([p[2] for p in points])))


def _reach_km(country: str, latitude: float, longitude: float) -> float:
    """How far the farthest known city of a region's country is from the region's point."""
    cities = world().places.get(country)
    if cities is None or np.isnan(latitude) or np.isnan(longitude):
        return 0.0
    return float(great_circle_km(latitude, longitude, cities[:, 0], cities[:, 1]).max())


def _ends(table: Any, column: str, places: Places) -> Int:
    """Index of each record's end among the places, -1 where it maps nowhere."""
    found = pc.index_in(table[column].cast(pa.string()), places.names)
    alias = f"{column}_alias"
    if alias in table.column_names:
        found = pc.coalesce(found, pc.index_in(table[alias].cast(pa.string()), places.names))
    return np.asarray(pc.fill_null(pc.cast(found, pa.int64()), -1).to_numpy(), np.int64)


def _timed(table: Any, places: Places, source: Int, target: Int) -> tuple[Int, Float, Float, Float]:
    """Of records with a time between known points: pair, least ms, floor ms between the points, and within reach."""
    low = least_ms(table)
    usable = (source >= 0) & (target >= 0) & ~np.isnan(low)
    a, b = source[usable], target[usable]
    away = great_circle_km(places.latitude[a], places.longitude[a], places.latitude[b], places.longitude[b])
    points = np.maximum(away - SLACK_KM, 0) / FIBRE_KM_PER_RTT_MS
    reach = np.maximum(away - SLACK_KM - places.reach_km[a] - places.reach_km[b], 0) / FIBRE_KM_PER_RTT_MS
    known = ~np.isnan(away)
    return (a * len(places.names) + b)[known], low[usable][known], points[known], reach[known]


def _count(table: Any, places: Places, tally: Tally) -> None:
    tally.records += table.num_rows
    ends = {column: _ends(table, column, places) for column in ("source", "target")}
    tally.mapped += int(((ends["source"] >= 0) & (ends["target"] >= 0)).sum())
    for column, places_of in ends.items():
        lost = pc.filter(table[column].cast(pa.string()), pa.array(places_of < 0))
        for item in pc.value_counts(pc.fill_null(lost, "")).to_pylist():
            tally.unmapped[item["values"]] = tally.unmapped.get(item["values"], 0) + int(item["counts"])
    pair, low, points, reach = _timed(table, places, ends["source"], ends["target"])
    tally.timed += len(pair)
    early, impossible = low < points, low < reach
    tally.early += int(early.sum())
    tally.impossible += int(impossible.sum())
    for row in np.nonzero(early & ~impossible)[0][: SHOWN - len(tally.examples)]:
        tally.examples.append(f"{_pair_name(places, int(pair[row]))} {low[row]:.3g} ms, floor {points[row]:.3g} ms")
    for number in np.unique(pair[impossible])[: MOST_PAIRS - len(tally.pairs)]:
        mine = impossible & (pair == number)
        count, least, _ = tally.pairs.get(int(number), (0, np.inf, 0.0))
        tally.pairs[int(number)] = (
            count + int(mine.sum()),
            min(least, float(low[mine].min())),
            float(reach[mine].max()),
        )


def _pair_name(places: Places, pair: int) -> str:
    source, target = divmod(pair, len(places.names))
    return f"{places.names[source].as_py()} → {places.names[target].as_py()}"


def _said_of_ends(tally: Tally) -> Iterator[Finding]:
    if not tally.unmapped:
        return
    most = sorted(tally.unmapped.items(), key=lambda item: (-item[1], item[0]))
    records = sum(tally.unmapped.values())
    shown = ", ".join(f"{shortened(name or '(empty)', 40)} ({count} records)" for name, count in most[:SHOWN])
    more = f", and {len(most) - SHOWN} more" if len(most) > SHOWN else ""
    message = f"{len(most)} endpoints map to no region and no site ({records} ends of records): {shown}{more}"
    mend = "Add them to endpoints with their region or site, or leave them: their records are not used."
    severity: Severity = "error" if not tally.mapped else "warning"
    yield Finding("unmapped-endpoint", FOLDER, message, mend, None, "endpoint", shortened(most[0][0]), severity)


def _said_of_light(draft: Draft, tally: Tally, places: Places) -> Iterator[Finding]:
    if tally.timed >= ENOUGH and tally.impossible > tally.timed / 2:
        message = (
            f"{tally.impossible} of {tally.timed} round trips are faster than light in fibre: it looks like seconds"
        )
        yield Finding("faster-than-light", FOLDER, message, "Times are milliseconds: import the files again.")
        return
    if tally.pairs:
        yield from _said_of_pairs(draft, tally, places)
    if tally.examples:
        count = tally.early - tally.impossible
        what = "below light in fibre between the points of region and site"
        message = f"{count} round trips {what}: {'; '.join(tally.examples)}"
        mend = "Fine where users are nearer than their region's point; else check coordinates and endpoints."
        yield Finding("faster-than-light", FOLDER, message, mend, severity="warning")


def _said_of_pairs(draft: Draft, tally: Tally, places: Places) -> Iterator[Finding]:
    """A pair all of whose records are impossible is an error: one of its ends is elsewhere. Single records are not."""
    numbers = np.array(sorted(tally.pairs))
    records = np.zeros(len(numbers), np.int64)
    for name in draft.measurements:
        for table in batches(draft.folder / name, name, []):
            ends = _ends(table, "source", places), _ends(table, "target", places)
            pair = _timed(table, places, *ends)[0]
            records += np.bincount(np.searchsorted(numbers, pair[np.isin(pair, numbers)]), minlength=len(numbers))
    mend = "An end is not where it is said to be (anycast, wrong coordinates, wrong endpoint), or the time is wrong."
    for number, total in zip(numbers, records, strict=True):
        count, least, floor = tally.pairs[int(number)]
        pair_name = _pair_name(places, int(number))
        message = f"RTT below light in fibre: {pair_name} took {least:.3g} ms, and light takes at least {floor:.3g} ms"
        of = f"{message} ({count} of its {int(total)} records)"
        severity: Severity = "error" if count == total else "warning"
        yield Finding("faster-than-light", FOLDER, of, mend, None, "rtt_ms", f"{least:.6g}", severity)


CHECKS = (check_measurements,)
