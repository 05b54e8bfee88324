"""Derives the constants of `placement.topology.aggregate` again, from figures whose spread is known.

Inter-cloud averages between 45 regions stand for countries: of each pair of countries with several pairs of
regions, one pair of regions is held out, the others make the figure, and the model predicts the one held out.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from placement.datasets import dataset
from placement.geo import fibre_floor_ms, great_circle_km
from placement.topology.aggregate import LEAST_SAMPLES, Figures, fit

Float = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Held:
    """One row per pair of regions held out: what was measured, what the model's centre is, km, countries, siblings."""

    rtt_ms: Float
    centre_ms: Float
    km: Float
    own: NDArray[np.bool_]
    siblings: NDArray[np.int64]

    def spread(self, jitter_ms: float, rows: NDArray[np.bool_] | None = None, share: float = 0.95) -> float:
        """The least spread at which `share` of the pairs lie below centre · (1 + spread) + jitter."""
        needed = (self.rtt_ms - jitter_ms) / self.centre_ms - 1
        return float(np.quantile(needed if rows is None else needed[rows], share))


def _runs() -> pd.DataFrame:
    """Averages between different cloud regions in the order of their times: source, target, rtt_avg_ms."""
    path = dataset("intercloud-2022") / "measurements" / "intercloud-2022.csv"
    runs = pd.read_csv(path, keep_default_na=False, na_values={"rtt_avg_ms": ""})
    return runs[runs["rtt_avg_ms"].notna() & (runs["source"] != runs["target"])].sort_values("observed_at")


def cloud_pairs() -> pd.DataFrame:
    """Unordered pairs of different cloud regions: a, b, country_a <= country_b, km, rtt_ms (median of runs)."""
    place = pd.read_csv(dataset("intercloud-2022") / "sites.csv", keep_default_na=False).set_index("site")
    runs = _runs()
    ends = np.sort(runs[["source", "target"]].to_numpy(str), axis=1)
    pairs = runs.assign(a=ends[:, 0], b=ends[:, 1]).groupby(["a", "b"])["rtt_avg_ms"].median()
    pairs = pairs.rename("rtt_ms").reset_index()
    at = [place.loc[pairs[end], ["latitude", "longitude"]].to_numpy(np.float64).T for end in ("a", "b")]
    pairs["km"] = great_circle_km(*at[0], *at[1])
    countries = np.sort(np.column_stack([place.loc[pairs[end], "country"] for end in ("a", "b")]).astype(str), axis=1)
    return pairs.assign(country_a=countries[:, 0], country_b=countries[:, 1])


def repeated_runs() -> tuple[Float, Float]:
    """Earlier and later averages of the same directed pair of cloud regions, in ms."""
    runs = _runs()
    later = runs.groupby(["source", "target"])["rtt_avg_ms"].shift(-1)
    known = later.notna()
    return runs.loc[known, "rtt_avg_ms"].to_numpy(np.float64), later[known].to_numpy(np.float64)


def hold_out(pairs: pd.DataFrame, least: int = 4) -> Held:
    """Predicts every pair of regions whose countries have at least `least` pairs, from the others of its countries."""
    groups = [(key, rows) for key, rows in pairs.groupby(["country_a", "country_b"], sort=True)]
    whole = np.array([[rows["rtt_ms"].mean(), rows["rtt_ms"].min(), rows["km"].mean()] for _, rows in groups])
    names = sorted({*pairs["country_a"], *pairs["country_b"]})
    a, b = (np.array([names.index(key[end]) for key, _ in groups]) for end in (0, 1))
    found = []
    for index, (key, rows) in enumerate(groups):
        for held in rows.itertuples() if len(rows) >= least else ():
            rest = rows.drop(held.Index)
            table = whole.copy()
            table[index] = rest["rtt_ms"].mean(), rest["rtt_ms"].min(), rest["km"].mean()
            centre_ms = _centre_ms(tuple(names), a, b, table, index, float(held.km))
            found.append((held.rtt_ms, centre_ms, held.km, key[0] == key[1], len(rest)))
    return Held(*[np.array(column) for column in zip(*found, strict=True)])


def _centre_ms(names: tuple[str, ...], a: Ints, b: Ints, table: Float, index: int, km: float) -> float:
    """The model's centre over `km` between the countries of figure `index`; few pairs pass for ten samples."""
    unknown = np.full(len(a), np.nan)
    samples = np.full(len(a), LEAST_SAMPLES)
    figures = Figures(names, a, b, table[:, 0], table[:, 1], unknown, samples, unknown)
    return float(fit(figures, table[:, 2]).centre_ms(figures, index, np.array(km)))


def slope_of_believable_minima(figures: pd.DataFrame, km: Float) -> float:
    """Slope of the minimum over light in fibre between countries, by least absolute deviations with an intercept."""
    light_ms = fibre_floor_ms(km)
    minimum = figures["rtt_min_ms"].to_numpy(np.float64)
    known = (figures["source"] != figures["target"]).to_numpy() & (minimum >= light_ms)
    design = np.column_stack([np.ones(known.sum()), light_ms[known]])
    weight = np.ones(known.sum())
    for _ in range(200):
        root = np.sqrt(weight)
        answer = np.linalg.lstsq(design * root[:, None], minimum[known] * root, rcond=None)[0]
        weight = 1 / np.maximum(np.abs(minimum[known] - design @ answer), 1e-3)
    return float(answer[1])
