"""What `edge-full` adds: slices, domains, jobs and delivery periods."""

import numpy as np
import pandas as pd

from placement.frames import floats
from placement.worlds.diurnal import by_slice
from placement.worlds.edge_demand import GPU, Offer

SLICES = (("s1-00utc", "00:00", 8), ("s2-08utc", "08:00", 8), ("s3-16utc", "16:00", 8))
PERIODS = ("2027-H1", "2027-H2")
FIRST_PERIOD_SHARE = 0.6  # of the servers
FIRST_PERIOD_DEMAND = 0.6
RULES = """
[reliability]
n_minus_1 = ["metro"]
"""


def slices() -> pd.DataFrame:
    """Rows of slices.csv."""
    return pd.DataFrame(SLICES, columns=["slice", "start_utc", "hours_per_day"])


def demand_by_slice(demand: pd.DataFrame, utc_offset_hours: "pd.Series[float]") -> pd.DataFrame:
    """Demand in every slice, as `diurnal.by_slice` says; `utc_offset_hours` is indexed by region."""
    factor = by_slice(floats(demand.assign(offset=demand["region"].map(utc_offset_hours)), "offset"), slices())
    parts = []
    for t, (name, _, _) in enumerate(SLICES):
        part = demand.assign(slice=name)
        for column in ("requests_per_s", "mean_requests_per_s"):
            part[column] = [float(f"{value:.6g}") for value in part[column].to_numpy(np.float64) * factor[:, t]]
        parts.append(part)
    return pd.concat(parts).sort_values(["region", "model", "service", "slice"], ignore_index=True)


def domains(sites: pd.DataFrame) -> pd.DataFrame:
    """Rows of domains.csv: metros, of one site or several, and the grid of every country."""
    metro_name = sites.groupby("town")["site"].transform("first")
    metros = pd.DataFrame({"domain": "metro-" + metro_name, "kind": "metro", "site": sites["site"]})
    grids = pd.DataFrame({"domain": "grid-" + sites["country"].str.lower(), "kind": "grid", "site": sites["site"]})
    return pd.concat([metros, grids]).sort_values(["domain", "site"], ignore_index=True)


def jobs(rng: np.random.Generator, offer: Offer, sites: pd.DataFrame, servers: pd.DataFrame) -> pd.DataFrame:
    """Rows of jobs.csv: one for each hundred sites, at least two; each can run somewhere."""
    count = max(2, len(sites) // 100)
    names = sites["site"].to_numpy(object)
    windows = np.array(["", SLICES[0][0], f"{SLICES[0][0]}+{SLICES[2][0]}"], object)
    window, stoppable = rng.choice(windows, count), rng.random(count) < 0.5
    # What may not be stopped runs through the days on end, or fits in the window of one day with its data's way.
    longest = np.where(stoppable | (window == ""), 200.0, SLICES[0][2] / 2)
    drawn = pd.DataFrame(
        {
            "job": [f"job-{number:03d}" for number in range(1, count + 1)],
            "kind": rng.choice(["finetune", "posttrain"], count, p=[0.7, 0.3]),
            "model": rng.choice(np.array(offer.models, object), count),
            "gpu": GPU,
            "gpus": rng.choice([2, 4, 8], count),
            "hours": np.round(np.minimum(rng.uniform(4, 200, count), longest), 1),
            "window": window,
            "period": PERIODS[0],
            "deadline": "2027-01-31",
            "preemptible": np.where(stoppable, "yes", "no"),
            "data_gb": np.round(rng.lognormal(np.log(200), 1.0, count), 1),
            "data_site": rng.choice(names, count),
        }
    )
    return _in_time(drawn, sites, servers)


def _in_time(jobs: pd.DataFrame, sites: pd.DataFrame, servers: pd.DataFrame) -> pd.DataFrame:
    """The jobs, with no more data than their own site sends away in time where it cannot hold the gang itself."""
    own = sites.set_index("site").loc[jobs["data_site"]]
    holds = np.zeros(len(jobs), np.bool_)
    for gpus, kw, units in servers[["gpus", "power_kw", "rack_units"]].astype(np.float64).to_numpy():
        holds |= (gpus >= jobs["gpus"]) & (floats(own, "power_kw") >= kw) & (floats(own, "rack_units") >= units)
    bound = (jobs["preemptible"] == "no") & (jobs["window"] != "") & ~holds
    left_s = (SLICES[0][2] - floats(jobs, "hours")) * 3600
    most_gb = np.floor(left_s * floats(own, "uplink_mbps") / 8000 * 10) / 10
    data_gb = floats(jobs, "data_gb")
    return jobs.assign(data_gb=np.where(bound, np.minimum(data_gb, most_gb), data_gb))


def periods() -> pd.DataFrame:
    """Rows of periods.csv: two half-years."""
    return pd.DataFrame({"period": PERIODS, "start_date": ["2027-01-01", "2027-07-01"], "months": 6})


def growing(demand: pd.DataFrame) -> pd.DataFrame:
    """Demand in both periods: in the first a part of it."""
    first = demand.assign(period=PERIODS[0])
    for column in ("requests_per_s", "mean_requests_per_s"):
        first[column] = [float(f"{value:.6g}") for value in first[column] * FIRST_PERIOD_DEMAND]
    both = pd.concat([first, demand.assign(period=PERIODS[1])])
    return both.sort_values(["region", "model", "service", "slice", "period"], ignore_index=True)


def in_periods(deliveries: pd.DataFrame) -> pd.DataFrame:
    """Deliveries split over the two periods."""
    first = (deliveries["quantity"] * FIRST_PERIOD_SHARE).round().astype(np.int64)
    early = deliveries.assign(period=PERIODS[0], quantity=first)
    late = deliveries.assign(period=PERIODS[1], quantity=deliveries["quantity"] - first)
    return pd.concat([early, late], ignore_index=True)
