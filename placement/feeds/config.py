"""Which feeds are rendered, with which options: a TOML file beside the scenario (docs/feeds.md).

targets = ["envoy", "powerdns"]
addresses = "addresses.csv"
crds = "crds"

[envoy]
failover = "planned"
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import ConfigDict, Field

from placement.feeds.feed import Feed, Options
from placement.feeds.registry import UnknownFeedError, feed_class, feed_names
from placement.scenario.findings import nearest
from probes.document import DocumentError, Part, read_document, validated
from probes.reading import BadRecord


class _Document(Part):
    """The file: what is known before any feed is asked, and a table of options for each target."""

    model_config = ConfigDict(extra="allow")

    targets: tuple[str, ...] = Field(min_length=1)
    addresses: str = ""
    crds: str = ""
    period: str | None = None


@dataclass(frozen=True)
class FeedsConfig:
    """The feeds by their names, with their options; `addresses` is the path of their table, None where there is none.

    `period` is the planning period that is told, None for the first. `crds` is a folder of the CRDs that the clusters
    have, against which every object of Kubernetes is held; None: against none.
    """

    options: Mapping[str, Options]
    addresses: Path | None = None
    period: str | None = None
    crds: Path | None = None

    @property
    def targets(self) -> tuple[str, ...]:
        return tuple(self.options)

    def feed(self, target: str) -> Feed:
        """A new feed for one of the targets."""
        made: Feed = feed_class(target)(self.options[target])
        return made


def read_feeds_config(path: Path, only: Sequence[str] = (), instead: Mapping[str, Any] | None = None) -> FeedsConfig:
    """The configuration of a file; raises DocumentError with everything that is wrong with it.

    With `only` no more than these of its targets, and keys of `instead` for its own.
    """
    document = read_document(_Document, path).model_copy(update=dict(instead or {}))
    strange = [name for name in only if name not in document.targets]
    if strange:
        mend = "add it to targets, or ask for one that is"
        raise DocumentError([BadRecord(str(path), 0, "targets", n, "is not among the targets", mend) for n in strange])
    config = _config(document, path, str(path))
    return replace(config, options={n: o for n, o in config.options.items() if not only or n in only})


def feeds_config(values: Mapping[str, Any], folder: Path, file: str) -> FeedsConfig:
    """The configuration of a table of another document, as of the nightly job.

    Paths are relative to `folder`, and errors name `file`. Raises DocumentError with everything that is wrong.
    """
    document, faults = validated(_Document, values, file)
    if document is None:
        raise DocumentError(faults)
    return _config(document, folder / "feeds.toml", file)


def _config(document: _Document, path: Path, file: str) -> FeedsConfig:
    faults, options = [], {}
    tables = document.model_extra or {}
    for j, name in enumerate(document.targets):
        try:
            kind = feed_class(name)
        except UnknownFeedError as error:
            faults.append(BadRecord(file, 0, f"targets.{j}", name, "no feed has this name", str(error)))
            continue
        if name in options:
            faults.append(BadRecord(file, 0, f"targets.{j}", name, "is named twice", "keep one of them"))
            continue
        read, wrong = validated(kind.Options, tables.get(name, {}), f"{file} [{name}]")
        faults += wrong
        if read is None:
            continue
        options[name] = _beside(path, read)
        if read.failover is not None and read.failover not in kind.policies:
            able = ", ".join(sorted(kind.policies)) or "none: it routes nothing"
            told = f"the target cannot be told this way of failing over; it can be told: {able}"
            faults.append(
                BadRecord(f"{file} [{name}]", 0, "failover", read.failover, told, "name one, or leave it out")
            )
    faults += [
        BadRecord(file, 0, name, "", "is neither a key nor one of the targets", nearest(name, _names(document)))
        for name in tables
        if name not in document.targets
    ]
    addresses = path.parent / document.addresses if document.addresses else None
    if addresses is not None and not addresses.is_file():
        faults.append(BadRecord(file, 0, "addresses", document.addresses, "there is no such file", "write the table"))
    crds = path.parent / document.crds if document.crds else None
    if crds is not None and not crds.is_dir():
        faults.append(BadRecord(file, 0, "crds", document.crds, "there is no such folder", "put the CRDs there"))
    if faults:
        raise DocumentError(faults)
    return FeedsConfig(options, addresses, document.period, crds)


def _beside(path: Path, options: Options) -> Options:
    """Options whose paths are relative to the folder of the configuration, and not to where it was called from."""
    relative = {
        name: path.parent / value
        for name in type(options).model_fields
        if isinstance(value := getattr(options, name), Path) and not value.is_absolute()
    }
    return options.model_copy(update=relative)


def _names(document: _Document) -> list[str]:
    return sorted({*document.targets, *feed_names(), "targets", "addresses", "crds", "period"})
