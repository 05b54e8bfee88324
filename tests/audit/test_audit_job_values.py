"""Prices of jobs, against figures worked out by hand, and against the least that random small worlds cost."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from audit_twins import SERVERS, bound, certificate, proved, twins
from audit_world import frame

HEAD = "job,kind,model,gpu,gpus,hours,window,deadline,preemptible,residency,data_gb,data_site"
SLICES = "slice,start_utc,hours_per_day\nday,08:00,12\nnight,20:00,12"
HALF_DAYS_HOURS = 365
"""Hours that one of the two slices lasts in a month."""
SITES = "site,country,latitude,longitude,power_kw,rack_units,uplink_mbps,egress_usd_per_gb,usd_per_kwh,pue"
SERVER_HEAD = "server,gpu,gpus,power_kw,rack_units,capex_usd,idle_kw,support_usd_month,install_usd,months\n"


def jobs(*rows: str) -> str:
    """Rows of name, GPUs, hours, window, and preemptible; their data are nowhere."""
    told = (row.split() for row in rows)
    lines = [f"{name},finetune,m,g,{gpus},{hours},{t.strip('*')},,{stops},,," for name, gpus, hours, t, stops in told]
    return "\n".join([HEAD, *lines])


def with_tables(world, **texts: str):
    return replace(world, tables={**world.tables, **{name: frame(name, text) for name, text in texts.items()}})


def told(*rows: str, sites: str = "p", **tables: str):
    """A world of one slice with jobs beside 5 requests/s, half a server."""
    return twins([5], sites, jobs=jobs(*rows), **tables)


def half_days(*rows: str, sites: str = "p", **tables: str):
    """The same with 5 requests/s in each of two slices."""
    demand = "region,model,service,requests_per_s,slice\nr,m,s0,5,day\nr,m,s0,5,night"
    return twins([5], sites, jobs=jobs(*rows), slices=SLICES, demand=demand, **tables)


def paid(usd: list[float], jobs_usd: dict[str, float], sites: str = "p", **more):
    return certificate(usd, sites, job=np.array(list(jobs_usd), np.str_), job_usd=list(jobs_usd.values()), **more)


def paid_by_half_days(usd: list[float], jobs_usd: dict[str, float], sites: str = "p"):
    """The rows are s0 by day and by night."""
    arrays = paid(usd, jobs_usd, sites, demand_service=np.array(["s0", "s0"]), demand_slice=np.array(["day", "night"]))
    wires = {f"p0_{name}_usd": np.zeros((len(sites), 2)) for name in ("uplink", "downlink")}
    return arrays | wires | {"slice": np.array(["day", "night"])}


def test_a_job_needs_a_server_of_its_own_beside_the_replica():
    world = told("tune 1 4 * no")
    assert bound(paid([100.0], {"tune": 100.0}), world) == pytest.approx(200)
    # what it is paid beyond its server, the site earns
    assert bound(paid([100.0], {"tune": 150.0}), world) == pytest.approx(250 - 50)
    # and two sites earn twice
    two = told("tune 1 4 * no", sites="pq")
    assert bound(paid([100.0], {"tune": 150.0}, "pq"), two, "pq") == pytest.approx(250 - 2 * 50)
    # a negative price proves what it says, and no job is taken at it
    assert bound(paid([100.0], {"tune": -30.0}), world) == pytest.approx(70)


def test_jobs_that_choose_their_slice_share_gpus_and_those_that_cannot_do_without_one_do_not():
    free = half_days("tune 1 4 * no", "train 1 9 * no")
    assert bound(paid_by_half_days([50.0, 50.0], {"tune": 50.0, "train": 50.0}), free) == pytest.approx(200)
    assert bound(paid_by_half_days([50.0, 50.0], {"tune": 100.0, "train": 100.0}), free) == pytest.approx(300 - 100)
    day = half_days("tune 1 4 day no", "train 1 9 day no")
    assert bound(paid_by_half_days([50.0, 50.0], {"tune": 100.0, "train": 100.0}), day) == pytest.approx(300)
    # a run of 13 hours is longer than either slice, and so is one that takes all days but may be stopped
    long = half_days("tune 1 13 * no", "train 1 366 * yes")
    assert bound(paid_by_half_days([50.0, 50.0], {"tune": 100.0, "train": 100.0}), long) == pytest.approx(300)
    # one that may be stopped, and just fits into the half days of a month, chooses
    fits = half_days("tune 1 13 * no", f"train 1 {HALF_DAYS_HOURS} * yes")
    assert bound(paid_by_half_days([50.0, 50.0], {"tune": 100.0, "train": 100.0}), fits) == pytest.approx(300 - 100)


def test_a_gang_runs_where_a_server_is_large_enough_only():
    large = SERVER_HEAD + "s,g,1,1,1,4800,0,0,0,48\nf,g,4,4,4,14400,0,0,0,48"  # four for 300
    world = told("tune 4 4 * no", servers=large)
    assert bound(paid([75.0], {"tune": 300.0}), world) == pytest.approx(375)
    assert bound(paid([75.0], {"tune": 325.0}), world) == pytest.approx(400 - 25)
    none = told("tune 4 4 * no")
    assert bound(paid([100.0], {"tune": 1e6}), none) == pytest.approx(1e6 + 100)  # no plan satisfies it


def test_energy_and_the_way_of_the_data_lower_what_a_job_earns():
    """A GPU draws .6 kW; 10 hours at .5 USD a kWh by day, .1 by night; 100 GB leave q for .2 USD each, in an hour."""
    servers = SERVER_HEAD + "s,g,1,1,1,4800,0.4,0,0,48"
    places = SITES + "".join(f"\n{p},DE,50,8,9,9,1000,{egress},0,1" for p, egress in (("p", 0), ("q", 0.2)))
    energy = "site,country,slice,usd_per_kwh,gco2_per_kwh" + "".join(
        f"\n{p},,{t},{usd}," for p in "pq" for t, usd in (("day", 0.5), ("night", 0.1))
    )
    world = half_days("tune 1 10 * no", sites="pq", servers=servers, energy=energy)
    at_q = jobs("tune 1 10 * no").replace("no,,,", "no,,100,q")
    world = with_tables(world, sites=places, jobs=at_q)
    idle = 0.4 * HALF_DAYS_HOURS * (0.5 + 0.1)
    at_home = 100 + idle + 0.6 * 10 * 0.1
    away = at_home + 100 * 0.2
    assert bound(paid_by_half_days([0.0, 0.0], {"tune": at_home}, "pq"), world, "pq") == pytest.approx(at_home)
    assert bound(paid_by_half_days([0.0, 0.0], {"tune": away + 7}, "pq"), world, "pq") == pytest.approx(at_home - 7)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"job": np.array(["guess"])}, "does not have"),
        ({"job": np.array(["tune", "tune"]), "job_usd": [1.0, 1.0]}, "twice"),
        ({"job_usd": [np.inf]}, "NaN"),
        ({"job_usd": [1.0, 2.0]}, "shape"),
        ({"job": np.array([3])}, "no list of names"),
    ],
)
def test_prices_of_jobs_with_a_fault_prove_nothing_and_say_why(changes, why):
    arrays = paid([100.0], {"tune": 100.0}) | {f"p0_{name}": np.asarray(array) for name, array in changes.items()}
    found = proved(arrays, told("tune 1 4 * no"))
    assert found.bound_usd_month is None
    assert why in found.reason


def test_half_of_the_arrays_of_jobs_prove_nothing():
    arrays = paid([100.0], {"tune": 100.0})
    del arrays["p0_job_usd"]
    assert "missing" in proved(arrays, told("tune 1 4 * no")).reason


def test_jobs_have_no_price_where_replicas_follow_the_slices():
    world = half_days("tune 1 4 * no")
    limits = world.document.limits.model_copy(update={"replicas_follow_slices": True})
    following = replace(world, document=world.document.model_copy(update={"limits": limits}))
    assert "follow" in proved(paid_by_half_days([50.0, 50.0], {"tune": 10.0}), following).reason


def least_usd(gangs: list[int], runs: list[str], sites: int) -> float:
    """The least that a world of equal sites costs: half a server's demand in both slices, and the jobs, at best.

    All jobs of a site in the slice they choose, the replica anywhere; a GPU is 100 USD.
    """
    choices = [[(p, t) for p in range(sites) for t in (("day", "night") if run == "*" else (run,))] for run in runs]
    least = np.inf
    for where in itertools.product(*choices):
        need = np.zeros((sites, 2))
        for gang, (p, t) in zip(gangs, where, strict=True):
            need[p, ("day", "night").index(t)] += gang
        least = min(least, 100 * (need.max(axis=1).sum() + 1))
    return float(least)


def test_random_prices_prove_no_more_than_the_cheapest_plan_costs():
    draw, near = np.random.default_rng(0), 0
    for _ in range(40):
        count, sites = int(draw.integers(1, 4)), int(draw.integers(1, 3))
        gangs, runs = draw.choice([1, 2, 4], count).tolist(), draw.choice(["*", "day", "night"], count).tolist()
        rows = [f"j{n} {gang} 4 {run} no" for n, (gang, run) in enumerate(zip(gangs, runs, strict=True))]
        servers = SERVERS + "\ns2,g,2,1,1,9600,0,0,0,48\ns4,g,4,1,1,19200,0,0,0,48"
        letters = "pq"[:sites]
        world = half_days(*rows, sites=letters, servers=servers)
        least = least_usd(gangs, runs, sites)
        for scale in (30, 60, 100, 200):
            usd = {f"j{n}": float(draw.uniform(0.5, 1) * scale * gang) for n, gang in enumerate(gangs)}
            found = bound(paid_by_half_days(list(draw.uniform(0, 60, 2)), usd, letters), world, letters)
            assert found <= least * (1 + 1e-9)
            near += found > 0.8 * least
    assert near > 20
