"""Feeds of a plan as files: rendered for every moment, written, read back from the disk, and compared to the plan.

feeds.json                                       the plan's hash, and what each target's files are
<target>/<slice or all>/...                      the files of a normal day
<target>/<slice or all>/failures/<domain>/...    those that differ while the domain is down
<target>/<slice or all>/failures.json            by domain: the files that differ, and those that are gone
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from placement.canonical import canonical_json
from placement.feeds.addresses import read_addresses
from placement.feeds.compare import DifferentError, compared
from placement.feeds.config import FeedsConfig
from placement.feeds.failover import BrokenPromiseError, Failovers
from placement.feeds.feed import Feed, FeedError, Files, apart_of
from placement.feeds.kubernetes.crds import check_folder
from placement.feeds.naming import part_of
from placement.feeds.view import Addresses, Moment, Policy, View
from placement.feeds.views import PlanViews, open_plan
from placement.scenario import Scenario
from placement.scenario.findings import nearest

SCHEMA = "nearserve-feeds-1"
FEEDS_INDEX = "feeds.json"
FAILURES = "failures"
INDEX = "failures.json"
ALL_DAY = "all"
MOST_BYTES = 4 * 10**9
"""Of a target's files: a feed of one large file and a thousand failures would fill the disk."""


@dataclass(frozen=True)
class RenderedFeed:
    """One target's files. `failover` is how it fails over, None where no failure concerns it or the plan knows none.

    `failures` are the domains that have files of their own; `figures` were read back and agree with the plan.
    """

    target: str
    failover: Policy | None
    slices: tuple[str, ...]
    failures: tuple[str, ...]
    files: int
    bytes: int
    figures: int


@dataclass(frozen=True)
class Rendered:
    """All targets' files, in the order of the configuration.

    `crds` counts the objects of Kubernetes that were held against CRDs, by "apiVersion Kind"; empty without any.
    `crds_unchecked` are the rules of theirs that could not be asked, each with the reason.
    """

    scenario: str
    plan_sha256: str
    period: str
    feeds: tuple[RenderedFeed, ...]
    crds: Mapping[str, int]
    crds_unchecked: tuple[str, ...]


def render_feeds(plan: Path, scenario: Scenario, config: FeedsConfig, into: Path) -> Rendered:
    """Write every target's files into the folder `into`, read them back and compare them to the plan.

    The caller sees to it that nobody reads the folder before this ends well.

    Raises:
        placement.plan.reading.PlanReadError, StalePlanError: there is no plan, or it is of other inputs.
        placement.feeds.addresses.AddressesError: the table of addresses is wrong.
        FeedError: targets cannot be told this plan: every reason of every target. BrokenPromiseError, a FeedError,
            where a target would not keep what the plan promises of failures; DifferentError, another, where the files
            say something else than the plan; CrdFaultsError and CrdError, too, where they do not fit the CRDs.
    """
    addresses = Addresses({}) if config.addresses is None else read_addresses(config.addresses, scenario)
    views = open_plan(plan, scenario, addresses, config.period)
    failovers = Failovers(plan, views)
    done: list[RenderedFeed] = []
    wrong: list[tuple[str, FeedError]] = []
    for target in config.targets:
        try:
            done.append(render_feed(config, target, views, failovers, into / target))
        except FeedError as error:
            wrong.append((target, error))
    if wrong:
        raise _together(wrong)
    report = None if config.crds is None else check_folder(into, config.crds)
    rendered = Rendered(
        views.document.scenario,
        views.plan_sha256,
        views.period,
        tuple(done),
        crds={} if report is None else report.checked,
        crds_unchecked=() if report is None else report.unchecked,
    )
    (into / FEEDS_INDEX).write_bytes(canonical_json({"schema": SCHEMA, **asdict(rendered)}))
    return rendered


def _together(wrong: list[tuple[str, FeedError]]) -> FeedError:
    """One error of all reasons, of the gravest kind."""
    reasons = tuple(f"{target}: {reason}" for target, error in wrong for reason in error.reasons)
    kinds = {type(error) for _, error in wrong}
    return next(kind for kind in (DifferentError, BrokenPromiseError, FeedError) if kind in kinds)(reasons)


def render_feed(config: FeedsConfig, target: str, views: PlanViews, failovers: Failovers, folder: Path) -> RenderedFeed:
    """One target's files below `folder`. Raises FeedError."""
    feed = config.feed(target)
    options = config.options[target]
    failover = failovers.of(feed.policies, options.failover)
    failures = _wanted(views, options.failures) if failover == "planned" else ()
    writing = _Writing(config, target, views, failover, failures)
    for moment in views.moments:
        writing.moment(feed, moment, folder / (part_of(moment.slice) or ALL_DAY))
    slices = tuple(moment.slice for moment in views.moments)
    return RenderedFeed(target, failover, slices, failures, writing.files, writing.bytes, writing.figures)


