"""How transit is billed (9)."""

from collections.abc import Iterator

from placement.scenario.checks.jobs import day_slices
from placement.scenario.draft import Draft, at_rows
from placement.scenario.findings import Finding

FREE_H = 0.05 * 24  # 95/5: what may be left out of a day


def check_billing_has_a_price(draft: Draft) -> Iterator[Finding]:
    """A way of billing bills something."""
    frame = draft.frame("sites")
    rows = frame.index[frame["transit_billing"].isin(["p95", "mean"]) & frame["transit_usd_per_mbps_month"].isna()]
    message = "a way to bill transit, and no price: egress would be paid by the GB"
    mend = "Fill transit_usd_per_mbps_month, or leave transit_billing empty."
    yield from at_rows(draft, "sites", rows, "transit_billing", "transit-without-price", message, mend)


def check_something_can_be_left_out(draft: Draft) -> Iterator[Finding]:
    """95/5 differs from the peak only where a slice is short enough to be left out."""
    frame = draft.frame("sites")
    paid = frame.index[(frame["transit_billing"] == "p95") & frame["transit_usd_per_mbps_month"].notna()]
    hours = day_slices(draft).values()
    if len(paid) and not any(hour <= FREE_H * (1 + 1e-9) for hour in hours):
        message = f"equal to peak: every slice is longer than {FREE_H:g} h, 5 % of the day ({len(paid)} sites)"
        mend = "Cut the busiest hours into slices of their own, or leave it: no slice is left out."
        yield from at_rows(draft, "sites", [int(paid[0])], "transit_billing", "p95-is-peak", message, mend, "warning")


CHECKS = (check_billing_has_a_price, check_something_can_be_left_out)
