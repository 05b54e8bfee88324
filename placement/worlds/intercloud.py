"""The ready scenario `intercloud-2022`: 45 AWS and GCP regions, round-trip time and bandwidth measured between them."""

from pathlib import Path

import numpy as np
import pandas as pd

from placement.geo import great_circle_km
from placement.worlds import prices, world
from placement.worlds.reading import numbers, read_text, rounded, rows, write_csv

SEED = 2022
# The metro that the provider names, by GeoNames city and first-order division; Hermiston stands for
# Boardman, Goose Creek for Moncks Corner, Delfzijl for Eemshaven: their nearest towns in the table.
# The origin's own coordinates are a consensus that puts São Paulo into France and Montreal west of Lake Superior.
PLACES = {
    "aws-ap-northeast-1": ("Tokyo", "JP", ""), "aws-ap-northeast-2": ("Seoul", "KR", ""),
    "aws-ap-northeast-3": ("Osaka", "JP", ""), "aws-ap-south-1": ("Mumbai", "IN", ""),
    "aws-ap-southeast-1": ("Singapore", "SG", ""), "aws-ap-southeast-2": ("Sydney", "AU", ""),
    "aws-ca-central-1": ("Montréal", "CA", ""), "aws-eu-central-1": ("Frankfurt am Main", "DE", ""),
    "aws-eu-north-1": ("Stockholm", "SE", ""), "aws-eu-west-1": ("Dublin", "IE", ""),
    "aws-eu-west-2": ("London", "GB", ""), "aws-eu-west-3": ("Paris", "FR", ""),
    "aws-sa-east-1": ("São Paulo", "BR", ""), "aws-us-east-1": ("Ashburn", "US", "VA"),
    "aws-us-east-2": ("Columbus", "US", "OH"), "aws-us-west-1": ("San Jose", "US", "CA"),
    "aws-us-west-2": ("Hermiston", "US", "OR"),
    "gcp-asia-east1": ("Changhua", "TW", ""), "gcp-asia-east2": ("Hong Kong", "HK", ""),
    "gcp-asia-northeast1": ("Tokyo", "JP", ""), "gcp-asia-northeast2": ("Osaka", "JP", ""),
    "gcp-asia-northeast3": ("Seoul", "KR", ""), "gcp-asia-south1": ("Mumbai", "IN", ""),
    "gcp-asia-south2": ("Delhi", "IN", ""), "gcp-asia-southeast1": ("Singapore", "SG", ""),
    "gcp-asia-southeast2": ("Jakarta", "ID", ""), "gcp-australia-southeast1": ("Sydney", "AU", ""),
    "gcp-australia-southeast2": ("Melbourne", "AU", ""), "gcp-europe-central2": ("Warsaw", "PL", ""),
    "gcp-europe-north1": ("Hamina", "FI", ""), "gcp-europe-west1": ("Saint-Ghislain", "BE", ""),
    "gcp-europe-west2": ("London", "GB", ""), "gcp-europe-west3": ("Frankfurt am Main", "DE", ""),
    "gcp-europe-west4": ("Delfzijl", "NL", ""), "gcp-europe-west6": ("Zürich", "CH", ""),
    "gcp-northamerica-northeast1": ("Montréal", "CA", ""), "gcp-northamerica-northeast2": ("Toronto", "CA", ""),
    "gcp-southamerica-east1": ("São Paulo", "BR", ""), "gcp-us-central1": ("Council Bluffs", "US", "IA"),
    "gcp-us-east1": ("Goose Creek", "US", "SC"), "gcp-us-east4": ("Ashburn", "US", "VA"),
    "gcp-us-west1": ("The Dalles", "US", "OR"), "gcp-us-west2": ("Los Angeles", "US", "CA"),
    "gcp-us-west3": ("Salt Lake City", "US", "UT"), "gcp-us-west4": ("Las Vegas", "US", "NV"),
}  # fmt: skip
REACH_KM = 500.0  # users within this of a cloud region count as its own
MIN_METRO_KM = 1.0  # AWS and GCP in one city share its users
POWER_KW, RACK_UNITS, UPLINK_MBPS, OPEN_USD_MONTH = 120.0, 336, 40_000.0, 4_000.0  # assumed, the same everywhere
BITS_PER_MEGABIT = 1e6
# model, service, requests a second in the whole world
ASKED = (
    ("qwen3-30b-a3b", "chat", 900.0),
    ("llama-3.1-8b", "chat", 650.0),
    ("qwen3-vl-8b", "images", 450.0),
    ("gpt-oss-20b", "documents", 24.0),
    ("gpt-oss-120b", "agentic", 32.0),
)
SERVICES = (
    # service, profile, budget ms, kB in, kB out, round trips, USD per 1,000 unserved, note
    ("agentic", "agentic", 700.0, 60.0, 60.0, 4, 10.0, "four sequential tool calls"),
    ("chat", "chat", 180.0, 6.0, 40.0, 1, 0.8, "no bandwidth needed: the request fits in a first TCP window"),
    ("documents", "long-context", 2400.0, 8000.0, 90.0, 1, 20.0, "a scanned document of 8 MB"),
    ("images", "chat", 450.0, 2500.0, 40.0, 1, 1.0, "a photograph of 2.5 MB with a question"),
)
ORDER = (("rtx6000-2", 30), ("rtx6000-4", 30), ("rtx6000-8", 18))
SCENARIO = f"""\
# 45 cloud regions with round-trip time and bandwidth measured between them in February 2022. SOURCE.md has the details.
name = "intercloud-2022"
currency = "USD"
planning_date = 2022-03-01
seed = {SEED}

[money]
wacc = 0.08

[limits]
bandwidth_free_kbyte = 14

[shapes]
gpus = ["rtx-pro-6000-se"]
precisions = ["fp4"]
operating_points = ["latency", "balanced", "throughput"]
"""


