"""Worlds of equal sites, small enough to prove by hand what they cost.

Every site reaches the one region alike. A server of one GPU costs 100 USD a month, carries one replica, and a replica
carries 10 requests/s. Nothing else costs anything, and what is left unserved costs 2628 USD for each request/s.
"""

from typing import Any

import numpy as np
from audit_arrays import nothing_more
from audit_world import scenario

from placement.audit import verify_bound
from placement.audit.bound import VerifiedBound
from placement.scenario import Scenario
from placement.topology.pairs import Pairs

SERVERS = (
    "server,gpu,gpus,power_kw,rack_units,capex_usd,idle_kw,support_usd_month,install_usd,months\n"
    "s,g,1,1,1,4800,0,0,0,48"
)
SHAPES = (
    "shape,model,gpu,gpus_per_replica,precision,profile,operating_point,requests_per_s,ttft_p95_ms,memory_gb,weights_gb"
)
OFF = ("residency", "export", "deliveries", "budgets", "fleet", "energy", "slices")


def twins(rates: list[float], sites: str = "pq", domains: list[str] | None = None, **tables: str) -> Scenario:
    """Sites by letter; a service for every rate; `domains` as rows of the table, all of which may fail."""
    places = "".join(f"\n{p},DE,50,8,9,9,1000,0,0,1" for p in sites)
    services = "".join(f"\ns{n},chat,100,0,0,1" for n, _ in enumerate(rates))
    texts: dict[str, str | None] = dict.fromkeys(OFF) | {
        "sites": "site,country,latitude,longitude,power_kw,rack_units,uplink_mbps,egress_usd_per_gb,usd_per_kwh,pue"
        + places,
        "regions": "region,country,latitude,longitude,users\nr,DE,50,8,1",
        "services": "service,profile,latency_budget_ms,kbyte_in,kbyte_out,unserved_usd_per_1000" + services,
        "demand": "region,model,service,requests_per_s" + "".join(f"\nr,m,s{n},{q}" for n, q in enumerate(rates)),
        "gpus": "gpu,memory_gb,mig_slices,tdp_w\ng,96,4,600",
        "servers": SERVERS,
        "shapes": SHAPES + "\nd,m,g,1,fp8,chat,near,10,10,90,9",
        **tables,
    }
    if domains is not None:
        texts["domains"] = "domain,site,kind" + "".join(f"\n{row},metro" for row in domains)
    told = {"money": {"wacc": 0.0, "latency_usd_per_million_request_ms": 0.0}, "limits": {}}
    reliability = {"n_minus_1": ["metro"] if domains is not None else []}
    return scenario(texts, told | {"reliability": reliability})


def near(sites: str = "pq") -> Pairs:
    """5 ms, 100 Mbit/s from everywhere."""
    one = np.ones((1, len(sites)))
    names = ("rtt_base_ms", "rtt_p50_ms", "rtt_p95_ms", "rtt_lower_ms", "rtt_mid_ms", "rtt_upper_ms")
    figures = dict.fromkeys(names, 5 * one)
    states = {name: np.full(one.shape, 2, np.int8) for name in ("rtt_state", "mbps_state")}
    kind = np.ones(one.shape, np.int8)
    return Pairs(("r",), tuple(sites), rtt_provenance=kind, mbps_provenance=kind,
                 samples=np.ones(one.shape, np.int64), mbps=100 * one,
                 loss=0 * one, jitter_ms=0 * one, observed_at_s=one, **figures, **states)  # fmt: skip


def certificate(usd: list[float], sites: str = "pq", **more: Any) -> dict[str, Any]:
    """Prices of the rows, one block at every site, in its order, and other arrays of the period."""
    count = len(usd)
    return {
        "schema": np.array("nearserve-certificate-6"),
        "period": np.array([""]),
        "site": np.array(list(sites)),
        "slice": np.array([""]),
        **{
            f"p0_{name}": np.asarray(value)
            for name, value in {
                "demand_region": np.array(["r"] * count),
                "demand_model": np.array(["m"] * count),
                "demand_service": np.array([f"s{n}" for n in range(count)]),
                "demand_slice": np.array([""] * count),
                "limit": np.array([], np.str_),
                "demand_usd": np.array(usd, np.float64),
                "uplink_usd": np.zeros((len(sites), 1)),
                "downlink_usd": np.zeros((len(sites), 1)),
                "limit_usd": np.empty(0),
                "budget": np.array(0.0),
                **nothing_more(),
                "block_site": np.arange(len(sites)),
                "block_shape": np.array(["d"] * len(sites)),
                "block_tenant": np.array([""] * len(sites)),
                "block_slice": np.full(len(sites), -1),
                **more,
            }.items()
        },
    }


def cut(
    weights: list[float], unit: float, usd: Any, sites: str = "pq", rows: list[int] | None = None
) -> dict[str, Any]:
    """One cut that counts the blocks of all sites."""
    listed = list(range(len(weights))) if rows is None else rows
    return {
        "cut_unit": np.array([unit]),
        "cut_row_first": np.array([0, len(weights)]),
        "cut_row": np.array(listed),
        "cut_weight": np.array(weights, np.float64),
        "cut_block_first": np.array([0, len(sites)]),
        "cut_block": np.arange(len(sites)),
        "cut_usd": np.asarray(usd, np.float64),
    }


def proved(arrays: dict[str, Any], told: Scenario, sites: str = "pq") -> VerifiedBound:
    return verify_bound(arrays, told, near(sites))


def bound(arrays: dict[str, Any], told: Scenario, sites: str = "pq") -> float:
    found = proved(arrays, told, sites)
    assert found.bound_usd_month is not None, found.reason
    return found.bound_usd_month
