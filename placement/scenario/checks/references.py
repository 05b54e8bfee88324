"""Names that one table takes from another."""

from collections.abc import Iterator

import pandas as pd

from placement.scenario.dictionary import Column, tables
from placement.scenario.document import shape_filters
from placement.scenario.draft import Draft, at_key, at_rows
from placement.scenario.findings import Finding, nearest, shortened

# What a row of the table is, in the words of messages.
NOUNS = {
    "sites": "site",
    "regions": "region",
    "services": "service",
    "models": "model",
    "gpus": "GPU",
    "servers": "server",
    "profiles": "profile",
    "residency": "residency set",
    "slices": "slice",
}


def check_references(draft: Draft) -> Iterator[Finding]:
    """A name taken from another table stands in that table."""
    for name in sorted(draft.tables):
        if draft.own(name):
            for column in tables()[name].columns:
                if column.refers:
                    yield from _unknown_names(draft, name, column, column.refers[0])


def _unknown_names(draft: Draft, name: str, column: Column, owner: str) -> Iterator[Finding]:
    if owner in draft.broken or (owner not in draft and (tables()[owner].required or tables()[owner].catalog)):
        return  # reported already: the table itself cannot be read
    known = draft.names(owner)
    used = draft.frame(name)[column.name]
    wrong = used[(used != "") & ~used.isin(known)]
    if wrong.empty:
        return
    noun = NOUNS[owner]
    if owner in draft:
        message = f"unknown {noun}: no row of {owner} has this name"
    else:
        message = f"unknown {noun}: there is no table {owner}"
    rule = f"unknown-{noun.lower().replace(' ', '-')}"
    mends = {value: _mend(str(value), owner, draft) for value in wrong.unique()}
    for line, value in wrong.items():
        yield Finding(rule, draft.file(name), message, mends[value], _line(line), column.name, shortened(value))


def _mend(value: str, owner: str, draft: Draft) -> str:
    if owner not in draft:
        return f"Write {owner}.csv, or leave the cell empty."
    add = f"add it to {draft.file(owner)}" if draft.own(owner) else f"write {owner}.csv of your own that has it"
    return f"{nearest(value, draft.names(owner))} Or {add}."


def _line(label: object) -> int:
    return int(label)  # type: ignore[call-overload, no-any-return]


def check_shape_filters(draft: Draft) -> Iterator[Finding]:
    """What [shapes] of scenario.toml asks for exists among the shapes."""
    if draft.document is None or draft.all_shapes is None:
        return
    for column, wanted in shape_filters(draft.document).items():
        known = sorted(set(draft.all_shapes[column]))
        for value in wanted:
            if value not in known:
                message = f"unknown shape filter: no shape has the {column.replace('_', ' ')} {shortened(value)!r}"
                mend = nearest(value, known)
                yield from at_key(draft, f"shapes.{column}s", value, "unknown-shape", message, mend)


def check_one_of_two(draft: Draft) -> Iterator[Finding]:
    """A row that stands for one thing or another names exactly one."""
    for name, first, second in (
        ("endpoints", "region", "site"),
        ("energy", "site", "country"),
        ("export", "gpu", "server"),
    ):
        frame = draft.frame(name)
        given = (frame[first] != "").astype(int) + (frame[second] != "").astype(int)
        message, mend = f"neither {first} nor {second}", f"Fill exactly one of {first} and {second}."
        yield from at_rows(draft, name, frame.index[given == 0], first, "one-of-two", message, mend)
        message = f"both {first} and {second}"
        yield from at_rows(draft, name, frame.index[given == 2], first, "one-of-two", message, mend)


def check_links(draft: Draft) -> Iterator[Finding]:
    """A link joins two different places, each a site or a region."""
    if "links" not in draft or not {"sites", "regions"} <= set(draft.tables):
        return
    known = sorted({*draft.names("sites"), *draft.names("regions")})
    frame = draft.frame("links")
    for column in ("source", "target"):
        wrong = frame[column][(frame[column] != "") & ~frame[column].isin(known)]
        for line, value in wrong.items():
            message = "unknown site: no site and no region has this name"
            mend = nearest(str(value), known)
            yield Finding("unknown-site", draft.file("links"), message, mend, _line(line), column, shortened(value))
    same = frame.index[(frame["source"] == frame["target"]) & (frame["source"] != "")]
    yield from at_rows(
        draft, "links", same, "target", "link-to-itself", "a link from a place to itself", "Remove the row."
    )


def check_empty_tables(draft: Draft) -> Iterator[Finding]:
    """A required table holds rows."""
    for name in sorted(draft.tables):
        spec = tables()[name]
        if len(draft.frame(name)) == 0 and (spec.required or (spec.catalog and draft.own(name))):
            mend = f"Write at least one row: {spec.description}."
            yield Finding("empty-table", draft.file(name), "the table has no rows", mend)


def check_names_apart(draft: Draft) -> Iterator[Finding]:
    """Regions and sites have names apart, as measurements call both by their names."""
    both = set(draft.names("regions")) & set(draft.names("sites"))
    frame = draft.frame("regions")
    rows = frame.index[frame["region"].isin(both)]
    listed: set[str] = set(draft.frame("endpoints")["endpoint"])
    clash = pd.Series(frame.loc[rows, "region"].isin(listed), index=rows)
    message = "a site has the same name, so a measurement that names it is ambiguous"
    mend = "Rename one of them, or list the name in endpoints."
    yield from at_rows(draft, "regions", rows[~clash.to_numpy(dtype=bool)], "region", "ambiguous-name", message, mend)


CHECKS = (check_references, check_shape_filters, check_one_of_two, check_links, check_empty_tables, check_names_apart)
