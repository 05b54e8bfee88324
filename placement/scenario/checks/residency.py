"""Rule 3 as written: which countries a residency set names, and whether any site is left."""

from collections.abc import Iterator

import pandas as pd

from placement.scenario.draft import Draft, at_key, at_rows
from placement.scenario.findings import Finding, nearest, shortened
from placement.scenario.world import world

BLOC = "@bloc:"
WORDS = ("@own", "@any")


def check_entries(draft: Draft) -> Iterator[Finding]:
    """An entry is an ISO code, @own, @any or @bloc:NAME of a known bloc."""
    facts = world()
    used = draft.frame("residency")["country"]
    file = draft.file("residency")
    for line, value in used[(used != "") & ~used.isin([*facts.countries, *WORDS])].items():
        text, row = str(value), int(str(line))
        if text.startswith(BLOC):
            name = text.removeprefix(BLOC)
            if name not in facts.blocs:
                mend = nearest(name, sorted(facts.blocs))
                yield Finding("unknown-bloc", file, "unknown bloc of countries", mend, row, "country", shortened(text))
        elif text.startswith("@"):
            mend = nearest(text, [*WORDS, *(f"{BLOC}{bloc}" for bloc in sorted(facts.blocs))])
            yield Finding(
                "unknown-country", file, "not a word that residency knows", mend, row, "country", shortened(text)
            )
        else:
            mend = facts.suggestion(text)
            yield Finding("unknown-country", file, "unknown country", mend, row, "country", shortened(text))


def check_default(draft: Draft) -> Iterator[Finding]:
    """limits.default_residency names a set of the table residency."""
    name = draft.document.limits.default_residency if draft.document else ""
    if not name or "residency" in draft.broken:
        return
    if "residency" not in draft:
        mend = "Write residency.csv, or remove the key."
        message = "unknown residency set: there is no table residency"
    elif name in draft.names("residency"):
        return
    else:
        mend = nearest(name, draft.names("residency"))
        message = "unknown residency set: no row of residency has this name"
    yield from at_key(draft, "limits.default_residency", name, "unknown-residency-set", message, mend)


def check_every_service_has_a_set(draft: Draft) -> Iterator[Finding]:
    """Where the table residency is, every demand row finds a set: its own, its service's, or the default."""
    if "residency" not in draft or draft.document is None or draft.document.limits.default_residency:
        return
    services, demand = draft.frame("services"), draft.frame("demand")
    bare = services[(services["residency"] == "") & (services["service"] != "")]
    open_rows = demand[demand["residency"] == ""]["service"]
    rows = bare.index[bare["service"].isin(open_rows) | ~bare["service"].isin(demand["service"])]
    message = "no residency set: where this service may be served is not said"
    mend = "Name a set of the table residency here, or set limits.default_residency in scenario.toml (@any allows all)."
    yield from at_rows(draft, "services", rows, "service", "residency-empty", message, mend)


def check_a_site_is_left(draft: Draft) -> Iterator[Finding]:
    """A set that is used allows at least one site, for users of every country that it is used for."""
    if "residency" not in draft or draft.document is None or not {"sites", "regions", "services"} <= set(draft.tables):
        return
    rules = draft.frame("residency")
    used = _used_sets(draft)
    for name, homes in sorted(used.groupby("residency")["home"]):
        rows = rules[rules["residency"] == name]
        if rows.empty:
            continue  # an unknown set, reported
        barred = sorted(home for home in set(homes) if not allows_a_site(rows, draft.frame("sites"), str(home)))
        if not barred:
            continue
        every = len(barred) == homes.nunique()
        whom = "" if every else f" for users in {', '.join(barred[:8])}{', …' if len(barred) > 8 else ''}"
        message = f"the residency set {shortened(name)!r} allows no site{whom}"
        mend = "Its demand stays unserved: add a country that has a site, or a site in an allowed country."
        line = int(rows.index[0])
        yield Finding(
            "residency-no-site", draft.file("residency"), message, mend, line, "residency", shortened(name), "warning"
        )


def _used_sets(draft: Draft) -> pd.DataFrame:
    """Distinct (residency, home country) of demand."""
    fallback = draft.document.limits.default_residency if draft.document else ""
    services = draft.frame("services").drop_duplicates("service").set_index("service")["residency"]
    homes = draft.frame("regions").drop_duplicates("region").set_index("region")["country"]
    demand = draft.frame("demand")
    names = demand["residency"].where(
        demand["residency"] != "", demand["service"].map(services).astype(object).fillna("")
    )
    names = names.where(names != "", fallback)
    pairs = pd.DataFrame({"residency": names, "home": demand["region"].map(homes).astype(object).fillna("")})
    return pairs[(pairs["residency"] != "") & (pairs["home"] != "")].drop_duplicates()


def allows_a_site(rules: pd.DataFrame, sites: pd.DataFrame, home: str) -> bool:
    """Whether the rows of one set allow any of the sites to users of the country `home`."""
    vendor = rules.loc[rules["scope"] == "vendor", "country"]
    allowed = sites["country"].isin(_meant(rules.loc[rules["scope"] != "vendor", "country"], home))
    if len(vendor) and "@any" not in set(vendor):
        allowed = allowed & sites["vendor_jurisdiction"].isin(_meant(vendor, home))
    return bool(allowed.any())


def _meant(entries: "pd.Series[str]", home: str) -> frozenset[str]:
    """The countries that entries of a set stand for."""
    facts = world()
    found: set[str] = set()
    for entry in entries:
        if entry == "@any":
            return facts.countries
        if entry == "@own":
            found.add(home)
        elif entry.startswith(BLOC):
            found |= facts.blocs.get(entry.removeprefix(BLOC), frozenset())
        else:
            found.add(entry)
    return frozenset(found)


CHECKS = (check_entries, check_default, check_every_service_has_a_set, check_a_site_is_left)