def _wanted(views: PlanViews, names: tuple[str, ...] | None) -> tuple[str, ...]:
    """The domains whose failures have files. Raises FeedError."""
    strange = [name for name in names or () if name not in views.domains]
    if strange:
        raise FeedError(
            tuple(f"failures: no domain {name!r} may fail. {nearest(name, views.failures)}" for name in strange)
        )
    return views.failures if names is None else tuple(sorted(set(names)))


class _Failure(NamedTuple):
    """What a failure's files were made from, and which they are: all, those that differ, those that are gone."""

    view: View
    paths: tuple[str, ...]
    differ: tuple[str, ...]
    gone: tuple[str, ...]


class _Writing:
    """One target on its way to the disk and back."""

    def __init__(
        self, config: FeedsConfig, target: str, views: PlanViews, failover: Policy | None, failures: tuple[str, ...]
    ) -> None:
        self.config, self.target, self.views = config, target, views
        self.failover, self.failures = failover, failures
        self.files = self.bytes = self.figures = 0

    def moment(self, feed: Feed, moment: Moment, folder: Path) -> None:
        """A normal moment and, where they are wanted, all failures in it, written and read back."""
        view = self._by_way(self.views.at(moment))
        files = _sound(feed.render(view))
        self._write(folder, files)
        reader = self.config.feed(self.target)  # a new one: what rendering remembers has no part in reading
        self.figures += compared(view, reader.read(dict(read_files(folder))), reader.says)
        if not self.failures:
            return
        index = {}
        for domain in self.failures:
            failure = self._failure(feed, moment._replace(failure=domain), files, folder)
            index[domain] = {"differ": failure.differ if failure else (), "gone": failure.gone if failure else ()}
            if failure:
                self._check(reader, failure, folder, domain)
        self._write(folder, {INDEX: canonical_json(index)})

    def _failure(self, feed: Feed, at: Moment, files: Files, folder: Path) -> _Failure | None:
        """The files of a failure that differ from those of the normal day, written; None where nothing changes."""
        changed = self.views.changed(at, apart_of(feed))
        if changed is None:
            return None
        before, after = map(self._by_way, changed)
        failed = _sound(feed.render(after))
        differ = {path: data for path, data in failed.items() if files.get(path) != data}
        gone = (feed.render(before) if apart_of(feed) else files).keys() - failed.keys()
        self._write(folder / FAILURES / part_of(at.failure), differ)
        if self.bytes > MOST_BYTES:
            told = f"the files of failures take more than {MOST_BYTES / 1e9:g} GB"
            raise FeedError((f"{told}: name in failures the domains to make them for, or another way in failover",))
        return _Failure(after, tuple(failed), tuple(sorted(differ)), tuple(sorted(gone)))

    def _by_way(self, view: View) -> View:
        """The view, with the way in which this target fails over."""
        return view if self.failover is None else replace(view, policy=self.failover)

    def _write(self, folder: Path, files: Files) -> None:
        write_files(folder, files)
        self.files += len(files)
        self.bytes += sum(map(len, files.values()))

    def _check(self, reader: Feed, failure: _Failure, folder: Path, domain: str) -> None:
        """What was written says what the plan says of the failure. Raises FeedError."""
        own, differ = folder / FAILURES / part_of(domain), set(failure.differ)
        files = {path: ((own if path in differ else folder) / path).read_bytes() for path in failure.paths}
        self.figures += compared(failure.view, reader.read(files), reader.says)


def _sound(files: Files) -> Files:
    """Files whose paths stay within the feed's folder. Raises FeedError."""
    wrong = [path for path in files if not _is_path(path)]
    if wrong:
        told = f"{FAILURES} and {INDEX} are taken, and a path has no empty, . or .. part"
        raise FeedError(tuple(f"the feed writes {path!r}, which is no path of its own: {told}" for path in wrong))
    return files


def _is_path(path: str) -> bool:
    parts = path.split("/")
    return not {"", ".", ".."} & {*parts} and parts[0] not in (FAILURES, INDEX) and "\0" not in path


def write_files(folder: Path, files: Files) -> None:
    """Files below a folder, which is made."""
    folder.mkdir(parents=True, exist_ok=True)
    for parent in sorted({str(PurePosixPath(path).parent) for path in files} - {"."}):
        (folder / parent).mkdir(parents=True, exist_ok=True)
    for path, data in sorted(files.items()):
        (folder / path).write_bytes(data)


def read_files(folder: Path) -> Iterator[tuple[str, bytes]]:
    """The files of a normal moment in its folder, by their paths."""
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder)
        if path.is_file() and inside.parts[0] not in (FAILURES, INDEX):
            yield inside.as_posix(), path.read_bytes()


def in_failure(folder: Path, domain: str, normal: Mapping[str, bytes] | None = None) -> dict[str, bytes]:
    """The files of a moment in its folder while a domain is down; `normal` are those of the normal day, if at hand."""
    files = dict(read_files(folder) if normal is None else normal)
    index = json.loads((folder / INDEX).read_bytes())[domain]
    for path in index["gone"]:
        del files[path]
    place = folder / FAILURES / part_of(domain)
    return files | {path: (place / path).read_bytes() for path in index["differ"]}
