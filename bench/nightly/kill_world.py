"""A world for kills: two sites, two regions, one model, three feeds; a night of it takes a second."""

from datetime import UTC, datetime
from pathlib import Path

MEASURED = datetime(2026, 1, 1, tzinfo=UTC)
WRITTEN = """
observed_at,source,target,method,sent,received,rtt_ms
2026-01-01T00:00:00Z,paris,alpha,icmp,3,3,10;10;10
2026-01-01T00:00:00Z,paris,beta,icmp,3,3,30;30;30
2026-01-01T00:00:00Z,berlin,beta,icmp,3,3,8;8;8
2026-01-01T00:00:00Z,berlin,alpha,icmp,3,3,90;90;90
"""
FILES = {
    "scenario/scenario.toml": 'name = "kills"\nplanning_date = 2026-01-02\n[quality]\nneighbours = false\n',
    "scenario/sites.csv": """
site,name,country,latitude,longitude,power_kw,rack_units,uplink_mbps,egress_usd_per_gb
alpha,Paris,FR,48.86,2.35,40,42,10000,0.05
beta,Frankfurt,DE,50.11,8.68,40,42,10000,0.05
""",
    "scenario/regions.csv": """
region,name,country,latitude,longitude,users
berlin,Berlin,DE,52.52,13.40,3000000
paris,Paris,FR,48.86,2.35,9000000
""",
    "scenario/services.csv": """
service,profile,latency_budget_ms,kbyte_in,kbyte_out,unserved_usd_per_1000
chat,chat,200,5,10,1
""",
    "scenario/models.csv": "model,kind\nm8,chat\n",
    "scenario/gpus.csv": "gpu,memory_gb,mig_slices,tdp_w\ng96,96,4,400\n",
    "scenario/servers.csv": """
server,gpu,gpus,dpus,power_kw,rack_units,capex_usd,idle_kw
s2,g96,2,1,1,2,4800,0.2
""",
    "scenario/profiles.csv": "profile,tokens_in,tokens_out,tpot_ms\nchat,1000,200,50\n",
    "scenario/shapes.csv": """
shape,model,gpu,gpus_per_replica,precision,profile,operating_point,requests_per_s,ttft_p95_ms,memory_gb,weights_gb,source
m8-one,m8,g96,1,fp8,chat,balanced,10,50,40,16,by hand
""",
    "scenario/measurements/pairs.csv": WRITTEN,
    "addresses.csv": "site,host,port\nalpha,127.0.0.11,8000\nbeta,127.0.0.12,8000\n",
    "feeds.toml": 'targets = ["csv", "envoy", "json"]\naddresses = "addresses.csv"\n',
    "nightly.toml": """
scenario = "scenario"
feeds = "feeds.toml"
keep_runs = 2
[[ingest]]
files = ["incoming/*.csv"]
format = "native"
required = false
[plan]
method = "scale"
work = 2
gap = 0.2
[metrics]
textfile = "nearserve.prom"
""",
}


def make(folder: Path) -> None:
    """The files, with the first demand."""
    for name, text in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.lstrip("\n"), "utf-8")
    (folder / "incoming").mkdir()
    demand(folder, 0)


def demand(folder: Path, number: int) -> int:
    """The demand of a night, and one measurement more; the replicas that it takes are given."""
    asked = 4 + 7 * (number % 23)
    rows = f"region,model,service,requests_per_s\nparis,m8,chat,{asked}\nberlin,m8,chat,6\n"
    (folder / "scenario" / "demand.csv").write_text(rows, "utf-8")
    head = "observed_at,source,target,method,sent,received,rtt_ms\n"
    row = f"2026-01-01T00:00:{number % 60:02d}Z,paris,alpha,icmp,3,3,10;10;10\n"
    (folder / "incoming" / f"{number % 60:02d}.csv").write_text(head + row, "utf-8")
    return asked
