"""Ways to spoil the files of a scenario, for tests that hold that nothing crashes on them."""

import csv
import io
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import strategies as st

JUNK = (
    *("", "nan", "-1", "inf", "1e999", "1,5", "-", "0", "1e308", "5e-324", "9" * 400, "1;2;3", "2026-13-01", "yes"),
    *("@own", "@bloc:", "NA", "fra", "berlin", "pro", "m8", "chat", '"', "\x00", "é", "\ud7ff", "a\nb", "=1+1", "😀"),
)
EXTRA = {
    "residency.csv": "residency,country,scope\neu,@bloc:EU,\neu,@own,vendor\nhome,@own,location\n",
    "endpoints.csv": "endpoint,kind,region,site\nberlin,host,berlin,\nNA,country,namibia,\nNA,country,,whk\n",
    "slices.csv": "slice,start_utc,hours_per_day\nday,06:00,16\nnight,22:00,8\n",
    "deliveries.csv": "period,delivery_group,server,quantity\n,,pro-2,5\n,,pro-8,3\n",
    "fleet.csv": "site,server,count\nfra,pro-2,1\n",
    "export.csv": "gpu,server,country,max_gpus,from_date,reason\npro,,NA,0,2026-01-01,ban\n",
    "energy.csv": "site,country,slice,usd_per_kwh,gco2_per_kwh\nfra,,day,0.2,300\n,PT,,0.1,\n",
    "budgets.csv": "period,capex_usd,monthly_usd\n,1000000,\n",
    "links.csv": "source,target,rtt_ms,mbps\nfra,lis,35,10000\n",
    "jobs.csv": "job,kind,model,gpu,gpus,hours\nj,finetune,m8,pro,2,10\n",
    "pins.csv": "model,site,min_replicas,max_replicas,reason\nm8,fra,1,2,why\n",
    "domains.csv": "domain,kind,site\nmetro-fra,metro,fra\n",
}

Mutation = Callable[[Path, st.DataObject], None]


def rows_of(path: Path) -> list[list[str]]:
    if path.suffix == ".parquet":
        return []
    try:
        return list(csv.reader(io.StringIO(path.read_bytes().decode("utf-8", "replace"), newline="")))
    except csv.Error:
        return []


def write_rows(path: Path, rows: list[list[str]]) -> None:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(rows)
    path.write_bytes(out.getvalue().encode("utf-8", "replace"))


def replace_cell(path: Path, data: st.DataObject) -> None:
    rows = rows_of(path)
    row = data.draw(st.integers(0, max(len(rows) - 1, 0)))
    if not rows or not rows[row]:
        return
    rows[row][data.draw(st.integers(0, len(rows[row]) - 1))] = data.draw(st.sampled_from(JUNK) | st.text(max_size=8))
    write_rows(path, rows)


def change_columns(path: Path, data: st.DataObject) -> None:
    rows = rows_of(path)
    if not rows or not rows[0]:
        return
    place = data.draw(st.integers(0, len(rows[0]) - 1))
    how = data.draw(st.sampled_from(("drop", "double", "rename", "empty")))
    for number, row in enumerate(rows):
        if place >= len(row):
            continue
        if how == "drop":
            del row[place]
        elif how == "double":
            row.append(row[place])
        elif how == "rename" and number == 0:
            row[place] = data.draw(st.text(max_size=6))
        elif how == "empty" and number > 0:
            row[place] = ""
    write_rows(path, rows)


def double_row(path: Path, data: st.DataObject) -> None:
    rows = rows_of(path)
    if rows:
        rows.append(rows[data.draw(st.integers(0, len(rows) - 1))])
        write_rows(path, rows)


def flip_bytes(path: Path, data: st.DataObject) -> None:
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        if content:
            content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(bytes(content))


def truncate(path: Path, data: st.DataObject) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])


def remove(path: Path, data: st.DataObject) -> None:
    path.unlink()
    if data.draw(st.booleans()):
        path.mkdir()


def binary(path: Path, data: st.DataObject) -> None:
    path.write_bytes(data.draw(st.binary(max_size=60)))


def as_parquet(path: Path, data: st.DataObject) -> None:
    """The table as Parquet, its bytes spoilt or not."""
    rows = [row for row in rows_of(path) if row]
    if path.suffix != ".csv" or len(rows) < 2 or len(set(rows[0])) < len(rows[0]):
        return
    width = len(rows[0])
    columns = {name: [(row + [""] * width)[place] or None for row in rows[1:]] for place, name in enumerate(rows[0])}
    new = path.with_suffix(".parquet")
    pq.write_table(pa.table({name: pa.array(cells, pa.string()) for name, cells in columns.items()}), new)
    path.unlink()
    if data.draw(st.booleans()):
        flip_bytes(new, data)


def mangle_key(path: Path, data: st.DataObject) -> None:
    lines = path.read_bytes().decode("utf-8", "replace").splitlines()
    if lines:
        line = data.draw(st.integers(0, len(lines) - 1))
        added = (
            "wacc = []",
            "[[money]]",
            "seed = 1e9",
            "planning_date = 0001-01-01",
            "[shapes]\ngpus = [1]",
            "name = {}",
        )
        lines[line] = data.draw(st.sampled_from(added) | st.text(max_size=12))
        path.write_bytes("\n".join(lines).encode("utf-8", "replace"))


MUTATIONS: tuple[Mutation, ...] = (
    replace_cell,
    replace_cell,
    change_columns,
    double_row,
    flip_bytes,
    truncate,
    remove,
    binary,
    as_parquet,
    mangle_key,
)


def spoil(folder: Path, data: st.DataObject) -> None:
    """Add tables and apply a few mutations."""
    for name in data.draw(st.lists(st.sampled_from(sorted(EXTRA)), max_size=4, unique=True)):
        (folder / name).write_text(EXTRA[name], encoding="utf-8")
    for _ in range(data.draw(st.integers(1, 4))):
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        toml = folder / "scenario.toml"
        mutation = data.draw(st.sampled_from(MUTATIONS))
        path = toml if mutation is mangle_key and toml.is_file() else data.draw(st.sampled_from(files))
        mutation(path, data)
