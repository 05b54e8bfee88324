"""Rule 14, its decrees: models held at sites, in every slice and period."""

from collections import defaultdict
from fractions import Fraction

from placement.audit.exact import known
from placement.audit.facts import rows
from placement.audit.month import Month
from placement.audit.report import Findings


def check_pins(month: Month, findings: Findings) -> None:
    """(14) min ≤ Σ y over all shapes of the model at the site, tenants' too, ≤ max."""
    facts = month.facts
    held: dict[tuple[str, str, str], int] = defaultdict(int)
    for ((site, shape, _), name), count in month.standing.items():
        held[(facts.shapes[shape].model, site, name)] += count
    for row in rows(month.case.scenario, "pins"):
        least, most = known(row["min_replicas"]) or Fraction(0), known(row["max_replicas"])
        for name in facts.hours:
            count = held[(row["model"], row["site"], name)]
            where = f"{row['model']} at {row['site']}" + (f" in {name}" if name else "")
            short = f"{count} replicas where at least {float(least):g} must stand"
            findings.check("14 pins", count >= least, where, short, least - count)
            findings.at_most("14 pins", count, most, where, "replicas")
