"""What all periods of a scenario share: names, shapes, ways to hold servers with their prices, room at the sites."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from placement.frames import floats, integers, numbered, texts
from placement.problem.blocks import Hosting, hosting
from placement.problem.carbon import Carbon, carbon_figures
from placement.problem.jobs import JobSite, job_gpus
from placement.problem.money import Rates, energy_usd_per_kwh, slice_hours
from placement.problem.moves import Previous, moves_counted
from placement.problem.offers import Offers, all_offers, gpu_room, room_for
from placement.problem.periods import Period, planned_periods
from placement.problem.pins import PinTable, pin_table
from placement.problem.reserve import failing_domains, one_budget
from placement.problem.residency import Residency
from placement.problem.shapes import useful_shapes
from placement.problem.tenants import Tenants, owners
from placement.scenario import Scenario
from placement.topology.pairs import Pairs

Float = NDArray[np.float64]
Int = NDArray[np.int64]


@dataclass(frozen=True)
class Ground:
    """A scenario as every period sees it. GPU types are (owner, GPU), owner by owner."""

    scenario: Scenario
    pairs: Pairs
    sites: tuple[str, ...]
    residency: Residency
    periods: tuple[Period, ...]
    tenants: Tenants
    slices: tuple[str, ...]
    rates: Rates
    carbon: Carbon | None
    gpus: tuple[str, ...]
    shapes: pd.DataFrame  # D: the useful ones, sorted by (tenant, shape)
    offers: Offers  # every one that a site could hold
    host: Hosting
    job_site: JobSite
    pins: PinTable | None
    domains: dict[str, list[int]]
    previous: Previous | None

    @property
    def follows(self) -> bool:
        """Whether replicas may differ between slices; with one slice there is nothing to follow."""
        return self.scenario.document.limits.replicas_follow_slices and len(self.slices) > 1

    @property
    def second_budget(self) -> bool:
        """Whether some backup routes are not the primary ones."""
        return bool(self.domains) and not one_budget(self.scenario)

    @property
    def types(self) -> int:
        return len(self.gpus) * len(self.tenants.names)

    @property
    def shape_type(self) -> Int:
        """GPU type of every shape, D."""
        gpu, owner = numbered(self.gpus), numbered(self.tenants.names)
        kinds = zip(texts(self.shapes, "tenant"), texts(self.shapes, "gpu"), strict=True)
        return np.array([owner[tenant] * len(gpu) + gpu[name] for tenant, name in kinds], np.int64)

    @property
    def server_type(self) -> Int:
        """GPU type of every server of every owner, owners × K in one row; -1 for a GPU that nothing runs on."""
        number = numbered(self.gpus)
        gpu = np.array([number.get(name, -1) for name in texts(self.scenario.table("servers"), "gpu")], np.int64)
        owner = np.arange(len(self.tenants.names))[:, None]
        return np.where(gpu >= 0, owner * len(self.gpus) + gpu, -1).reshape(-1)

    def useful(self, need: Float) -> Offers:
        """The offers, with no more servers than could carry `need` GPUs, sites × types, by themselves."""
        server = self.offers.owner * len(self.scenario.table("servers")) + self.offers.server
        size = integers(self.scenario.table("servers"), "gpus")[self.offers.server]
        most = np.ceil(need[self.offers.site, self.server_type[server]] / size)
        return self.offers.at_most(most.astype(np.int64))


def survey(scenario: Scenario, pairs: Pairs, previous: Previous | None) -> Ground:
    """All that periods share; raises what its parts raise."""
    periods, tenants, pins = planned_periods(scenario), owners(scenario), pin_table(scenario)
    demand, servers = scenario.table("demand"), scenario.table("servers")
    slices = tuple(sorted(set(texts(demand, "slice"))))
    rates = Rates(energy_usd_per_kwh(scenario, slices), slice_hours(scenario, slices))
    standing = previous.shapes if previous is not None and moves_counted(scenario) else frozenset()
    pinned = pins.demanding if pins is not None else frozenset()
    shapes = useful_shapes(scenario, demand, tenants, standing=standing, pinned=pinned)
    gpus = tuple(sorted(set(texts(shapes, "gpu")) | (job_gpus(scenario) & set(texts(servers, "gpu")))))
    stands = np.asarray((room_for(scenario) > 0).any(axis=1), np.bool_)
    priced = ~np.isnan(floats(servers, "capex_usd")) | ~np.isnan(floats(servers, "rent_usd_month"))
    of_use = np.isin(texts(servers, "gpu"), gpus)
    carbon = carbon_figures(scenario, slices, stands, priced & of_use)
    offers = all_offers(scenario, gpus, len(tenants.names), rates, carbon)
    room = gpu_room(scenario, offers, gpus)
    return Ground(
        scenario=scenario,
        pairs=pairs,
        sites=tuple(texts(scenario.table("sites"), "site")),
        residency=Residency(scenario),
        periods=periods,
        tenants=tenants,
        slices=slices,
        rates=rates,
        carbon=carbon,
        gpus=gpus,
        shapes=shapes,
        offers=offers,
        host=hosting(shapes, gpus, room),
        job_site=JobSite(gpus, *room),
        pins=pins,
        domains=failing_domains(scenario),
        previous=previous,
    )
