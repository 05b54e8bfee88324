"""Scenario folder to Scenario: read everything, check everything, report everything."""

from dataclasses import replace
from pathlib import Path

import pandas as pd

from placement.datasets import UnknownDatasetError, dataset
from placement.scenario import files
from placement.scenario.checks import check_all
from placement.scenario.dictionary import tables
from placement.scenario.document import FILE, Document, document_assumed, parse, shape_filters
from placement.scenario.draft import Draft
from placement.scenario.findings import Assumed, Finding, ScenarioError, in_order
from placement.scenario.fingerprint import fingerprints
from placement.scenario.reading import decoded, digest, read_bytes, read_table
from placement.scenario.scenario import Report, Scenario
from placement.scenario.tables import Typed, filled, finished, typed


def load(folder: Path) -> Scenario:
    """The scenario of a folder, validated.

    Raises:
        ScenarioError: something is wrong; its `findings` name every error, not the first.
    """
    report = inspect(folder)
    if report.scenario is None:
        raise ScenarioError(report.findings)
    return report.scenario


def inspect(folder: Path) -> Report:
    """All that can be said of a scenario folder, without raising: what `check` prints."""
    folder = Path(folder)
    listing, found = files.listing(folder)
    if listing is None:
        return Report(None, in_order(found), (), ())
    document, text, wrong = _document(folder)
    found += wrong
    given, wrong = _given(folder, listing)
    found += wrong
    defaults, wrong, hashes = _catalog(set(listing.tables), given)
    found += wrong
    assumed = [
        Assumed(name, "*", len(table.frame), "datasets/catalog", "", "the scenario has no such table")
        for name, table in sorted(defaults.items())
    ]
    whole: dict[str, Typed] = {}
    for name, table in sorted((given | defaults).items()):
        whole[name], of_table = filled(table)
        assumed += of_table
    assumed = _less_energy(assumed, given | defaults)
    broken = frozenset(set(listing.tables) - set(given))
    draft = Draft(folder, document, _usable(whole, document), _unfiltered(whole), broken, listing.measurements, text)
    found += check_all(draft)
    if document is not None:
        assumed += document_assumed(document)
    return _report(draft, found, assumed, hashes)


def _report(draft: Draft, found: list[Finding], assumed: list[Assumed], catalog: dict[str, str]) -> Report:
    """`catalog`: hashes of the bundled tables that stand in."""
    ready: dict[str, pd.DataFrame] = {}
    sha256: dict[str, str] = {}
    if draft.document is not None and not any(finding.severity == "error" for finding in found):
        ready = {name: finished(table.frame, table.spec) for name, table in sorted(draft.tables.items())}
        sha256, unreadable = fingerprints(draft, ready)
        found = found + unreadable
    ordered = in_order(found)
    later = tuple(finding for finding in ordered if finding.severity == "later")
    findings = tuple(finding for finding in ordered if finding.severity != "later")
    said = tuple(assumed)
    if draft.document is None or any(finding.severity == "error" for finding in findings):
        return Report(None, findings, said, later)
    scenario = Scenario(draft.folder, draft.document, ready, said, later, dict(sorted((sha256 | catalog).items())))
    return Report(scenario, findings, said, later)


def _document(folder: Path) -> tuple[Document | None, str, list[Finding]]:
    """The document, and the text it was read from."""
    if not (folder / FILE).exists():
        mend = 'Write a file scenario.toml with name = "...": `nearserve init` makes one to edit.'
        return None, "", [Finding("missing-table", FILE, "the file is missing", mend)]
    data, found = read_bytes(folder / FILE, FILE)
    if data is None:
        return None, "", found
    text, found = decoded(data, FILE)
    if text is None:
        return None, "", found
    document, found = parse(text)
    return document, text, found


def _given(folder: Path, listing: files.Listing) -> tuple[dict[str, Typed], list[Finding]]:
    """The tables of the folder, as far as they can be read."""
    given: dict[str, Typed] = {}
    found: list[Finding] = []
    for name, file in sorted(listing.tables.items()):
        raw, wrong = read_table(folder / file, file)
        found += wrong
        if raw is not None:
            given[name], wrong = typed(raw, tables()[name])
            found += wrong
    return given, found


def _catalog(present: set[str], given: dict[str, Typed]) -> tuple[dict[str, Typed], list[Finding], dict[str, str]]:
    """Catalog tables that stand in for absent ones, cut to what the scenario's own tables know; their hashes."""
    absent = [name for name, spec in tables().items() if spec.catalog and name not in present]
    if not absent:
        return {}, [], {}
    try:
        folder = dataset("catalog")
    except UnknownDatasetError:
        return {}, [_missing(name) for name in absent], {}
    defaults: dict[str, Typed] = {}
    found: list[Finding] = []
    hashes = {}
    for name in absent:
        file = f"{name}.csv"
        raw, wrong = read_table(folder / file, f"catalog:{file}")
        found += wrong
        if raw is None:
            continue
        table, wrong = typed(raw, tables()[name], strict=False)
        found += wrong
        hashes[f"catalog:{file}"] = digest(folder / file)
        defaults[name] = Typed(table.spec, table.file, table.frame, defaulted=True)
    return _restricted(defaults, given), found, hashes


def _missing(name: str) -> Finding:
    mend = f"Write {name}.csv: this installation has no bundled catalog to stand in."
    return Finding("missing-table", f"{name}.csv", f"the table {name!r} is missing", mend)


def _restricted(defaults: dict[str, Typed], given: dict[str, Typed]) -> dict[str, Typed]:
    """Rows of the catalog whose model, GPU or profile the scenario's own tables leave out are not used.

    Shapes of the catalog are kept only for models in demand: the others can carry nothing.
    """
    kept = dict(defaults)
    for name, column, owner in (
        ("servers", "gpu", "gpus"),
        ("shapes", "gpu", "gpus"),
        ("shapes", "model", "models"),
        ("shapes", "profile", "profiles"),
        ("shapes", "model", "demand"),
    ):
        if name in kept and owner in given:
            known = set(given[owner].frame[column])
            table = kept[name]
            kept[name] = Typed(table.spec, table.file, table.frame[table.frame[column].isin(known)], defaulted=True)
    return kept


def _less_energy(assumed: list[Assumed], read: dict[str, Typed]) -> list[Assumed]:
    """A site whose price of energy stands in the table energy is not assumed to pay the default."""
    if not {"sites", "energy"} <= set(read):
        return assumed
    sites, energy = read["sites"].frame, read["energy"].frame
    energy = energy[energy["usd_per_kwh"].notna()]
    priced = sites["site"].isin(energy["site"]) | sites["country"].isin(energy["country"])
    rows = int((sites["usd_per_kwh"].isna() & ~priced).sum())
    kept = []
    for one in assumed:
        if (one.table, one.column) != ("sites", "usd_per_kwh"):
            kept.append(one)
        elif rows:
            kept.append(replace(one, rows=rows))
    return kept


def _usable(whole: dict[str, Typed], document: Document | None) -> dict[str, Typed]:
    """The tables, the shapes cut to those that [shapes] of the document lets the scenario use."""
    if document is None or "shapes" not in whole:
        return whole
    table = whole["shapes"]
    frame = table.frame
    for column, allowed in shape_filters(document).items():
        if allowed:
            frame = frame[frame[column].isin(allowed)]
    return whole | {"shapes": Typed(table.spec, table.file, frame, table.defaulted)}


def _unfiltered(whole: dict[str, Typed]) -> pd.DataFrame | None:
    return whole["shapes"].frame if "shapes" in whole else None
