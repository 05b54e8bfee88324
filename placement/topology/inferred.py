"""What is not measured between a pair's own ends, but follows: from neighbours, over links, or from coarser figures.

Which of two sources stands is never decided by whose interval is lower, as long as both are estimates: the lowest of
several upper ends that each cover 95 % covers less. Neighbours, where they may speak at all, take the place of country
and network figures. An average between the pair's own ends and a path over links are other things: the one is of this
very pair, and on the other traffic may be sent, whatever the pair's own round trip is. They stand where they are lower.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from placement.geo import fibre_floor_ms
from placement.topology.aggregate import Figures, distance_ms, figures, fit, mean_distance_km, upper_ms
from placement.topology.direct import Direct
from placement.topology.endpoints import Endpoints
from placement.topology.links import Paths
from placement.topology.neighbours import HeldOut, Neighbours, neighbours, own_average_upper_ms
from placement.topology.pairs import Codes, Float, Provenance
from placement.topology.populace import populaces
from placement.topology.rates import aggregate_mbps

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Inferred:
    """R × P arrays: NaN (samples 0) where nothing follows. Made whole, then narrowed in place by each source."""

    rtt_lower_ms: Float
    rtt_mid_ms: Float  # NaN too where the source knows only the ends
    rtt_upper_ms: Float
    provenance: Codes
    samples: Ints
    observed_at_s: Float
    mbps: Float
    mbps_provenance: Codes
    held_out: HeldOut | None = None  # how well neighbours tell what was measured; None where they were not asked

    @classmethod
    def nothing(cls, shape: tuple[int, int]) -> "Inferred":
        """No pair can be inferred."""
        lower, mid, upper, seen, mbps = (np.full(shape, np.nan) for _ in range(5))
        provenance, mbps_provenance = (np.full(shape, Provenance.NONE, np.int8) for _ in range(2))
        return cls(lower, mid, upper, provenance, np.zeros(shape, np.int64), seen, mbps, mbps_provenance)

    def narrow(
        self,
        block: tuple[Ints, Ints] | tuple[slice, slice],
        lower_ms: Float,
        upper_ms: Float,
        provenance: Provenance,
        samples: Ints | int = 0,
        observed_at_s: Float | float = np.nan,
        mid_ms: Float | float = np.nan,
    ) -> None:
        """Takes the interval wherever its upper end is below what stands there."""
        better = ~np.isnan(upper_ms) & ~(self.rtt_upper_ms[block] <= upper_ms)
        for array, value in (
            (self.rtt_lower_ms, lower_ms),
            (self.rtt_mid_ms, mid_ms),
            (self.rtt_upper_ms, upper_ms),
            (self.provenance, provenance),
            (self.samples, samples),
            (self.observed_at_s, observed_at_s),
        ):
            array[block] = np.where(better, value, array[block])

    def replace_by(self, near: Neighbours) -> None:
        """Takes what neighbours say, wherever they speak."""
        said = ~np.isnan(near.rtt_upper_ms)
        for array, value in (
            (self.rtt_lower_ms, near.rtt_lower_ms),
            (self.rtt_mid_ms, near.rtt_mid_ms),
            (self.rtt_upper_ms, near.rtt_upper_ms),
            (self.observed_at_s, near.observed_at_s),
        ):
            array[said] = value[said]
        self.provenance[said] = Provenance.NEIGHBOURS
        self.samples[said] = 0

    def fill_mbps(self, mbps: Float, provenance: Provenance) -> None:
        """Takes the bandwidth wherever none stands yet."""
        new = np.isnan(self.mbps) & ~np.isnan(mbps)
        self.mbps[new] = mbps[new]
        self.mbps_provenance[new] = provenance


def inferred(
    summaries: pd.DataFrame,
    ends: Endpoints,
    measured: Direct,
    paths: Paths | None,
    regions: pd.DataFrame,
    sites: pd.DataFrame,
    distance_km: Float,
    seed: int | None = 0,
) -> Inferred:
    """What follows for every pair: figures for countries and networks, what neighbours say in their place, and averages
    between the pair's own ends and paths over links where their upper ends are lower. Of bandwidth, what a path has,
    else a country or network. `seed` is for the inference from neighbours, who are not asked where it is None."""
    known = Inferred.nothing((len(regions), len(sites)))
    everything = (slice(None), slice(None))
    coarse = summaries["source"].isin(ends.aggregates) | summaries["target"].isin(ends.aggregates)
    mapped = summaries["source"].isin(ends.names) & summaries["target"].isin(ends.names)
    _narrow_by_aggregates(known, summaries[coarse & mapped], ends, regions, sites, distance_km)
    near = None
    if seed is not None:
        near = neighbours(measured, _expected_ms(known, distance_km), fibre_floor_ms(distance_km), seed)
    if near is not None:
        known.replace_by(near)
    averages_ms = own_average_upper_ms(measured)
    known.narrow(
        everything, measured.rtt_base_ms, averages_ms, Provenance.DIRECT, measured.samples, measured.observed_at_s
    )
    if paths is not None:
        known.narrow(everything, paths.rtt_lower_ms, paths.rtt_upper_ms, Provenance.PATH, mid_ms=paths.rtt_mid_ms)
        known.fill_mbps(paths.mbps, Provenance.PATH)
    known.fill_mbps(aggregate_mbps(summaries[coarse & mapped], ends, distance_km.shape), Provenance.AGGREGATE)
    return known if near is None else replace(known, held_out=near.held_out)


def _expected_ms(known: Inferred, distance_km: Float) -> Float:
    """What a pair's round trip is taken for before any measurement: the middle of its country figure, else distance."""
    middle_ms = np.where(np.isnan(known.rtt_mid_ms), np.sqrt(known.rtt_lower_ms * known.rtt_upper_ms), known.rtt_mid_ms)
    return np.where(np.isnan(middle_ms), distance_ms(distance_km), middle_ms)


