"""Who asks how much of what in the edge scenario, under which promise, and where it may be served."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from placement.datasets import dataset
from placement.worlds.edge_places import Float, Network, read_world

GPU = "rtx-pro-6000-se"
PRECISION = "fp4"
PROFILE = "chat"
LEAST_REQUESTS_PER_S = 0.7  # a replica takes the smallest size that serves this many
GPUS_PER_SITE = 1.2  # of demand
LATENCY_CLASSES_MS = (20, 30, 40, 60, 80, 100, 150)
LATENCY_CLASS_SHARES = (0.1, 0.15, 0.2, 0.2, 0.15, 0.1, 0.1)
LARGE_MODEL_MS = 60  # replicas of two GPUs and more are never asked to be nearer
NO_DEMAND_SHARE = 0.2
SENSITIVE_SHARE = 0.35  # of models
HOME_SHARE = 0.35  # of countries that keep sensitive models at home
BLOC_SHARE = 0.4  # of the countries of a bloc other than the EU that keep them inside the bloc
UNSERVABLE_SHARE = 0.005  # classes kept although no site may serve them
MEAN_SHARE = 0.6  # mean rate against the design rate
PLANNED_MBPS = 100.0  # what the budget allows for the transfer of the request
TEXT_KBYTE_IN, IMAGE_KBYTE_IN = 5.0, 300.0
KBYTE_OUT = (150.0, 1000.0)  # answers carry speech and images: uplinks of small replicas can bind
BLOCS = ("EU", "ASEAN-DEFA", "AU-DSM", "GCC-TRUST")
ANYWHERE, OWN = "anywhere", "own-country"

# small, middle and large replicas in turn, so that every prefix is a mixture
MODELS = (
    "llama-3.1-8b", "gpt-oss-120b", "step-3.7-flash", "gpt-oss-20b", "qwen3-8b", "qwen3.5-122b-a10b", "qwen3-30b-a3b",
    "qwen3-32b", "minimax-m2.7", "qwen3.5-35b-a3b", "qwen3-vl-8b", "gemma-4-31b", "qwen3-235b-a22b", "mixtral-8x7b",
    "qwen3-vl-4b", "qwen3-vl-30b-a3b", "qwen3.5-397b-a17b", "llama-3.1-70b", "qwen3-1.7b", "qwen3-coder-480b-a35b",
    "mimo-v2-flash",
)  # fmt: skip


@dataclass(frozen=True)
class Offer:
    """M models in the order of `MODELS`: what is promised, and the shape that it is planned with."""

    models: tuple[str, ...]
    shapes: pd.DataFrame  # rows of shapes.csv, all operating points
    requests_per_s: Float  # of one balanced replica
    gpus_per_replica: Float
    rtt_budget_ms: Float  # of the quickest operating point: budget less its time to first token
    services: pd.DataFrame
    kbyte_in: Float
    sensitive: tuple[bool, ...]


def catalog(name: str) -> pd.DataFrame:
    """One table of the catalog, as text."""
    return pd.read_csv(dataset("catalog") / f"{name}.csv", dtype=str, keep_default_na=False)


def draw_offer(rng: np.random.Generator, count: int, points: Sequence[str]) -> Offer:
    """The first `count` models, each with one service, in the operating points given (`balanced` among them)."""
    models = MODELS[:count]
    shapes = pd.concat([_shapes(model, points) for model in models], ignore_index=True)
    balanced = shapes[shapes["operating_point"] == "balanced"].set_index("model").loc[list(models)]
    rate = balanced["requests_per_s"].to_numpy(np.float64)
    gpus = balanced["gpus_per_replica"].to_numpy(np.float64)
    ttft_ms = balanced["ttft_p95_ms"].to_numpy(np.float64)
    latency_ms = rng.choice(LATENCY_CLASSES_MS, count, p=LATENCY_CLASS_SHARES).astype(np.float64)
    latency_ms = np.where(gpus >= 2, np.maximum(latency_ms, LARGE_MODEL_MS), latency_ms)
    images = np.array(["-vl-" in model for model in models])
    kbyte_in = np.where(images, IMAGE_KBYTE_IN, TEXT_KBYTE_IN)
    kbyte_out = rng.uniform(*KBYTE_OUT, count)
    sensitive = rng.random(count) < SENSITIVE_SHARE
    budget_ms = np.round(latency_ms + ttft_ms + 8 * kbyte_in / PLANNED_MBPS, 1)
    quickest_ms = shapes["ttft_p95_ms"].astype(np.float64).groupby(shapes["model"]).min().loc[list(models)]
    services = pd.DataFrame(
        {
            "service": [f"{PROFILE}-{model}" for model in models],
            "profile": PROFILE,
            "latency_budget_ms": budget_ms,
            "kbyte_in": kbyte_in,
            "kbyte_out": np.round(kbyte_out, 1),
            "residency": ANYWHERE,
            "note": [f"{ms:.0f} ms for the network" for ms in latency_ms],
        }
    )
    reach_ms = budget_ms - quickest_ms.to_numpy(np.float64)
    return Offer(models, shapes, rate, gpus, reach_ms, services, kbyte_in, tuple(bool(s) for s in sensitive))


def _shapes(model: str, points: Sequence[str]) -> pd.DataFrame:
    """The rows of the smallest size that serves enough, in the catalog's order of operating points."""
    rows = catalog("shapes")
    here = (rows["gpu"] == GPU) & (rows["precision"] == PRECISION) & (rows["profile"] == PROFILE)
    rows = rows[here & (rows["model"] == model) & rows["operating_point"].isin(points)]
    size = rows["gpus_per_replica"].astype(np.float64)
    rate = rows["requests_per_s"].astype(np.float64).where(rows["operating_point"] == "balanced")
    return rows[size == size[rate >= LEAST_REQUESTS_PER_S].min()]


