"""Every admissible (class, site, shape), site by site, in float64 arrays; ties with the latency budget are exact.

I demand rows (sorted by region, model, service, slice), P sites, per model m: I_m rows and D_m shapes.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from placement.audit.case import Case
from placement.audit.facts import Key

Float = NDArray[np.float64]
Int = NDArray[np.int64]
Bool = NDArray[np.bool_]

TIE = 1e-9
"""Latencies this near to the budget, relative to it, are compared as fractions."""


@dataclass(frozen=True)
class ModelRows:
    """The rows and shapes of one model, without the site; arrays I_m × D_m, NaN where a shape lacks the profile."""

    rows: Int  # I_m
    shapes: tuple[str, ...]  # D_m
    ttft_ms: Float
    load: Float  # replicas busy if the whole row is served
    busy_kwh: Float  # energy above idle of serving the whole row, a month at PUE 1


@dataclass(frozen=True)
class SiteRoutes:
    """The routes of one model to one site; arrays I_m × D_m."""

    of: ModelRows
    admissible: Bool  # rules 2 and 3
    usd: Float  # a month for the whole row, where admissible


@dataclass(frozen=True)
class Grid:
    """All admissible routes of a case."""

    case: Case

    @cached_property
    def keys(self) -> tuple[Key, ...]:
        """The demand rows, I."""
        return tuple(sorted(self.case.facts.demand))

    @cached_property
    def sites(self) -> tuple[str, ...]:
        return tuple(sorted(self.case.facts.sites))

    def at(self, site_name: str) -> Iterator[SiteRoutes]:
        """The routes to one site, model by model."""
        network = self._network_ms(site_name)
        allowed = self._allowed[:, self.sites.index(site_name)]
        site, facts = self.case.facts.sites[site_name], self.case.facts
        of_slice = np.array(
            [float(site.pue * facts.usd_per_kwh[(site_name, name)]) for name in facts.hours], np.float64
        )
        kwh_usd = of_slice[self.slices]
        if site.transit_usd_per_mbps_month is not None:
            egress = self._rows["out_mbps"] * float(site.transit_usd_per_mbps_month)
        else:
            egress = self._rows["gigabytes"] * float(site.egress_usd_per_gb)
        for of in self._models:
            here = of.rows
            latency = network[here][:, None] + of.ttft_ms
            admissible = self._within(latency, of, site_name) & allowed[here][:, None]
            usd = of.busy_kwh * kwh_usd[here][:, None] + egress[here][:, None]
            usd = usd + self._rows["usd_per_ms"][here][:, None] * latency
            yield SiteRoutes(of, admissible, usd)

    @cached_property
    def slices(self) -> Int:
        """The slice of every demand row, numbered as in the facts' hours, I."""
        number = {name: t for t, name in enumerate(self.case.facts.hours)}
        return np.array([number[key[3]] for key in self.keys], np.int64)

    def column(self, name: str) -> Float:
        """A figure of every demand row, I: rate, mean, budget_ms, out_mbps, in_mbps, requests_month, usd_per_ms, …"""
        return self._rows[name]

    @cached_property
    def _rows(self) -> dict[str, Float]:
        facts = self.case.facts
        demand = [facts.demand[key] for key in self.keys]
        services = [facts.services[key[2]] for key in self.keys]

        def column(values: list[float]) -> Float:
            return np.array(values, np.float64)

        rate = column([float(d.requests_per_s) for d in demand])
        month = column([float(self.case.prices.requests_month(key)) for key in self.keys])
        kbyte_out = column([float(s.kbyte_out) for s in services])
        kbyte_in = column([float(s.kbyte_in) for s in services])
        price = float(facts.latency_usd_per_million_request_ms)
        return {
            "rate": rate,
            "mean": column([float(d.mean_requests_per_s) for d in demand]),
            "hours": column([float(facts.hours[key[3]]) for key in self.keys]),
            "requests_month": month,
            "budget_ms": column([float(s.latency_budget_ms) for s in services]),
            "round_trips": column([float(s.round_trips) for s in services]),
            "kbyte_in": kbyte_in,
            "max_loss": column([np.inf if s.max_loss is None else float(s.max_loss) for s in services]),
            "max_jitter_ms": column([np.inf if s.max_jitter_ms is None else float(s.max_jitter_ms) for s in services]),
            "out_mbps": 8 * rate * kbyte_out / 1000,
            "in_mbps": 8 * rate * kbyte_in / 1000,
            "gigabytes": month * kbyte_out / 1e6,
            "usd_per_ms": price * month / 1e6,
        }

    def _network_ms(self, site: str) -> Float:
        """Round trips and the way up to one site, I; NaN where a figure is unknown that counts, or too high."""
        rtt, mbps, loss, jitter = self._links
        pairs, row = self.case.network.pairs, self._region_of_row
        if site not in pairs.sites:
            return np.full(len(self.keys), np.nan)
        p = pairs.sites.index(site)
        with np.errstate(divide="ignore", invalid="ignore"):
            transfer = 8 * self._rows["kbyte_in"] / mbps[row, p]
        free = self._rows["kbyte_in"] <= float(self.case.facts.bandwidth_free_kbyte)
        transfer = np.where(np.isnan(mbps[row, p]) & free, 0.0, transfer)
        total = self._rows["round_trips"] * rtt[row, p] + transfer
        for limit, known in ((self._rows["max_loss"], loss[row, p]), (self._rows["max_jitter_ms"], jitter[row, p])):
            total = np.where(np.isinf(limit) | (known <= limit), total, np.nan)
        return np.where(row < 0, np.nan, total)

    def _within(self, latency: Float, of: ModelRows, site: str) -> Bool:
        """Where latency ≤ budget (2), I_m × D_m; never where it is NaN."""
        budget = self._rows["budget_ms"][of.rows][:, None]
        inside = np.asarray(latency < budget, np.bool_)  # those near the budget are settled below
        with np.errstate(invalid="ignore"):
            near = np.abs(latency - budget) <= TIE * budget
        for i, d in zip(*np.nonzero(near), strict=True):
            key = self.keys[of.rows[i]]
            service = self.case.facts.services[key[2]]
            network = self.case.network.network_ms(key[0], service, site)
            ttft = self.case.facts.shapes[of.shapes[d]].ttft_ms[service.profile]
            inside[i, d] = network is not None and network + ttft <= service.latency_budget_ms
        return inside

    @cached_property
    def _links(self) -> tuple[Float, ...]:
        return self.case.network.arrays()

    @cached_property
    def _region_of_row(self) -> Int:
        number = {name: r for r, name in enumerate(self.case.network.pairs.regions)}
        return np.array([number.get(key[0], -1) for key in self.keys], np.int64)

    @cached_property
    def _allowed(self) -> Bool:
        """Rule 3, I × P; evaluated once for every (set, home country)."""
        case, facts = self.case, self.case.facts
        if case.residency.sets is None:
            return np.ones((len(self.keys), len(self.sites)), np.bool_)
        masks: dict[tuple[str, str], Bool] = {}
        rows = []
        for key in self.keys:
            kind = (case.residency.set_of(facts, key), facts.countries[key[0]])
            if kind not in masks:
                places = (facts.sites[name] for name in self.sites)
                masks[kind] = np.array(
                    [case.residency.allows_set(*kind, s.country, s.vendor) for s in places], np.bool_
                )
            rows.append(masks[kind])
        return np.array(rows, np.bool_).reshape(len(self.keys), len(self.sites))

    @cached_property
    def _models(self) -> tuple[ModelRows, ...]:
        facts = self.case.facts
        sold = {server.gpu for server in facts.servers.values()}
        rows_of: dict[str, list[int]] = {}
        for i, key in enumerate(self.keys):
            rows_of.setdefault(key[1], []).append(i)
        found = []
        for model, rows in sorted(rows_of.items()):
            shapes = tuple(sorted(n for n, s in facts.shapes.items() if s.model == model and s.gpu in sold))
            found.append(self._model(np.array(rows, np.int64), shapes))
        return tuple(found)

    def _model(self, rows: Int, shapes: tuple[str, ...]) -> ModelRows:
        facts = self.case.facts
        profiles = [facts.services[self.keys[i][2]].profile for i in rows]
        distinct = sorted(set(profiles))
        which = np.array([distinct.index(name) for name in profiles], np.int64)
        nan = float("nan")
        records = [facts.shapes[name] for name in shapes]
        size = (len(distinct), len(shapes))
        rate = np.array([[float(s.requests_per_s.get(f, nan)) for s in records] for f in distinct]).reshape(size)
        ttft = np.array([[float(s.ttft_ms.get(f, nan)) for s in records] for f in distinct]).reshape(size)
        kw = np.array([float(s.gpus * self.case.prices.busy_kw[s.gpu]) for s in records], np.float64)
        mean_hours = (self._rows["mean"] * self._rows["hours"])[rows]
        return ModelRows(
            rows=rows,
            shapes=shapes,
            ttft_ms=ttft[which],
            load=self._rows["rate"][rows][:, None] / rate[which],
            busy_kwh=mean_hours[:, None] * kw[None, :] / rate[which],
        )