def places(reference: Path) -> pd.DataFrame:
    """The 45 cloud regions: site, city, country, latitude, longitude, by site.

    Raises:
        LookupError: the city table holds none or several of a region's city.
    """
    cities = world.read_cities(reference)
    found = []
    for site, (city, country, division) in sorted(PLACES.items()):
        named = cities[(cities["city"] == city) & (cities["country"] == country)]
        named = named[(named["admin1"] == division) | (division == "")]
        if len(named) != 1:
            raise LookupError(f"{site}: {len(named)} cities are called {city} in {country} {division}")
        found.append((site, city, country, named["latitude"].item(), named["longitude"].item()))
    frame = pd.DataFrame(found, columns=["site", "city", "country", "latitude", "longitude"])
    return frame.round({"latitude": 4, "longitude": 4})


def users(reference: Path, at: pd.DataFrame) -> pd.Series:
    """Internet users by place: of every city within REACH_KM, to the nearest place; places of one city share alike."""
    facts = world.countries(reference).set_index("country")
    online = (facts["internet_users"].astype("float64") / facts["population"]).clip(upper=1.0)
    cities = world.read_cities(reference)
    people = cities["population"] * cities["country"].map(online).fillna(online.median())
    lat, lon = at["latitude"].to_numpy(np.float64), at["longitude"].to_numpy(np.float64)
    km = great_circle_km(
        cities["latitude"].to_numpy(np.float64)[:, None], cities["longitude"].to_numpy(np.float64)[:, None], lat, lon
    )
    nearest = km.min(axis=1, keepdims=True)
    mine = (km <= nearest + MIN_METRO_KM) & (nearest <= REACH_KM)
    share = mine / np.maximum(mine.sum(axis=1, keepdims=True), 1)
    return pd.Series(people.to_numpy(np.float64) @ share, index=at.index).round().astype("int64")


def sites(reference: Path, at: pd.DataFrame) -> pd.DataFrame:
    """Rows of sites.csv: real places and prices, assumed power, racks and network."""
    facts = world.countries(reference).set_index("country")
    frame = at.assign(iso3=at["country"].map(facts["iso3"]), continent=at["country"].map(facts["continent"]))
    frame["name"] = frame["site"].str.upper().str.slice(0, 3) + " " + frame["city"]
    frame["power_kw"], frame["rack_units"], frame["uplink_mbps"] = POWER_KW, RACK_UNITS, UPLINK_MBPS
    frame["open_usd_month"], frame["usd_per_kw_month"] = OPEN_USD_MONTH, 217.0
    frame["usd_per_kw_month"] = frame["usd_per_kw_month"].mask(frame["continent"] == "NA", 184.0)
    parts = [builder(reference, frame) for builder in (prices.electricity, prices.egress, prices.grid_carbon)]
    for part in parts:
        frame[part.columns[0]] = part.iloc[:, 0]
    notes = [label + part["note"] for label, part in zip(("kWh: ", "; egress: ", "; CO2: "), parts, strict=True)]
    frame["note"] = notes[0] + notes[1] + notes[2]
    columns = ["site", "name", "country", "latitude", "longitude", "power_kw", "rack_units", "uplink_mbps"]
    columns += ["egress_usd_per_gb", "open_usd_month", "usd_per_kw_month", "usd_per_kwh", "gco2_per_kwh", "note"]
    return frame[columns]


