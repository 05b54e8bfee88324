"""Distances on the globe and what light in fibre allows."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

EARTH_RADIUS_KM = 6371.0088  # mean radius, IUGG
FIBRE_KM_PER_RTT_MS = 100.0  # light in fibre runs about 200 km a millisecond, and a round trip goes twice


def great_circle_km(
    latitude_a: ArrayLike, longitude_a: ArrayLike, latitude_b: ArrayLike, longitude_b: ArrayLike
) -> NDArray[np.float64]:
    """Great-circle distance in km by the haversine formula; degrees in, broadcasts like numpy."""
    lat_a, lon_a, lat_b, lon_b = (
        np.radians(np.asarray(v, np.float64)) for v in (latitude_a, longitude_a, latitude_b, longitude_b)
    )
    half = np.sin((lat_b - lat_a) / 2) ** 2 + np.cos(lat_a) * np.cos(lat_b) * np.sin((lon_b - lon_a) / 2) ** 2
    return np.asarray(2 * EARTH_RADIUS_KM * np.arcsin(np.sqrt(np.clip(half, 0.0, 1.0))), np.float64)


def fibre_floor_ms(distance_km: ArrayLike) -> NDArray[np.float64]:
    """The least round-trip time in ms that light in fibre allows over `distance_km`."""
    return np.asarray(distance_km, np.float64) / FIBRE_KM_PER_RTT_MS