def _narrow_by_aggregates(
    known: Inferred,
    coarse: pd.DataFrame,
    ends: Endpoints,
    regions: pd.DataFrame,
    sites: pd.DataFrame,
    distance_km: Float,
) -> None:
    """Intervals from the summaries of which at least one end is a country or a network and both map somewhere."""
    found = figures(coarse)
    if not len(found.a):
        return
    model = fit(found, mean_distance_km(found, populaces(found.names, ends, regions, sites)))
    floor_ms = fibre_floor_ms(distance_km)
    for figure, block in _blocks(found, ends):
        least_ms = np.fmax(found.minimum_ms[figure], floor_ms[block])
        seen = (found.samples[figure], found.observed_at_s[figure])
        if not np.isnan(found.p95_ms[figure]):
            whole = np.full(least_ms.shape, found.p95_ms[figure])
            known.narrow(block, least_ms, np.fmax(whole, least_ms), Provenance.AGGREGATE, *seen)
        elif not np.isnan(model.inflation[figure]):
            centre_ms = model.centre_ms(found, figure, distance_km[block])
            highest_ms = np.fmax(upper_ms(centre_ms), least_ms)
            known.narrow(block, least_ms, highest_ms, Provenance.MODEL, *seen, mid_ms=centre_ms)


def _blocks(found: Figures, ends: Endpoints) -> Iterator[tuple[int, tuple[Ints, Ints]]]:
    """Every figure with the regions of one end and the sites of the other, both ways round."""
    regions, sites = ends.places("region"), ends.places("site")
    for figure, (a, b) in enumerate(zip(found.a, found.b, strict=True)):
        for at_region, at_site in {(a, b), (b, a)}:
            rows, columns = regions.get(found.names[at_region]), sites.get(found.names[at_site])
            if rows is not None and columns is not None:
                yield figure, (rows[:, None], columns[None, :])
