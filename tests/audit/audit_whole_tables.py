"""The tables of the second world worked out by hand; `audit_world_whole` says what it is."""

from typing import Any

DOCUMENT: dict[str, Any] = {
    "name": "whole",
    "planning_date": "2026-12-01",
    "money": {"wacc": 0.0, "latency_usd_per_million_request_ms": 1.0},
    "limits": {
        "replicas_follow_slices": True,
        "installs_per_period": 2,
        "min_served_share": 0.9676,
        "max_tco2e_month": 0.12951296875,
    },
    "reliability": {"n_minus_1": ["metro"]},
    "stability": {"previous_plan": "before", "max_moves": 1, "usd_per_move": 30.0},
    "objective": {"usd_per_tco2e": 100.0, "goals": ["served", "latency", "carbon", "moves"]},
}

TABLES = {
    "sites": """
site,kind,country,latitude,longitude,power_kw,rack_units,uplink_mbps,egress_usd_per_gb,downlink_mbps,open_usd_month,usd_per_kw_month,usd_per_kwh,pue,gco2_per_kwh,transit_usd_per_mbps_month,transit_billing
oslo,edge,NO,60,11,4,4,16,0.02,1.68,200,50,0.1,1.25,20,2,p95
turku,edge,FI,60,22,4,4,100,0.05,20,100,40,0.2,1,100,,
cloud,cloud,SE,59,18,99,99,1000,0.1,1000,0,0,0.1,1,30,1,mean
""",
    "regions": """
region,country,latitude,longitude,users
norse,NO,60,11,1000
""",
    "services": """
service,profile,latency_budget_ms,kbyte_in,kbyte_out,residency,unserved_usd_per_1000,tenant,dedicated,backup_latency_budget_ms,min_share,max_sites
chat,chat,50,10,100,nordic,2,,,70,0.4,2
bank,chat,60,10,10,home,3,bank,yes,,,
""",
    "demand": """
region,model,service,slice,period,requests_per_s
norse,m,chat,rush,2027-1,10
norse,m,chat,day,2027-1,8
norse,m,chat,night,2027-1,5
norse,m,bank,day,2027-1,5
norse,m,chat,rush,2027-2,20
norse,m,chat,day,2027-2,16
norse,m,chat,night,2027-2,10
norse,m,bank,day,2027-2,5
""",
    "periods": """
period,start_date,months
2027-1,2027-01-01,6
2027-2,2027-07-01,12
""",
    "slices": """
slice,start_utc,hours_per_day
rush,08:00,1
day,09:00,11
night,20:00,12
""",
    "gpus": """
gpu,memory_gb,mig_slices,tdp_w
g,96,1,600
""",
    "servers": """
server,gpu,gpus,dpus,power_kw,rack_units,capex_usd,idle_kw,support_usd_month,install_usd,months,rent_usd_month,embodied_kgco2e,stands_at
s2,g,2,1,2,2,48000,0.5,100,0,48,1500,1200,any
""",
    "shapes": """
shape,model,gpu,gpus_per_replica,precision,profile,operating_point,requests_per_s,ttft_p95_ms,memory_gb,weights_gb,source
one,m,g,1,fp8,chat,near,10,30,90,16,hand
quick,m,g,1,fp8,chat,quick,5,20,90,16,hand
""",
    "residency": """
residency,country,scope
nordic,NO,
nordic,FI,
nordic,SE,
home,NO,
own,@own,
""",
    "export": """
gpu,server,country,max_gpus,from_date,reason
g,,FI,2,2027-07-01,in force when the second period begins
g,,NO,3,2027-07-02,a day too late
""",
    "deliveries": """
period,delivery_group,server,quantity
2027-1,,s2,1
2027-2,,s2,1
""",
    "budgets": """
period,capex_usd,monthly_usd
2027-1,48000,4526.29
2027-2,48000,
""",
    "fleet": """
site,server,count
oslo,s2,1
""",
    "domains": """
domain,site,kind
metro-oslo,oslo,metro
metro-turku,turku,metro
baltic,oslo,grid
baltic,turku,grid
""",
    "energy": """
site,country,slice,usd_per_kwh,gco2_per_kwh
turku,,night,0.1,50
""",
    "jobs": """
job,kind,model,gpu,gpus,hours,window,deadline,preemptible,residency,data_gb,data_site,period
tune,finetune,m,g,1,11,night,,no,nordic,7.2,oslo,
train,posttrain,m,g,1,26,night+rush,2027-01-02,yes,own,,oslo,2027-1
""",
    "pins": """
model,site,min_replicas,max_replicas,reason
m,turku,1,2,as many as there are
m,oslo,2,3,the bank's counts
""",
}


def edited(table: str, old: str, new: str) -> dict[str, str | None]:
    """The table's text with `old` replaced; raises where it does not hold `old` exactly once."""
    assert TABLES[table].count(old) == 1, f"{old!r} is not in {table} once"
    return {table: TABLES[table].replace(old, new)}
