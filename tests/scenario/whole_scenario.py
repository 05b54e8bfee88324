"""The small scenario with every rule on."""

from pathlib import Path

from small_scenario import put, write_small

TABLES = {
    "sites": """\
site,kind,country,latitude,longitude,power_kw,rack_units,uplink_mbps,egress_usd_per_gb,gco2_per_kwh,transit_usd_per_mbps_month,transit_billing
fra,,DE,50.11,8.68,100,84,100000,0.02,380,0.4,p95
lis,,PT,38.72,-9.14,40,42,20000,0.03,200,0.5,mean
whk,edge,NA,-22.56,17.08,20,42,10000,0.08,500,,
dub,cloud,IE,53.35,-6.26,5000,4000,400000,0.09,,,
""",
    "services": """\
service,profile,latency_budget_ms,kbyte_in,kbyte_out,tenant,dedicated,backup_latency_budget_ms,residency,revenue_usd_per_1000,min_share,max_sites
assistant,chat,800,6,40,,,1200,any,0.5,0.2,3
editor,code,600,9,60,bank,yes,,any,,,
""",
    "servers": """\
server,gpu,gpus,dpus,power_kw,rack_units,capex_usd,rent_usd_month,embodied_kgco2e,stands_at
pro-2,pro,2,1,1.8,2,40000,1500,1200,edge
pro-8,pro,8,2,6.5,6,140000,,4000,any
cloud-8,pro,8,2,6.5,6,,9000,4000,cloud
""",
    "slices": "slice,start_utc,hours_per_day\npeak,18:00,1\nnight,19:00,11\nday,06:00,12\n",
    "periods": "period,start_date,months\nh1,2026-01-01,6\nh2,2026-07-01,6\n",
    "residency": "residency,country\nany,@any\nhome,@own\n",
    "export": "gpu,server,country,max_gpus,from_date,reason\npro,,NA,8,2026-06-01,ban\n",
    "deliveries": "period,delivery_group,server,quantity\nh1,,pro-2,6\n,,pro-8,3\nh2,,pro-8,9\n",
    "budgets": "period,capex_usd,monthly_usd\nh1,1000000,\nh2,2000000,90000\n",
    "fleet": "site,server,count\nfra,pro-2,1\n",
    "domains": "domain,kind,site\nrhine,metro,fra\ntagus,metro,lis\nsadc,grid,whk\n",
    "energy": "site,country,slice,usd_per_kwh,gco2_per_kwh\n,IE,,0.1,300\nfra,,night,0.1,\n",
    "jobs": """\
job,kind,model,gpu,gpus,hours,window,deadline,preemptible,residency,data_gb,data_site,period
tune,finetune,m8,pro,2,60,night,2026-01-31,yes,home,100,fra,
align,posttrain,m70,pro,8,10,peak+night,,no,,,,h2
""",
    "pins": "model,site,min_replicas,max_replicas,reason\nm8,fra,1,9,contract\n",
}
DOCUMENT = """\
name = "whole"
planning_date = 2026-01-01

[limits]
default_residency = "any"
replicas_follow_slices = true
max_tco2e_month = 50
installs_per_period = 10
min_served_share = 0.5

[reliability]
failover = "priority"
n_minus_1 = ["metro", "grid"]

[stability]
max_moves = 20
usd_per_move = 40
previous_plan = "before"

[objective]
goals = ["served", "cost"]
goal_gaps = [0, 0.01]
usd_per_tco2e = 90
"""


def write_whole(folder: Path) -> Path:
    """The scenario as files; gives the folder."""
    write_small(folder)
    for name, text in TABLES.items():
        put(folder, f"{name}.csv", text)
    put(folder, "scenario.toml", DOCUMENT)
    rows = [
        f"{region},{model},{service},{slice_},{period},{rate}\n"
        for region, model, service, rate in (("berlin", "m8", "assistant", 20), ("porto", "m70", "editor", 5))
        for slice_ in ("peak", "night", "day")
        for period in ("h1", "h2")
    ]
    put(folder, "demand.csv", "region,model,service,slice,period,requests_per_s\n" + "".join(rows))
    (folder / "before").mkdir()
    put(folder, "before/plan.json", '{"schema": "nearserve-plan-2", "periods": [], "replicas": [], "servers": []}')
    return folder
