"""What the law and the network say in atlas-2025: residency sets, export limits, endpoints, measurements."""

from pathlib import Path

import pandas as pd

from placement.worlds import world
from placement.worlds.reading import numbers, read_text, rows

OBSERVED_AT = "2025-04-19T00:00:00Z"  # last day of the pings: 2025-03-29 to 31 and 2025-04-18 to 19, not told apart
METHOD = "imported:ripe-country"
RTT_DIGITS = 3  # microseconds
LEAST_PINGS = 10
ANYWHERE, OWN_COUNTRY, EUROPE, GULF = "anywhere", "own-country", "eea-adequate", "own-or-gcc"
# An EXAMPLE of export limits for the RTX PRO 6000, after published US rules as remembered: not legal advice.
# Countries, most GPUs, in force from, reason.
EXPORT = (
    (("CN", "HK", "MO"), 0, "2023-11-17", "example: advanced-computing rule of October 2023, group D:5"),
    (("RU",), 0, "2022-02-24", "example: controls on exports to Russia"),
    (("BY",), 0, "2022-03-02", "example: controls on exports to Belarus"),
    (("CU", "IR", "KP", "SY"), 0, "", "example: comprehensive embargo"),
    (("AE", "KZ", "QA", "SA", "VN"), 64, "2023-11-17", "example: licence needed, 64 GPUs taken as licensed"),
)
# No service is offered to users of these in the example; their regions stand in regions.csv without demand.
EMBARGOED = ("CU", "IR", "KP", "SY")


def residency(reference: Path) -> pd.DataFrame:
    """Rows of residency.csv: residency, country, note. An example built on the law tables, not legal advice."""
    adequacy = read_text(reference / "law" / "sovereignsky" / "eu_adequacy.csv")
    adequate = adequacy[adequacy["scope"].isin(["full", "conditional"])]["countryId"]
    found = [
        (ANYWHERE, "@any", "no rule"),
        (OWN_COUNTRY, "@own", "localisation laws, see SOURCE.md"),
        (GULF, "@own", "own country or the Gulf states"),
        (GULF, "@bloc:GCC-TRUST", "own country or the Gulf states"),
        (EUROPE, "@bloc:EEA", "European Economic Area"),
        *((EUROPE, country, "EU adequacy decision, full or conditional") for country in adequate),
    ]
    frame = pd.DataFrame(found, columns=["residency", "country", "note"])
    return frame.sort_values(["residency", "country"]).reset_index(drop=True)


def localising_countries(reference: Path) -> tuple[str, ...]:
    """Countries with a localisation law in force, in the law table (category `localization`), sorted."""
    laws = read_text(reference / "law" / "sovereignsky" / "laws.csv")
    laws = laws[(laws["category"] == "localization") & (laws["legislationLegalForce"] == "InForce")]
    return tuple(sorted(laws["legislationJurisdiction"].str.strip("[]'").unique()))


def bloc_members(reference: Path, bloc: str) -> frozenset[str]:
    """The countries of a bloc, by its upper-case name."""
    frame = world.blocs(reference)
    return frozenset(frame.loc[frame["bloc"] == bloc, "country"])


def export(gpu: str) -> pd.DataFrame:
    """Rows of export.csv for one GPU."""
    found = [(gpu, country, most, since, reason) for countries, most, since, reason in EXPORT for country in countries]
    frame = pd.DataFrame(found, columns=["gpu", "country", "max_gpus", "from_date", "reason"])
    return frame.sort_values("country").reset_index(drop=True)


def endpoints(regions: pd.DataFrame, sites: pd.DataFrame) -> pd.DataFrame:
    """Rows of endpoints.csv: a country stands for all of its regions (weight: users) and sites (equal weights)."""
    users = regions["users"].astype("float64")
    of_regions = pd.DataFrame(
        {
            "endpoint": regions["country"],
            "kind": "country",
            "region": regions["region"],
            "site": "",
            "weight": (users / users.groupby(regions["country"]).transform("sum")).round(6),
        }
    )
    count = sites.groupby("country")["site"].transform("count")
    of_sites = pd.DataFrame(
        {
            "endpoint": sites["country"],
            "kind": "country",
            "region": "",
            "site": sites["site"],
            "weight": (1.0 / count).round(6),
        }
    )
    both = pd.concat([of_regions, of_sites])
    return both.sort_values(["endpoint", "region", "site"]).reset_index(drop=True)


def country_rtt(reference: Path) -> pd.DataFrame:
    """The RIPE country pairs: cty1, cty2, rtt_cnt, rtt_avg, rtt_std, rtt_min, rtt_max (NaN absent), countries only.

    The origin writes `None`, `Unknown` and `EU` for what it could not place; those rows are left out. `NA` is Namibia.
    """
    raw = read_text(reference / "rtt" / "ripe_country2025" / "country_rtt_stat.csv.gz")
    known = set(world.countries(reference)["country"])
    raw = raw[raw["cty1"].isin(known) & raw["cty2"].isin(known)].reset_index(drop=True)
    for column in ("rtt_cnt", "rtt_avg", "rtt_std", "rtt_min", "rtt_max"):
        raw[column] = numbers(raw[column])
    return raw


def countries_within(reference: Path, sites: pd.DataFrame, most_ms: float) -> frozenset[str]:
    """Countries with a measured average of at most `most_ms` to a country where a site may hold GPUs.

    An average of fewer than LEAST_PINGS pings says nothing.
    """
    banned = {country for countries, most, _, _ in EXPORT for country in countries if most == 0}
    usable = set(sites["country"]) - banned
    raw = country_rtt(reference)
    raw = raw[(raw["rtt_cnt"] >= LEAST_PINGS) & (raw["rtt_avg"] <= most_ms)]
    pairs = [*rows(raw, "cty1", "cty2"), *rows(raw, "cty2", "cty1")]
    return frozenset(country for country, pop in pairs if pop in usable)


def measurements(reference: Path, regions: pd.DataFrame, sites: pd.DataFrame) -> pd.DataFrame:
    """Native records of the country pairs that join a region's country with a site's.

    A minimum of 0 ms is no measurement and stays empty; so does the standard deviation of a single ping.
    """
    raw = country_rtt(reference)
    users, pops = set(regions["country"]), set(sites["country"])
    wanted = [(a in users and b in pops) or (b in users and a in pops) for a, b in rows(raw, "cty1", "cty2")]
    raw = raw[wanted].sort_values(["cty1", "cty2"]).reset_index(drop=True)
    count = raw["rtt_cnt"].astype("int64")
    frame = pd.DataFrame({"observed_at": OBSERVED_AT, "agent": "ripe-atlas", "source": raw["cty1"]})
    frame["target"], frame["method"], frame["sent"], frame["received"] = raw["cty2"], METHOD, count, count
    for name in ("min", "avg", "std", "max"):
        values = raw[f"rtt_{name}"].round(RTT_DIGITS)
        frame[f"rtt_{name}_ms"] = values if name == "std" else values.where(values > 0)
    return frame
