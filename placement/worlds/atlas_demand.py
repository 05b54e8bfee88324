"""Services, demand and the order of servers of atlas-2025. What is promised and asked is this scenario's assumption."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from placement.worlds import atlas_rules, world
from placement.worlds.reading import rounded

SEED = 2025
ZIPF_EXPONENT = 1.0  # popularity of a service's models by rank, 1/rank
TASTE = 0.35  # standard deviation of the logarithm of a region's own liking of a model
# Mean over the 99th percentile of the 10-minute rates of ServeGen's language workloads is 0.48, 0.57 and 0.50.
MEAN_OF_DESIGN_RATE = 0.5
# Users mostly served by domestic providers: the share of the rest of the world's use that is left to this one; assumed.
FOREIGN_USE = {"CN": 0.05, "RU": 0.05}
# Voice and code are launched where the measured average to a country whose PoPs may hold GPUs is this short.
LAUNCH_WITHIN_MS = 80.0
RATE_DIGITS = 5


@dataclass(frozen=True)
class Service:
    """One promise to users, its models by rank, and what the whole world asks at the design rate."""

    service: str
    profile: str
    latency_budget_ms: float
    kbyte_in: float
    kbyte_out: float
    round_trips: int
    unserved_usd_per_1000: float
    requests_per_s: float
    models: tuple[str, ...]
    restricted: bool  # personal documents and talk: the residency sets of the user's country apply
    interactive: bool  # launched only where the country's measured average to a usable PoP country is short enough
    note: str


SERVICES = (
    Service(
        "chat", "chat", 250.0, 6.0, 40.0, 1, 0.8, 13900.0,
        ("gpt-oss-120b", "qwen3-30b-a3b", "llama-3.1-8b", "qwen3.5-35b-a3b", "qwen3-vl-8b", "qwen3-vl-4b"), True, False,
        "1,155 tokens in are about 6 kB, 211 streamed out with their framing about 40 kB",
    ),
    Service(
        "voice", "chat", 150.0, 12.0, 40.0, 1, 0.4, 6900.0,
        ("qwen3-8b", "qwen3-1.7b"), False, True,
        "speech turn of a talk, text already recognised on the device: the tightest budget",
    ),
    Service(
        "code", "code", 200.0, 10.0, 6.0, 1, 0.3, 15300.0,
        ("gpt-oss-20b", "qwen3-30b-a3b"), False, True,
        "completion while typing; 2,048 tokens in are about 10 kB",
    ),
    Service(
        "agentic", "agentic", 1000.0, 40.0, 60.0, 4, 10.0, 505.0,
        ("gpt-oss-120b", "qwen3.5-122b-a10b", "minimax-m2.7", "step-3.7-flash"), True, False,
        "four sequential tool calls, each a round trip",
    ),
    Service(
        "long-context", "long-context", 2000.0, 130.0, 90.0, 1, 20.0, 200.0,
        ("gpt-oss-20b", "qwen3.5-35b-a3b"), True, False,
        "a document of 32,000 tokens, about 130 kB",
    ),
)  # fmt: skip
# The order: server of the catalog, how many. 4,400 GPUs, some 14 % above the fluid need.
ORDER = (("rtx6000-2", 320), ("rtx6000-4", 340), ("rtx6000-8", 300))


def services() -> pd.DataFrame:
    """Rows of services.csv."""
    columns = ["service", "profile", "latency_budget_ms", "kbyte_in", "kbyte_out", "round_trips"]
    columns += ["unserved_usd_per_1000", "note"]
    frame = pd.DataFrame([[getattr(s, c) for c in columns] for s in SERVICES], columns=columns)
    frame.insert(6, "residency", atlas_rules.ANYWHERE)
    return frame.sort_values("service").reset_index(drop=True)


def deliveries() -> pd.DataFrame:
    """Rows of deliveries.csv: one delivery, for every site."""
    return pd.DataFrame(
        [("", server, count) for server, count in ORDER], columns=["delivery_group", "server", "quantity"]
    )


def weights(reference: Path, regions: pd.DataFrame) -> pd.Series:
    """Share of the world's demand by region: users × their country's Internet penetration × what is left to foreigners.

    Who is online more uses more: penetration stands in for use per user; no published figure by country is at hand.
    """
    facts = world.countries(reference).set_index("country")
    penetration = facts["internet_users"].astype("float64") / facts["population"]
    penetration = penetration.fillna(penetration.median()).clip(upper=1.0)
    weight = regions["users"] * regions["country"].map(penetration) * regions["country"].map(FOREIGN_USE).fillna(1.0)
    weight = weight.mask(regions["country"].isin(atlas_rules.EMBARGOED), 0.0)
    return weight / weight.sum()


def demand(reference: Path, regions: pd.DataFrame, sites: pd.DataFrame) -> pd.DataFrame:
    """Rows of demand.csv: region, model, service, requests_per_s, mean_requests_per_s, residency; sorted, no zeros."""
    regions = regions.sort_values("region").reset_index(drop=True)
    share = weights(reference, regions)
    near = regions["country"].isin(atlas_rules.countries_within(reference, sites, LAUNCH_WITHIN_MS))
    own = set(atlas_rules.localising_countries(reference))
    europe, gulf = (atlas_rules.bloc_members(reference, bloc) for bloc in ("EEA", "GCC-TRUST"))
    frames = []
    for number, service in enumerate(SERVICES):
        split = _popularity(len(regions), len(service.models), number)
        for rank, model in enumerate(service.models):
            frame = pd.DataFrame({"region": regions["region"], "model": model, "service": service.service})
            frame["requests_per_s"] = rounded(service.requests_per_s * share * split[:, rank], RATE_DIGITS)
            frame["residency"] = [_residency(service, country, own, europe, gulf) for country in regions["country"]]
            frames.append(frame[(share > 0) & (near | (not service.interactive))])
    frame = pd.concat(frames).sort_values(["region", "model", "service"]).reset_index(drop=True)
    frame.insert(4, "mean_requests_per_s", rounded(frame["requests_per_s"] * MEAN_OF_DESIGN_RATE, RATE_DIGITS))
    return frame


def _popularity(regions: int, models: int, stream: int) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """R × M shares that sum to 1 in each region: Zipf by rank, times the region's taste (log-normal, seeded)."""
    taste = np.random.default_rng((SEED, stream)).normal(0.0, TASTE, (regions, models))
    liking = np.exp(taste) / np.arange(1, models + 1) ** ZIPF_EXPONENT
    shares: np.ndarray[tuple[int, int], np.dtype[np.float64]] = liking / liking.sum(axis=1, keepdims=True)
    return shares


def _residency(service: Service, country: str, own: set[str], europe: frozenset[str], gulf: frozenset[str]) -> str:
    """The set that overrides the service's, or "": localisation laws for documents, blocs for all personal data."""
    if country in own and service.service == "agentic":
        return atlas_rules.OWN_COUNTRY
    if service.restricted and country in europe:
        return atlas_rules.EUROPE
    if service.restricted and country in gulf and service.service != "chat":
        return atlas_rules.GULF
    return ""
