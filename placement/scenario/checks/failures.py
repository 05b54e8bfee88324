"""Rule 13 as written: domains, their kinds, and which of them may fail."""

from collections.abc import Iterator

import pandas as pd

from placement.scenario.document import ALL_DOMAINS
from placement.scenario.draft import Draft, at_key, at_rows
from placement.scenario.findings import Finding, nearest, shortened

KEY = "reliability.n_minus_1"


def failing_domains(draft: Draft) -> pd.DataFrame:
    """Rows of the table domains whose kind scenario.toml lets fail."""
    frame = draft.frame("domains")
    kinds = draft.document.reliability.n_minus_1 if draft.document else ()
    return frame if ALL_DOMAINS in kinds else frame[frame["kind"].isin(kinds)]


def check_kinds_exist(draft: Draft) -> Iterator[Finding]:
    """Every kind that scenario.toml names is that of some domain."""
    kinds = draft.document.reliability.n_minus_1 if draft.document else ()
    if not kinds or "domains" in draft.broken:
        return
    frame = draft.frame("domains")
    if frame.empty:
        message = "N-1 is asked for, and there is no table domains that says what fails together"
        mend = "Write domains.csv with domain, site, kind, or remove the key."
        yield from at_key(draft, KEY, ", ".join(kinds), "no-domains", message, mend)
        return
    known = sorted(set(frame["kind"]) - {""})
    for kind in kinds:
        if kind != ALL_DOMAINS and kind not in known:
            message = f"unknown kind of domains: no row of domains has the kind {shortened(kind)!r}"
            yield from at_key(draft, KEY, kind, "unknown-domain-kind", message, nearest(kind, [*known, ALL_DOMAINS]))


def check_one_kind_each(draft: Draft) -> Iterator[Finding]:
    """The rows of a domain agree in its kind."""
    frame = draft.frame("domains")
    first = frame.groupby("domain", sort=False)["kind"].transform("first")
    rows = frame.index[(frame["kind"] != first).to_numpy(bool)]
    message, mend = "another row of the same domain has another kind", "A domain has one kind: correct it."
    yield from at_rows(draft, "domains", rows, "kind", "domain-kind", message, mend)


def check_domains_are_used(draft: Draft) -> Iterator[Finding]:
    """Domains without the key that lets them fail ask nothing of the plan."""
    if draft.document is None or draft.document.reliability.n_minus_1 or draft.frame("domains").empty:
        return
    message = "N-1 is off: no kind of domains may fail, as reliability.n_minus_1 of scenario.toml names none"
    mend = 'Write n_minus_1 = ["metro"] (or "all") under [reliability], or leave it: the plan keeps no reserve.'
    rows = len(draft.frame("domains"))
    yield Finding("n-1-off", draft.file("domains"), message, mend, None, "", f"{rows} rows", "warning")


def check_somewhere_survives(draft: Draft) -> Iterator[Finding]:
    """A domain that may fail leaves a site."""
    sites, frame = set(draft.names("sites")), failing_domains(draft)
    for name, rows in frame.groupby("domain", sort=True):
        if sites and sites <= set(rows["site"]):
            message = "the domain holds every site: nothing survives its failure, and all of its traffic is lost"
            mend = "Take a site out of it, or its kind out of reliability.n_minus_1."
            yield Finding(
                "domain-holds-all", draft.file("domains"), message, mend, int(rows.index[0]), "domain",
                shortened(name), "warning",
            )  # fmt: skip


def check_failover_has_failures(draft: Draft) -> Iterator[Finding]:
    """A policy of failing over is for something that fails."""
    if draft.document is None or draft.document.reliability.n_minus_1:
        return
    policy = draft.document.reliability.failover
    if policy != "planned":
        message = f"failover is {policy}, and no domain may fail: reliability.n_minus_1 names none"
        mend = 'Write n_minus_1 = ["metro"] (or "all") under [reliability], or remove failover.'
        yield from at_key(draft, "reliability.failover", policy, "failover-without-n-1", message, mend)


CHECKS = (
    check_kinds_exist,
    check_one_kind_each,
    check_domains_are_used,
    check_somewhere_survives,
    check_failover_has_failures,
)
