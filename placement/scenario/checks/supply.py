"""Servers, money, deliveries, the fleet."""

from collections.abc import Iterator

import numpy as np

from placement.scenario.draft import Draft, at_rows
from placement.scenario.findings import Finding, nearest, shortened


def check_rent_or_capex(draft: Draft) -> Iterator[Finding]:
    """A server has a price: capex or rent."""
    if not draft.own("servers"):
        return
    frame = draft.frame("servers")
    rows = frame.index[frame["capex_usd"].isna() & frame["rent_usd_month"].isna()]
    message, mend = "neither capex_usd nor rent_usd_month: the server has no price", "Fill one of the two."
    yield from at_rows(draft, "servers", rows, "server", "no-price", message, mend)


def check_idle_below_full(draft: Draft) -> Iterator[Finding]:
    """A server draws no more when idle than at full load."""
    frame = draft.frame("servers")
    if not draft.own("servers"):
        return
    rows = frame.index[frame["idle_kw"] > frame["power_kw"]]
    message, mend = "idle power above power_kw", "Correct one of the two."
    yield from at_rows(draft, "servers", rows, "idle_kw", "idle-power", message, mend)


def check_deliveries_not_mixed(draft: Draft) -> Iterator[Finding]:
    """A server is delivered to groups of sites or to all, not both."""
    frame = draft.frame("deliveries")
    common = frame["delivery_group"] == ""
    mixed = set(frame.loc[common, "server"]) & set(frame.loc[~common, "server"])
    rows = frame.index[common & frame["server"].isin(mixed)]
    message = "delivered to every site here and to a delivery group elsewhere"
    mend = "Give all deliveries of a server a group, or none of them."
    yield from at_rows(draft, "deliveries", rows, "server", "deliveries-mixed", message, mend)


def check_delivery_groups(draft: Draft) -> Iterator[Finding]:
    """Some site belongs to the delivery group."""
    if "sites" not in draft:
        return
    known = sorted(set(draft.frame("sites")["delivery_group"]) - {""})
    frame = draft.frame("deliveries")["delivery_group"]
    for line, value in frame[(frame != "") & ~frame.isin(known)].items():
        file, row = draft.file("deliveries"), int(str(line))
        message, mend = "unknown delivery group: no site has it", nearest(str(value), known)
        yield Finding("unknown-delivery-group", file, message, mend, row, "delivery_group", shortened(value))


def check_fleet_fits(draft: Draft) -> Iterator[Finding]:
    """What stands at a site today has its power and its racks: otherwise the plan must retire some of it."""
    fleet, servers = draft.frame("fleet"), draft.frame("servers").drop_duplicates("server").set_index("server")
    sites = draft.frame("sites").drop_duplicates("site").set_index("site")
    for column, what in (("power_kw", "power"), ("rack_units", "rack units")):
        taken = (fleet["count"] * fleet["server"].map(servers[column])).groupby(fleet["site"]).sum()
        room = taken.index.to_series().map(sites[column])
        for site in taken.index[(taken > room).to_numpy(np.bool_)]:
            line = int(fleet.index[fleet["site"] == site][0])
            message = f"what stands there takes {taken[site]:g} of {what}, and the site has {room[site]:g}"
            mend = (
                f"{column} of sites counts what is free with the fleet taken out: correct it, or the plan retires some."
            )
            yield Finding(
                "fleet-too-large", draft.file("fleet"), message, mend, line, "site", shortened(site), "warning"
            )


def check_budgets_say_something(draft: Draft) -> Iterator[Finding]:
    """A row of budgets limits something."""
    frame = draft.frame("budgets")
    rows = frame.index[frame["capex_usd"].isna() & frame["monthly_usd"].isna()]
    message, mend = "the row limits nothing", "Fill capex_usd or monthly_usd, or remove the row."
    yield from at_rows(draft, "budgets", rows, "period", "budget-empty", message, mend)


CHECKS = (
    check_rent_or_capex,
    check_idle_below_full,
    check_deliveries_not_mixed,
    check_delivery_groups,
    check_fleet_fits,
    check_budgets_say_something,
)
