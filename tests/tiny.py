"""A scenario small enough to plan by hand: two regions, two sites, one model, round figures.

Worked out on paper. A server is 2 GPUs, 4,800 USD over 48 months at no interest = 100 a month, support 10,
place 1 kW x 100, idle 0.2 kW x 1.5 PUE x 0.1 USD x 730 h = 21.90. A busy GPU draws (1 - 0.2)/2 = 0.4 kW more.

    paris   8 requests/s at the design rate, 4 in the mean: 0.8 replicas; RTT alpha 10 ms, beta 30 ms
    berlin  6 requests/s:                                   0.6 replicas; RTT beta 8 ms, alpha 180 ms
    budget 200 ms, TTFT 50 ms: alpha plans 230 ms for berlin, which is too far

Everything at beta takes 2 replicas on one server. Load energy: paris 4/10 x 1 GPU x 0.4 kW x 1.5 x 0.1 x 730 = 17.52,
berlin 6/10 of the same = 26.28. Egress at beta: (4 + 6) x 3600 x 730 x 10 kB / 10^6 x 0.05 = 13.14.
"""

from pathlib import Path

COST = {
    "servers": 100.00,
    "support": 10.00,
    "power_space": 100.00,
    "idle_energy": 21.90,
    "load_energy": 43.80,
    "open_sites": 40.00,
    "egress": 13.14,
    "latency": 0.00,
    "late": 0.00,
    "unserved": 0.00,
}
TOTAL = 328.84

FILES = {
    "scenario.toml": """
name = "tiny"
planning_date = 2026-01-01
[money]
wacc = 0.0
""",
    "sites.csv": """
site,name,country,latitude,longitude,power_kw,rack_units,uplink_mbps,egress_usd_per_gb,open_usd_month,usd_per_kw_month,usd_per_kwh,pue
alpha,Paris,FR,48.86,2.35,10,42,1000,0.05,50,100,0.1,1.5
beta,Frankfurt,DE,50.11,8.68,10,42,1000,0.05,40,100,0.1,1.5
""",
    "regions.csv": """
region,name,country,latitude,longitude,users
berlin,Berlin,DE,52.52,13.40,3000000
paris,Paris,FR,48.86,2.35,9000000
""",
    "services.csv": """
service,profile,latency_budget_ms,kbyte_in,kbyte_out,unserved_usd_per_1000
chat,chat,200,5,10,1
""",
    "demand.csv": """
region,model,service,requests_per_s,mean_requests_per_s
paris,m8,chat,8,4
berlin,m8,chat,6,6
""",
    "models.csv": """
model,kind
m8,chat
""",
    "gpus.csv": """
gpu,memory_gb,mig_slices,tdp_w
g96,96,4,400
""",
    "servers.csv": """
server,gpu,gpus,dpus,power_kw,rack_units,capex_usd,idle_kw,support_usd_month,install_usd,months
s2,g96,2,1,1,2,4800,0.2,10,0,48
""",
    "profiles.csv": """
profile,tokens_in,tokens_out,tpot_ms
chat,1000,200,50
""",
    "shapes.csv": """
shape,model,gpu,gpus_per_replica,precision,profile,operating_point,requests_per_s,ttft_p95_ms,memory_gb,weights_gb,source
m8-one,m8,g96,1,fp8,chat,balanced,10,50,40,16,by hand
""",
    "measurements/pairs.csv": """
observed_at,source,target,method,sent,received,rtt_ms
2025-12-31T00:00:00Z,paris,alpha,icmp,3,3,10;10;10
2025-12-31T00:00:00Z,paris,beta,icmp,3,3,30;30;30
2025-12-31T00:00:00Z,berlin,beta,icmp,3,3,8;8;8
2025-12-31T00:00:00Z,berlin,alpha,icmp,3,3,180;180;180
""",
}


def write(folder: Path, changed: dict[str, str | None] | None = None) -> Path:
    """Write the scenario, with files of `changed` instead of its own (None: left out)."""
    for name, text in (FILES | (changed or {})).items():
        if text is not None:
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text.lstrip("\n"), "utf-8")
    return folder


def edited(name: str, old: str, new: str) -> dict[str, str | None]:
    """One file of the scenario with one text replaced, which must be there."""
    if old not in FILES[name]:
        raise ValueError(f"{name} holds no {old!r}")
    return {name: FILES[name].replace(old, new)}


SLICED = """
region,model,service,slice,requests_per_s,mean_requests_per_s
paris,m8,chat,day,8,4
paris,m8,chat,night,2,1
berlin,m8,chat,day,2,1
berlin,m8,chat,night,6,6
"""
SLICES = "slice,start_utc,hours_per_day\nday,06:00,12\nnight,18:00,12\n"
IN_PERIODS = """
region,model,service,period,requests_per_s,mean_requests_per_s
paris,m8,chat,h1,4,2
berlin,m8,chat,h1,3,3
paris,m8,chat,h2,8,4
berlin,m8,chat,h2,6,6
"""


def document_with(text: str) -> dict[str, str | None]:
    """scenario.toml with `text` at its end."""
    return {"scenario.toml": FILES["scenario.toml"] + text}


def column(table: str, name: str, *values: object) -> dict[str, str | None]:
    """A table of the scenario with one column more; `name` and every value may hold several, joined by commas."""
    head, *rows = FILES[table].strip().splitlines()
    lines = [f"{head},{name}", *(f"{row},{value}" for row, value in zip(rows, values, strict=True))]
    return {table: "\n".join(lines) + "\n"}
