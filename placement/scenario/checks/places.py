"""Countries and coordinates."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from placement.scenario.dictionary import tables
from placement.scenario.draft import Draft, at_rows
from placement.scenario.findings import Finding, shortened
from placement.scenario.world import Float, world

NEAR_KM = 500.0  # of a city: generous, for oil fields, bases and islands
PLACES = ("sites", "regions")


def check_countries(draft: Draft) -> Iterator[Finding]:
    """A country is an ISO 3166-1 alpha-2 code in capitals."""
    facts = world()
    for name in sorted(draft.tables):
        for column in tables()[name].columns:
            if column.kind != "country" or not draft.own(name):
                continue
            used = draft.frame(name)[column.name]
            for line, value in used[(used != "") & ~used.isin(facts.countries)].items():
                mend = facts.suggestion(str(value))
                row = int(str(line))
                yield Finding(
                    "unknown-country", draft.file(name), "unknown country", mend, row, column.name, shortened(value)
                )


def check_coordinates(draft: Draft) -> Iterator[Finding]:
    """Latitude and longitude are degrees in range, not swapped, and near the stated country."""
    for name in PLACES:
        frame = draft.frame(name)
        latitude, longitude = (frame[c].to_numpy(np.float64) for c in ("latitude", "longitude"))
        yield from _out_of_range(draft, name, frame, latitude, longitude)
        yield from _not_in_country(draft, name, frame, latitude, longitude)


def _out_of_range(draft: Draft, name: str, frame: pd.DataFrame, latitude: Float, longitude: Float) -> Iterator[Finding]:
    swapped = (np.abs(latitude) > 90) & (np.abs(latitude) <= 180) & (np.abs(longitude) <= 90)
    message = "coordinates swapped: this latitude is out of range and the longitude would be one"
    mend = "Exchange latitude and longitude."
    yield from at_rows(draft, name, frame.index[swapped], "latitude", "coordinates-swapped", message, mend)
    for column, values, most in (("latitude", latitude, 90), ("longitude", longitude, 180)):
        wrong = (np.abs(values) > most) & ~swapped
        message = f"not a {column}: it runs from -{most} to {most} degrees"
        mend = "Write decimal degrees, north and east positive."
        yield from at_rows(draft, name, frame.index[wrong], column, "coordinates-range", message, mend)


def _not_in_country(
    draft: Draft, name: str, frame: pd.DataFrame, latitude: Float, longitude: Float
) -> Iterator[Finding]:
    facts = world()
    usable = (np.abs(latitude) <= 90) & (np.abs(longitude) <= 180)
    for country, rows in frame[usable].groupby("country").groups.items():
        here = frame.index.get_indexer(rows)
        lat, lon = latitude[here], longitude[here]
        away = facts.distance_km(str(country), lat, lon)
        far = away > NEAR_KM
        if not far.any():
            continue
        mirrored = facts.distance_km(str(country), np.clip(lon, -90, 90), lat) <= NEAR_KM
        mirrored &= np.abs(lon) <= 90
        message = f"coordinates swapped: far from {country} as written, inside it once exchanged"
        mend = "Exchange latitude and longitude."
        swapped = frame.index[here[far & mirrored]]
        yield from at_rows(draft, name, swapped, "latitude", "coordinates-swapped", message, mend)
        yield from _far(draft, name, frame, here, str(country), np.where(far & ~mirrored, away, np.nan), lat, lon)


def _far(
    draft: Draft, name: str, frame: pd.DataFrame, here: "np.ndarray[tuple[int], np.dtype[np.intp]]",
    country: str, away: Float, latitude: Float, longitude: Float,
) -> Iterator[Finding]:  # fmt: skip
    facts = world()
    signs = [(-1, 1), (1, -1), (-1, -1)]
    for place in np.nonzero(~np.isnan(away))[0]:
        point = latitude[[place]], longitude[[place]]
        flipped = [s for s in signs if facts.distance_km(country, s[0] * point[0], s[1] * point[1])[0] <= NEAR_KM]
        hint = "A sign is wrong: south and west are negative." if flipped else "Check country and coordinates."
        message = f"coordinates {away[place]:,.0f} km from the nearest known place of {country}"
        line = int(frame.index[here[place]])
        value = f"{latitude[place]:g}, {longitude[place]:g}"
        yield Finding("coordinates-far", draft.file(name), message, hint, line, "latitude", value, "warning")


CHECKS = (check_countries, check_coordinates)