def region_of(site: str) -> str:
    """The users near a cloud region."""
    return f"near-{site}"


def regions(reference: Path, at: pd.DataFrame) -> pd.DataFrame:
    """Rows of regions.csv: the users near each cloud region."""
    frame = at[["country", "latitude", "longitude"]].copy()
    frame.insert(0, "region", at["site"].map(region_of))
    frame.insert(1, "name", "near " + at["site"].str.upper().str.slice(0, 3) + " " + at["city"])
    frame["users"] = users(reference, at)
    return frame


def demand(people: pd.DataFrame) -> pd.DataFrame:
    """Rows of demand.csv: each model's world rate, shared by users."""
    share = people["users"] / people["users"].sum()
    frames = [
        pd.DataFrame(
            {"region": people["region"], "model": model, "service": service, "requests_per_s": rounded(rate * share, 5)}
        )
        for model, service, rate in ASKED
    ]
    return pd.concat(frames).sort_values(["region", "model", "service"]).reset_index(drop=True)


def endpoints(at: pd.DataFrame) -> pd.DataFrame:
    """Rows of endpoints.csv: a cloud region's host speaks for its site and for the users near it."""
    found = [
        row for (site,) in rows(at, "site") for row in ((site, "host", "", site), (site, "host", region_of(site), ""))
    ]
    return pd.DataFrame(found, columns=["endpoint", "kind", "region", "site"])


def measurements(reference: Path) -> pd.DataFrame:
    """Native records, one per run: the mean of its pings, and the TCP rate from source (client) to target (server).

    The origin's column `bitrate_Bps` holds bit/s. It keeps no count of pings: at least one was answered.
    """
    raw = read_text(reference / "rtt" / "intercloud2022" / "results.csv")
    frame = pd.DataFrame({"observed_at": raw["timestamp"], "agent": raw["run_id"]})
    frame["source"] = raw["from_cloud"].str.lower() + "-" + raw["from_region"]
    frame["target"] = raw["to_cloud"].str.lower() + "-" + raw["to_region"]
    frame["method"] = "imported:intercloud"
    frame["received"] = 1
    frame["rtt_avg_ms"] = numbers(raw["avgrtt"])
    frame["mbps"] = rounded(numbers(raw["bitrate_Bps"]) / BITS_PER_MEGABIT)
    frame["direction"] = "up"
    return frame.sort_values(["observed_at", "source", "target"], kind="stable").reset_index(drop=True)


def services() -> pd.DataFrame:
    """Rows of services.csv."""
    columns = ["service", "profile", "latency_budget_ms", "kbyte_in", "kbyte_out", "round_trips"]
    return pd.DataFrame(SERVICES, columns=[*columns, "unserved_usd_per_1000", "note"])


def build(reference: Path, out: Path) -> None:
    """Write the scenario under `out` from the reference folder; the same input gives the same bytes.

    Raises:
        MissingReferenceError: a raw table is not in `reference`.
        LookupError: a cloud region's city is not in the city table.
    """
    at = places(reference)
    people = regions(reference, at)
    write_csv(people, out / "regions.csv")
    write_csv(sites(reference, at), out / "sites.csv")
    write_csv(services(), out / "services.csv")
    write_csv(demand(people), out / "demand.csv")
    write_csv(pd.DataFrame(ORDER, columns=["server", "quantity"]), out / "deliveries.csv")
    write_csv(endpoints(at), out / "endpoints.csv")
    write_csv(measurements(reference), out / "measurements" / "intercloud-2022.csv")
    (out / "scenario.toml").write_text(SCENARIO, encoding="utf-8", newline="\n")
