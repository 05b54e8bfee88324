"""A sound scenario small enough to read, with its own catalog, and ways to spoil it."""

import csv
import io
from pathlib import Path

from placement.scenario import Finding, inspect

TABLES = {
    "sites": """\
site,name,country,latitude,longitude,power_kw,rack_units,uplink_mbps,egress_usd_per_gb,vendor_jurisdiction
fra,Frankfurt,DE,50.11,8.68,100,84,100000,0.02,DE
lis,Lisboa,PT,38.72,-9.14,40,42,20000,0.03,US
whk,Windhoek,NA,-22.56,17.08,20,42,10000,0.08,NA
""",
    "regions": """region,name,country,latitude,longitude,users
berlin,Berlin,DE,52.52,13.4,3000000
porto,Porto,PT,41.15,-8.61,1000000
namibia,Windhoek,NA,-22.6,17.1,500000
""",
    "services": """service,profile,latency_budget_ms,kbyte_in,kbyte_out
assistant,chat,800,6,40
editor,code,600,9,60
""",
    "demand": """region,model,service,requests_per_s
berlin,m8,assistant,20
berlin,m70,editor,5
porto,m8,assistant,8
namibia,m8,assistant,1
""",
    "models": "model,kind\nm8,dense\nm70,dense\n",
    "gpus": "gpu,memory_gb,mig_slices,tdp_w\npro,96,4,600\n",
    "servers": """server,gpu,gpus,dpus,power_kw,rack_units,capex_usd
pro-2,pro,2,1,1.8,2,40000
pro-8,pro,8,2,6.5,6,140000
""",
    "profiles": "profile,tokens_in,tokens_out,tpot_ms\nchat,1000,200,50\ncode,2000,100,30\n",
    "shapes": (
        "shape,model,gpu,gpus_per_replica,precision,profile,operating_point,requests_per_s,"
        """ttft_p95_ms,memory_gb,weights_gb,source
m8-q,m8,pro,0.25,fp8,chat,latency,2,120,20,9,test
m8-q,m8,pro,0.25,fp8,code,latency,1.5,150,20,9,test
m8-1,m8,pro,1,fp8,chat,throughput,12,300,80,9,test
m70-2,m70,pro,2,fp4,code,throughput,4,280,150,40,test
"""
    ),
}
DOCUMENT = 'name = "small"\nplanning_date = 2026-01-01\n\n[money]\nwacc = 0.08\n\n[limits]\nbandwidth_free_kbyte = 14\n'
PINGS = """observed_at,source,target,method,sent,received,rtt_ms
2025-12-30T10:00:00Z,berlin,fra,icmp,3,3,9;10;11
2025-12-30T10:00:00Z,berlin,lis,icmp,3,3,40;41;44
2025-12-30T10:00:00Z,porto,lis,icmp,3,3,7;8;8
2025-12-30T10:00:00Z,namibia,whk,icmp,3,2,5;9
"""


def write_small(folder: Path) -> Path:
    """The scenario as files; gives the folder."""
    (folder / "measurements").mkdir(parents=True)
    for name, text in TABLES.items():
        (folder / f"{name}.csv").write_text(text, encoding="utf-8")
    (folder / "scenario.toml").write_text(DOCUMENT, encoding="utf-8")
    (folder / "measurements" / "pings.csv").write_text(PINGS, encoding="utf-8")
    return folder


def put(folder: Path, name: str, text: str) -> None:
    """Write one file of the scenario."""
    (folder / name).write_text(text, encoding="utf-8")


def set_cell(folder: Path, table: str, line: int, column: str, value: str) -> None:
    """Write a cell; the header is line 1. A column that is not there is added, empty elsewhere."""
    path = folder / f"{table}.csv"
    rows = list(csv.reader(io.StringIO(path.read_text(encoding="utf-8"))))
    if column not in rows[0]:
        rows = [[*row, column if number == 0 else ""] for number, row in enumerate(rows)]
    rows[line - 1][rows[0].index(column)] = value
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(rows)
    path.write_text(out.getvalue(), encoding="utf-8")


def add_line(folder: Path, name: str, line: str) -> None:
    """Append a line to a file."""
    with (folder / name).open("a", encoding="utf-8") as file:
        file.write(line + "\n")


def findings(folder: Path) -> tuple[Finding, ...]:
    """All findings of the folder, later ones too."""
    report = inspect(folder)
    return (*report.findings, *report.later)


def only(folder: Path, rule: str) -> Finding:
    """The one finding of a rule."""
    found = [finding for finding in findings(folder) if finding.rule == rule]
    assert len(found) == 1, [str(finding) for finding in findings(folder)]
    return found[0]
