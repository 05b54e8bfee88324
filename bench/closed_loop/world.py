"""A scenario around a matrix: who asks for what, what sites and servers cost. All of it drawn by seed."""

from pathlib import Path

import numpy as np
import pandas as pd

from placement.scenario import Scenario, load

DOCUMENT = """name = "closed-loop"
planning_date = 2026-01-01
[money]
wacc = 0.08
"""
TABLES = {
    "models": "model,kind\nlarge,chat\nsmall,chat\n",
    "gpus": "gpu,memory_gb,mig_slices,tdp_w\ng96,96,4,600\n",
    "profiles": "profile,tokens_in,tokens_out,tpot_ms\nchat,1000,200,50\n",
    "servers": (
        "server,gpu,gpus,dpus,power_kw,rack_units,capex_usd,idle_kw,support_usd_month,install_usd,months\n"
        "two,g96,2,1,1.6,2,32000,0.4,100,500,48\n"
    ),
    # A near site may run large batches: twice the answers of a GPU, and twice the time to the first token.
    "shapes": (
        "shape,model,gpu,gpus_per_replica,precision,profile,operating_point,"
        "requests_per_s,ttft_p95_ms,memory_gb,weights_gb,source\n"
        "small-quick,small,g96,1,fp8,chat,balanced,10,40,40,16,assumed\n"
        "small-batch,small,g96,1,fp8,chat,throughput,16,80,40,16,assumed\n"
        "large-quick,large,g96,2,fp8,chat,balanced,6,70,90,60,assumed\n"
        "large-batch,large,g96,2,fp8,chat,throughput,9,120,90,60,assumed\n"
    ),
}
MODELS = (("small", "chat", 24.0, 110.0, 0.15), ("large", "assist", 12.0, 150.0, 0.6))
"""model, service, requests/s of a mean region, latency budget ms, USD per 1,000 unserved"""
SEEN = "observed_at,source,target,method,sent,received,rtt_ms\n2025-12-31T00:00:00Z,r000,s000,icmp,1,1,10\n"
"""One record, since a scenario has some; the loop brings its own pairs."""


def regions(count: int) -> tuple[str, ...]:
    return tuple(f"r{number:03d}" for number in range(count))


def sites(count: int) -> tuple[str, ...]:
    return tuple(f"s{number:03d}" for number in range(count))


def scenario(folder: Path, shape: tuple[int, int], seed: int, times: float = 1.0) -> Scenario:
    """The scenario for R regions and P sites, written into `folder`; `times` the demand, and what sites can hold."""
    draw = np.random.default_rng([seed, 1])
    count_regions, count_sites = shape
    place = {"name": "drawn", "country": "DE", "latitude": 50.0, "longitude": 8.0}
    size = np.exp(draw.normal(0.0, 1.0, count_regions))
    size *= times / size.mean()
    tables = {
        "regions": pd.DataFrame({"region": regions(count_regions), **place, "users": np.rint(size * 1e6).astype(int)}),
        "sites": pd.DataFrame({
            "site": sites(count_sites), **place,
            "power_kw": 60 * times, "rack_units": int(84 * times), "uplink_mbps": 10_000 * times,
            "egress_usd_per_gb": draw.uniform(0.01, 0.08, count_sites).round(4),
            "open_usd_month": draw.uniform(1500, 9000, count_sites).round(),
            "usd_per_kw_month": draw.uniform(80, 220, count_sites).round(),
            "usd_per_kwh": draw.uniform(0.05, 0.3, count_sites).round(3), "pue": 1.4,
        }),
        "services": pd.DataFrame({
            "service": [service for _, service, *_ in MODELS], "profile": "chat",
            "latency_budget_ms": [budget for *_, budget, _ in MODELS], "kbyte_in": 5, "kbyte_out": 10,
            "unserved_usd_per_1000": [usd for *_, usd in MODELS],
        }),
        "demand": pd.concat(
            pd.DataFrame({
                "region": regions(count_regions), "model": model, "service": service,
                "requests_per_s": (rate * size).round(3), "mean_requests_per_s": (rate * size / 2).round(3),
            })
            for model, service, rate, _, _ in MODELS
        ),
    }  # fmt: skip
    (folder / "measurements").mkdir(parents=True)
    (folder / "scenario.toml").write_text(DOCUMENT, "utf-8")
    (folder / "measurements" / "seen.csv").write_text(SEEN, "utf-8")
    for name, text in TABLES.items():
        (folder / f"{name}.csv").write_text(text, "utf-8")
    for name, frame in tables.items():
        frame.to_csv(folder / f"{name}.csv", index=False)
    return load(folder)
