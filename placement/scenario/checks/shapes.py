"""Shapes: that they fit their GPUs, agree with themselves, and can serve what is asked within its budget."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from placement.scenario.draft import Draft, at_rows
from placement.scenario.findings import Finding, Severity, shortened

OF_A_SHAPE = ("model", "gpu", "gpus_per_replica", "precision", "operating_point", "memory_gb", "weights_gb")


def check_agreement(draft: Draft) -> Iterator[Finding]:
    """The rows of a shape, one for each profile, agree in all that is not of the profile."""
    frame = draft.frame("shapes")
    if not draft.own("shapes"):
        return
    first = frame.groupby("shape", sort=False)[list(OF_A_SHAPE)].transform("first")
    for column in OF_A_SHAPE:
        same = (frame[column] == first[column]) | frame[column].isna() | first[column].isna()
        message = "another row of the same shape says something else"
        mend = f"A shape has one {column}: correct it, or give this row a name of its own."
        yield from at_rows(draft, "shapes", frame.index[~same], column, "shape-disagrees", message, mend)


def check_memory(draft: Draft) -> Iterator[Finding]:
    """A replica's memory fits its GPUs, and its weights fit that memory."""
    if not draft.own("shapes"):
        return
    frame = draft.frame("shapes")
    gpus = draft.frame("gpus").drop_duplicates("gpu").set_index("gpu")["memory_gb"]
    room = frame["gpu"].map(gpus).to_numpy(np.float64) * frame["gpus_per_replica"].to_numpy(np.float64)
    needed = frame["memory_gb"].to_numpy(np.float64)
    lines = frame.index.to_numpy(np.int64)
    for place in np.nonzero(needed > room * (1 + 1e-9))[0]:
        message = f"more memory than the replica's GPUs have: {room[place]:g} GB"
        mend = "Take more GPUs for a replica, a smaller precision, or correct memory_gb."
        yield from at_rows(draft, "shapes", [int(lines[place])], "memory_gb", "memory", message, mend)
    heavy = frame.index[frame["weights_gb"].to_numpy(np.float64) > needed]
    message, mend = "the weights are larger than memory_gb", "memory_gb holds weights and cache: correct one of them."
    yield from at_rows(draft, "shapes", heavy, "weights_gb", "memory", message, mend)


def check_slices_of_gpus(draft: Draft) -> Iterator[Finding]:
    """A part of a GPU exists only where the GPU can be cut into that many slices."""
    if not draft.own("shapes"):
        return
    frame = draft.frame("shapes")
    slices = draft.frame("gpus").drop_duplicates("gpu").set_index("gpu")["mig_slices"]
    parts = 1 / frame["gpus_per_replica"]
    rows = frame.index[(parts > 1) & (parts > frame["gpu"].map(slices))]
    message, mend = "this GPU cannot be cut so small", "Correct gpus_per_replica, or mig_slices of the GPU."
    yield from at_rows(draft, "shapes", rows, "gpus_per_replica", "mig", message, mend)


def check_a_server_holds_it(draft: Draft) -> Iterator[Finding]:
    """Some server has as many GPUs of the kind as a replica takes: a replica never spans servers."""
    if not draft.own("shapes") or "servers" not in draft:
        return
    frame = draft.frame("shapes")
    most = draft.frame("servers").groupby("gpu")["gpus"].max()
    largest = frame["gpu"].map(most)
    known = frame["gpu"].isin(draft.names("gpus"))
    mend = "The shape can never run: add such a server, or remove the shape."
    rows = frame.index[known & largest.isna()]
    yield from at_rows(draft, "shapes", rows, "gpu", "no-server", "no server has this GPU", mend, "warning")
    rows = frame.index[(frame["gpus_per_replica"] > largest).to_numpy(np.bool_)]
    message = "no server has that many of this GPU"
    yield from at_rows(draft, "shapes", rows, "gpus_per_replica", "no-server", message, mend, "warning")


def _asked(draft: Draft) -> pd.DataFrame:
    """Distinct (model, service, profile, latency_budget_ms) of demand, with the first line and the number of rows."""
    services = draft.frame("services").drop_duplicates("service")[["service", "profile", "latency_budget_ms"]]
    demand = draft.frame("demand")[["model", "service"]].assign(line=draft.frame("demand").index, rows=1)
    demand = demand[(demand["model"] != "") & (demand["service"] != "")]
    asked = demand.groupby(["model", "service"], as_index=False, sort=True).agg({"line": "min", "rows": "sum"})
    return asked.merge(services[services["profile"] != ""], on="service")


def check_demand_can_be_served(draft: Draft) -> Iterator[Finding]:
    """For every (model, profile) in demand there is a shape."""
    if "shapes" not in draft or "shapes" in draft.broken:
        return
    shapes = draft.frame("shapes")
    served = set(zip(shapes["model"], shapes["profile"], strict=True))
    models, profiles = set(draft.names("models")), set(draft.names("profiles"))
    all_shapes = draft.all_shapes if draft.all_shapes is not None else shapes
    before = set(zip(all_shapes["model"], all_shapes["profile"], strict=True))
    for row in _asked(draft).itertuples():
        pair = (str(row.model), str(row.profile))
        if pair in served or pair[0] not in models or pair[1] not in profiles:
            continue  # an unknown model or profile is reported as such
        message = f"no shape runs model {pair[0]!r} for profile {pair[1]!r}, which {row.rows} rows of demand ask"
        mend = "Add a row to shapes, or take the demand out."
        if pair in before:
            mend = "[shapes] of scenario.toml leaves it out: widen it."
        line = int(str(row.line))
        yield Finding("no-shape", draft.file("demand"), message, mend, line, "model", shortened(pair[0]))


def check_budget_above_ttft(draft: Draft) -> Iterator[Finding]:
    """The latency budget of a service is above the time to first token of some shape that could serve it."""
    if "shapes" not in draft:
        return
    shapes, services = draft.frame("shapes"), draft.frame("services")
    fastest = shapes.groupby(["model", "profile"])["ttft_p95_ms"].min()
    asked = _asked(draft)
    if asked.empty or fastest.empty:
        return
    keys = pd.MultiIndex.from_frame(asked[["model", "profile"]])
    asked = asked.assign(ttft=fastest.reindex(keys).to_numpy(np.float64))
    asked = asked[asked["ttft"].notna()]
    asked = asked.assign(hopeless=asked["latency_budget_ms"] <= asked["ttft"])
    for name, rows in asked.groupby("service", sort=True):
        late = rows[rows["hopeless"]]
        if late.empty:
            continue
        line = int(services.index[services["service"] == name][0])
        budget = float(rows["latency_budget_ms"].iloc[0])
        everything = len(late) == len(rows)
        what = "any shape" if everything else "any shape of " + ", ".join(sorted(late["model"])[:5])
        message = (
            f"the latency budget is below the time to first token of {what}: {late['ttft'].min():g} ms at the least"
        )
        seconds = everything and budget * 1000 > float(rows["ttft"].min()) and budget <= 60
        mend = "It looks like seconds: write milliseconds." if seconds else "Widen the budget, or add a faster shape."
        severity: Severity = "error" if everything else "warning"
        file = draft.file("services")
        yield Finding("budget-below-ttft", file, message, mend, line, "latency_budget_ms", f"{budget:g}", severity)


CHECKS = (
    check_agreement,
    check_memory,
    check_slices_of_gpus,
    check_a_server_holds_it,
    check_demand_can_be_served,
    check_budget_above_ttft,
)
