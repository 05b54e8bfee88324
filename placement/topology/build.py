"""Scenario and measurements to the topology: every pair in exactly one state, and what could not be used by name."""

from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from placement.geo import fibre_floor_ms, great_circle_km
from placement.topology.between import between_sites
from placement.topology.chance import LEAST_MS
from placement.topology.coverage import coverage
from placement.topology.direct import Direct, direct
from placement.topology.endpoints import Endpoints, endpoints
from placement.topology.gates import Verdicts, judge_days, judge_rows, positions
from placement.topology.inferred import Inferred, inferred
from placement.topology.links import Paths, backbone, shortest_paths
from placement.topology.matches import match
from placement.topology.neighbours import HeldOut
from placement.topology.pairs import Float, Pairs, Provenance, State
from placement.topology.summaries import Days, Window, days_of_folder, days_of_table, window_start
from probes.table import empty_table

if TYPE_CHECKING:
    from placement.scenario import Scenario


@dataclass(frozen=True)
class Topology:
    """What is known of the network of one scenario.

    `summaries` is the frame of `summaries.Summaries` without what quality gates left out, `verdicts` says what that is
    and why (docs/quality.md); `unmapped` counts records by the name of an end that stands for
    no region and no site; `stale` counts records too old for the window, by "source → target". `between` has what
    sites measured of each other (`between.between_sites`), `paths` the ways over links, None where there are none.
    `regions`, `sites`, `links`, `domains` and `demand` are the scenario's tables. `held_out` says how well
    neighbours tell what was measured, None where they are not asked (`neighbours`).
    """

    pairs: Pairs
    summaries: pd.DataFrame
    verdicts: Verdicts
    unmapped: Mapping[str, int]
    stale: Mapping[str, int]
    regions: pd.DataFrame
    sites: pd.DataFrame
    between: pd.DataFrame
    paths: Paths | None
    links: pd.DataFrame
    domains: pd.DataFrame
    demand: pd.DataFrame
    held_out: HeldOut | None

    def coverage(self) -> pd.DataFrame:
        """How well the pairs are known, by the region's country: see `coverage.coverage`."""
        return coverage(self.pairs, self.regions, self.demand)


def build_pairs(scenario: "Scenario", window: Window | None = None) -> Topology:
    """The topology of a scenario from the records in its `measurements` folder: those of the days in `window`, by
    default the `limits.max_age_days` before the planning date and all after it. Later ones are not seen at all.

    Raises:
        probes.reading.BadRecordsError: a file in the folder is no native record file; every bad record is named.
    """
    folder = scenario.folder / "measurements"
    if window is None:
        window = Window(window_start(scenario.document.planning_date, scenario.document.limits.max_age_days))
    first, last = window.first, window.last
    quality, seed = scenario.document.quality, scenario.document.seed
    names = ("regions", "sites", "endpoints", "links", "domains", "demand")
    tables = {name: scenario.table(name) for name in names}
    if not folder.is_dir():
        return build_topology(empty_table(), tables, first)
    lot = seed if quality.neighbours else None
    return _topology(lambda known: days_of_folder(folder, known, first, until=last), tables, quality.off, lot)


def build_topology(
    records: Any,
    tables: Mapping[str, pd.DataFrame],
    newer_than: date | None = None,
    off: Collection[str] = (),
    seed: int | None = 0,
) -> Topology:
    """The topology from records (a pyarrow Table of `probes.table.SCHEMA`) and the tables regions, sites, endpoints,
    links, domains and demand of a scenario; records before `newer_than` are counted as stale; `off` names quality
    gates that are not asked. `seed` is for what is inferred from neighbours, None where nothing is to be. The order of
    rows is immaterial.
    """
    return _topology(lambda known: days_of_table(records, known, newer_than), tables, off, seed)


