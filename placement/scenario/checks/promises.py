"""What services promise beyond latency: servers of their own, few sites, a budget for failures."""

from collections.abc import Iterator

import numpy as np

from placement.scenario.draft import Draft, at_rows
from placement.scenario.findings import Finding


def check_dedicated_tenants(draft: Draft) -> Iterator[Finding]:
    """Servers of its own belong to somebody."""
    frame = draft.frame("services")
    rows = frame.index[(frame["dedicated"] == "yes") & (frame["tenant"] == "")]
    message, mend = "dedicated to nobody: there is no tenant", "Fill tenant, or write no."
    yield from at_rows(draft, "services", rows, "dedicated", "dedicated-without-tenant", message, mend)


def check_spread(draft: Draft) -> Iterator[Finding]:
    """A least share by itself limits the number of sites: a larger max_sites says nothing."""
    frame = draft.frame("services")
    share, sites = frame["min_share"].to_numpy(np.float64), frame["max_sites"].to_numpy(np.float64)
    with np.errstate(divide="ignore"):
        possible = np.floor(1 / share * (1 + 1e-9))
    lines = frame.index.to_numpy(np.int64)
    for place in np.nonzero((share > 0) & (sites > possible))[0]:
        message = f"says nothing: with a min_share of {share[place]:g} at most {possible[place]:g} sites serve a class"
        mend = "Lower min_share or max_sites, or leave one of them empty."
        rows = [int(lines[place])]
        yield from at_rows(draft, "services", rows, "max_sites", "spread", message, mend, "warning")


def check_backup_budget(draft: Draft) -> Iterator[Finding]:
    """In a failure users bear no less than every day."""
    frame = draft.frame("services")
    rows = frame.index[frame["backup_latency_budget_ms"] < frame["latency_budget_ms"]]
    message, mend = "tighter when a domain has failed than every day", "It is usually the wider one: exchange them."
    yield from at_rows(draft, "services", rows, "backup_latency_budget_ms", "backup-budget", message, mend, "warning")


CHECKS = (check_dedicated_tenants, check_spread, check_backup_budget)
