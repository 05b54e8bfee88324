"""Pins (14): models held at sites by decree."""

from collections.abc import Iterator

from placement.scenario.draft import Draft, at_rows
from placement.scenario.findings import Finding


def check_pins_in_order(draft: Draft) -> Iterator[Finding]:
    """A pin's least is not above its most."""
    frame = draft.frame("pins")
    rows = frame.index[frame["min_replicas"] > frame["max_replicas"]]
    message, mend = "min_replicas above max_replicas", "Exchange or correct them."
    yield from at_rows(draft, "pins", rows, "min_replicas", "pin-order", message, mend)


def check_pins_say_something(draft: Draft) -> Iterator[Finding]:
    """A pin limits something."""
    frame = draft.frame("pins")
    rows = frame.index[~(frame["min_replicas"] > 0) & frame["max_replicas"].isna()]
    message, mend = "the row limits nothing", "Fill min_replicas or max_replicas, or remove the row."
    yield from at_rows(draft, "pins", rows, "min_replicas", "pin-empty", message, mend, "warning")


def check_pinned_models_run(draft: Draft) -> Iterator[Finding]:
    """A pinned model has shapes, and somebody asks for it."""
    frame = draft.frame("pins")
    known = frame["model"].isin(draft.names("models"))
    mend = "Correct the model, or remove the pin."
    for table, what in (("shapes", "no shape runs this model"), ("demand", "no row of demand asks for this model")):
        if table not in draft:
            continue
        rows = frame.index[known & ~frame["model"].isin(set(draft.frame(table)["model"]))]
        yield from at_rows(draft, "pins", rows, "model", "pin-without-use", what, mend, "warning")


CHECKS = (check_pins_in_order, check_pins_say_something, check_pinned_models_run)