def _topology(
    days_under: Callable[[Collection[str]], AbstractContextManager[Days]],
    tables: Mapping[str, pd.DataFrame],
    off: Collection[str],
    seed: int | None,
) -> Topology:
    """The topology of the days that `days_under` gives, ends named as the scenario knows them."""
    regions = tables["regions"].sort_values("region", ignore_index=True)
    sites = tables["sites"].sort_values("site", ignore_index=True)
    ends = endpoints(tables["endpoints"], list(regions["region"]), list(sites["site"]))
    of_days: list[Verdicts] = []
    where = positions(ends, regions, sites)

    def not_to_merge(daily: pd.DataFrame) -> pd.DataFrame:
        of_days.append(judge_days([daily], where, off))
        return of_days[-1].excluded_days()

    with days_under(ends.names) as days:
        found = days.summaries(not_to_merge)
    standing, of_rows = judge_rows(found.frame, ends, regions, sites, found.stale, off)
    unmapped, stale = _unmapped(found.frame, ends), found.stale
    del found  # where rows are out, the frame with them is another one, and as large
    matches = match(standing, ends)
    measured = direct(standing, matches, (len(regions), len(sites)))
    distance_km = great_circle_km(
        regions["latitude"].to_numpy()[:, None],
        regions["longitude"].to_numpy()[:, None],
        sites["latitude"].to_numpy()[None, :],
        sites["longitude"].to_numpy()[None, :],
    )
    between = between_sites(standing, ends, len(sites))
    edges = backbone(tables["links"], between, regions, sites)
    paths = shortest_paths(measured, edges)
    known = inferred(standing, ends, measured, paths, regions, sites, distance_km, seed)
    return Topology(
        pairs=_pairs(regions, sites, measured, known, fibre_floor_ms(distance_km)),
        summaries=standing,
        verdicts=Verdicts.together([*of_days, of_rows]),
        unmapped=unmapped,
        stale=stale,
        regions=regions,
        sites=sites,
        between=between,
        paths=paths,
        links=tables["links"],
        domains=tables["domains"],
        demand=tables["demand"],
        held_out=known.held_out,
    )


def _pairs(regions: pd.DataFrame, sites: pd.DataFrame, measured: Direct, known: Inferred, floor_ms: Float) -> Pairs:
    """Every pair in one state: measured before inferred before unknown."""
    is_measured = ~np.isnan(measured.rtt_p95_ms)
    is_inferred = ~is_measured & ~np.isnan(known.rtt_upper_ms)
    state = np.select([is_measured, is_inferred], [State.MEASURED, State.INFERRED], State.UNKNOWN)
    provenance = np.select([is_measured, is_inferred], [Provenance.DIRECT, known.provenance], Provenance.NONE)
    lower = np.where(is_inferred, np.fmax(known.rtt_lower_ms, floor_ms), measured.rtt_p95_ms)
    upper = np.where(is_inferred, np.fmax(known.rtt_upper_ms, lower), measured.rtt_p95_ms)
    has_mbps = ~np.isnan(measured.mbps)
    infers_mbps = ~has_mbps & ~np.isnan(known.mbps)
    return Pairs(
        regions=tuple(regions["region"]),
        sites=tuple(sites["site"]),
        rtt_state=state.astype(np.int8),
        rtt_provenance=provenance.astype(np.int8),
        rtt_base_ms=measured.rtt_base_ms,
        rtt_p50_ms=measured.rtt_p50_ms,
        rtt_p95_ms=measured.rtt_p95_ms,
        rtt_lower_ms=lower,
        rtt_mid_ms=np.where(is_inferred, np.clip(_middle_ms(known, lower, upper), lower, upper), measured.rtt_p95_ms),
        rtt_upper_ms=upper,
        loss=measured.loss,
        jitter_ms=measured.jitter_ms,
        samples=np.where(is_measured | (measured.samples > 0), measured.samples, known.samples),
        mbps_state=np.select([has_mbps, infers_mbps], [State.MEASURED, State.INFERRED], State.UNKNOWN).astype(np.int8),
        mbps_provenance=np.select(
            [has_mbps, infers_mbps], [Provenance.DIRECT, known.mbps_provenance], Provenance.NONE
        ).astype(np.int8),
        mbps=np.where(has_mbps, measured.mbps, known.mbps),
        observed_at_s=np.where(np.isnan(measured.observed_at_s), known.observed_at_s, measured.observed_at_s),
    )


def _middle_ms(known: Inferred, lower: Float, upper: Float) -> Float:
    """What the source of the interval takes for its middle, else the middle of its logarithms (none has 0 ms)."""
    return np.where(np.isnan(known.rtt_mid_ms), np.sqrt(np.maximum(lower, LEAST_MS) * upper), known.rtt_mid_ms)


def _unmapped(summaries: pd.DataFrame, ends: Endpoints) -> dict[str, int]:
    """Records by the name of an end that maps nowhere; sorted by name."""
    other = summaries["source"] != summaries["target"]  # a record counts once under one name
    names = pd.concat([summaries["source"], summaries.loc[other, "target"]], ignore_index=True)
    records = pd.concat([summaries["records"], summaries.loc[other, "records"]], ignore_index=True)
    lost = ~names.isin(ends.names)
    counts = records[lost].groupby(names[lost], sort=True).sum()
    return {str(name): int(count) for name, count in counts.items()}