def residency_sets() -> pd.DataFrame:
    """Rows of residency.csv."""
    found = [(ANYWHERE, "@any"), (OWN, "@own"), *((f"{bloc.lower()}-only", f"@bloc:{bloc}") for bloc in BLOCS)]
    return pd.DataFrame(sorted(found), columns=["residency", "country"])


def draw_demand(
    rng: np.random.Generator, offer: Offer, regions: pd.DataFrame, sites: pd.DataFrame, network: Network
) -> pd.DataFrame:
    """Rows of demand.csv: users × popularity × noise, one in five (region, model) without any, scaled to
    GPUS_PER_SITE; a service is not sold where no site could serve it, but for UNSERVABLE_SHARE of the classes."""
    shape = (len(regions), len(offer.models))
    rank = rng.permutation(shape[1]) + 1
    users = regions["users"].to_numpy(np.float64)
    replicas = users[:, None] * rank[None, :] ** -0.7 * rng.lognormal(0.0, 0.5, shape)
    replicas[rng.random(shape) < NO_DEMAND_SHARE] = 0
    sets, servable = _residency(rng, offer, regions, sites, network)
    asked = replicas > 0
    lost = np.flatnonzero((asked & ~servable).ravel())
    kept = rng.permutation(lost)[: int(UNSERVABLE_SHARE * asked.sum())]
    replicas.ravel()[np.setdiff1d(lost, kept)] = 0
    if not replicas.any():  # a handful of classes may all have been drawn away
        replicas.ravel()[servable.argmax()] = 1
    region, model = np.nonzero(replicas)
    gpus = (replicas * offer.gpus_per_replica).sum()
    replicas *= GPUS_PER_SITE * len(sites) / gpus
    rate = replicas[region, model] * offer.requests_per_s[model]
    design = np.array([float(f"{value:.6g}") for value in rate])
    return pd.DataFrame(
        {
            "region": regions["region"].to_numpy(object)[region],
            "model": np.array(offer.models, object)[model],
            "service": offer.services["service"].to_numpy(object)[model],
            "requests_per_s": design,
            "mean_requests_per_s": np.array([float(f"{value:.6g}") for value in MEAN_SHARE * design]),
            "residency": sets[region, model],
        }
    )


def _residency(
    rng: np.random.Generator, offer: Offer, regions: pd.DataFrame, sites: pd.DataFrame, network: Network
) -> "tuple[np.ndarray[tuple[int, int], np.dtype[np.object_]], np.ndarray[tuple[int, int], np.dtype[np.bool_]]]":
    """The residency set of every (region, model), R × M ("" is the service's own), and whether any site may serve it.

    A rule that no site near enough could keep is not in force: the next wider one is.
    """
    blocs = read_world("blocs")
    nations = sorted(set(regions["country"]) | set(sites["country"]))
    strict = dict(zip(nations, rng.random(len(nations)) < HOME_SHARE, strict=True))
    joins = dict(zip(nations, rng.random(len(nations)) < BLOC_SHARE, strict=True))
    members = {bloc: frozenset(blocs.loc[blocs["bloc"] == bloc, "country"]) for bloc in BLOCS}
    site_country = sites["country"].to_numpy(object)
    home = regions["country"].to_numpy(object)[:, None] == site_country[None, :]
    in_bloc = {bloc: np.isin(site_country, sorted(members[bloc])) for bloc in BLOCS}
    excess = {kbyte: network.rtt_p95_ms + 8 * kbyte / network.mbps for kbyte in sorted(set(offer.kbyte_in))}
    sets = np.full((len(regions), len(offer.models)), "", object)
    servable = np.zeros(sets.shape, np.bool_)
    for column, reach_ms in enumerate(offer.rtt_budget_ms):
        near = excess[offer.kbyte_in[column]] <= reach_ms - 0.01
        servable[:, column] = near.any(axis=1)
        if not offer.sensitive[column]:
            continue
        for row, country in enumerate(regions["country"]):
            if strict[country] and (near[row] & home[row]).any():
                sets[row, column] = OWN
                continue
            for bloc in BLOCS:
                bound = country in members[bloc] and (bloc == "EU" or joins[country])
                if bound and (near[row] & in_bloc[bloc]).any():
                    sets[row, column] = f"{bloc.lower()}-only"
                    break
    return sets, servable
