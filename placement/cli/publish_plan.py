"""nearserve publish plan: what was audited just now, and its feeds, become current at once."""

import shutil
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from placement.cli.audit import named_in
from placement.cli.common import Exit, Failure, emit_json, format_option, load_scenario, status_line
from placement.cli.publish_options import (
    FILE,
    as_json,
    failures,
    retention_options,
    settings_of,
    store_options,
    switch_options,
    user,
)

if TYPE_CHECKING:
    from placement.publish.generation import Generation
    from placement.publish.store import Store
    from placement.scenario import Scenario


@click.command(
    "plan", epilog="Example: nearserve publish plan my-plan --scenario my-scenario --feeds feeds.toml --store published"
)
@click.argument("plan", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--scenario", help="Folder or bundled name; by default the bundled dataset that the plan names.")
@click.option("--feeds", metavar="feeds.toml", type=FILE, help="Render these feeds beside the plan.")
@click.option("--approve", "approval", metavar="FILE", type=FILE, help="An approval by `nearserve diff`.")
@store_options
@click.option("--sign", metavar="KEY", type=FILE, help="Sign with this OpenSSH key.")
@click.option("--builder", metavar="URI", help="What publishes, for provenance.json.")
@retention_options
@switch_options
@click.option("--again", is_flag=True, help="Also where nothing changed, or where a rollback took this away.")
@click.option("--dry-run", is_flag=True, help="Do all of it but the switch, in a temporary folder.")
@format_option
def command(
    plan: Path,
    scenario: str | None,
    feeds: Path | None,
    approval: Path | None,
    root: Path,
    by: str | None,
    reason: str,
    take_over: bool,
    accept_clock: bool,
    again: bool,
    dry_run: bool,
    output_format: str,
    **given: Any,
) -> None:
    """Publish PLAN: audit it, render its feeds, and only then lead readers to it.

    Where plan and feeds are those of the current generation, nothing is published. What a rollback took away is
    refused until it is published --again. Old generations that nobody keeps are taken away at the end.
    """
    settings = settings_of(**given)
    loaded = load_scenario(scenario or named_in(plan))
    began = datetime.now(UTC)
    with failures(), status_line() as say:
        store = settings.store(root)
        source = _Source(plan, loaded, feeds, approval, say)
        if dry_run:
            _rehearse(source, store, output_format)
            return
        with store.writing() as writer:
            for line in writer.mended:
                click.echo(f"nearserve: {line}", err=True)
            source.base = writer.current
            generation = writer.publish(
                source.fill,
                source.facts(),
                by=user() if by is None else by,
                reason=reason,
                started_at=began,
                again=again,
                take_over=take_over,
                accept_clock=accept_clock,
            )
            gone = writer.prune(settings.retention) if generation.new else ()
    if output_format == "json":
        emit_json({**as_json(generation), "new": generation.new, "pruned": [each.number for each in gone]})
    elif generation.new:
        click.echo(f"published generation {generation.number}: {root / 'current'} leads to {generation.name}")
        if gone:
            click.echo(f"taken away: generation{'s' * (len(gone) > 1)} {', '.join(str(each.number) for each in gone)}")
    else:
        click.echo(f"nothing to publish: generation {generation.number} says the same")


class _Source:
    """What goes into a generation. `base` is the current one, which an approval must be for."""

    def __init__(self, plan: Path, scenario: "Scenario", feeds: Path | None, approval: Path | None, say: Any) -> None:
        from placement.feeds.config import read_feeds_config  # noqa: PLC0415

        self.plan, self.scenario, self.approval, self.say = plan, scenario, approval, say
        self.feeds = None if feeds is None else read_feeds_config(feeds)
        self.base: Generation | None = None

    def fill(self, folder: Path) -> None:
        """The plan, audited where it will be read, and its feeds."""
        copy = folder / "plan"
        try:
            shutil.copytree(self.plan, copy, symlinks=True, copy_function=_copied)
        except OSError as error:
            raise _unreadable(error, self.plan) from error
        self._audit(copy)
        self._approved(copy)
        if self.feeds is not None:
            from placement.cli.feed import feed_failures  # noqa: PLC0415
            from placement.feeds.rendering import render_feeds  # noqa: PLC0415

            self.say("rendering the feeds")
            with feed_failures():
                render_feeds(copy, self.scenario, self.feeds, folder / "feeds")

    def facts(self) -> dict[str, Any]:
        """What the manifest says of the plan."""
        import json  # noqa: PLC0415

        path = self.plan / "plan.json"
        try:
            told = json.loads(path.read_bytes())
        except (OSError, ValueError) as error:
            raise Failure(Exit.BAD_DATA, f"{path}: is no plan ({error}); `nearserve plan` writes one") from error
        names = ("scenario", "objective_usd_month", "served_share", "gap")
        feeds = [] if self.feeds is None else sorted(self.feeds.targets)
        return {**{name: told.get(name) for name in names}, "feeds": feeds}

    def _audit(self, folder: Path) -> None:
        from placement.audit import audit  # noqa: PLC0415
        from placement.topology import build_pairs  # noqa: PLC0415

        self.say("auditing the plan")
        report = audit(folder, self.scenario, build_pairs(self.scenario).pairs)
        if not report.passed:
            lines = [f"{v.rule}: {v.subject}: {v.detail}" for v in report.violations[:20]]
            more = len(report.violations) - len(lines)
            lines += [f"... and {more} more; `nearserve audit` lists them"] if more > 0 else []
            raise Failure(Exit.AUDIT_FAILED, "\n".join(["the plan failed its audit; nothing was published", *lines]))

    def _approved(self, folder: Path) -> None:
        if self.approval is None:
            return
        from placement.diff.approval import BadApprovalError, StaleApprovalError, check_approval  # noqa: PLC0415
        from placement.diff.plans import UnreadablePlanError  # noqa: PLC0415

        base = None if self.base is None else self.base.folder / "plan"
        try:
            check_approval(self.approval, base, folder, self.scenario, datetime.now(UTC))
        except StaleApprovalError as error:
            raise Failure(Exit.STALE, str(error)) from error
        except (BadApprovalError, UnreadablePlanError) as error:
            raise Failure(Exit.BAD_DATA, str(error)) from error


def _copied(source: str, target: str) -> None:
    """A file, and at the first fault whose it is: the plan's, which cannot be read, or the store's disk's."""
    from placement.publish.errors import CannotWriteError  # noqa: PLC0415
    from placement.publish.writer import OF_DISK  # noqa: PLC0415

    try:
        shutil.copyfile(source, target)
    except OSError as error:
        if error.errno in OF_DISK:
            raise CannotWriteError(Path(target).parent, error) from error
        raise _unreadable(error, Path(source)) from error


def _unreadable(error: OSError, path: Path) -> Failure:
    return Failure(Exit.BAD_DATA, f"{path}: cannot be read ({error.strerror or error}); nothing was published")


def _rehearse(source: _Source, store: "Store", output_format: str) -> None:
    """All but the switch."""
    from placement.publish.manifest import content_hash, files_of, read_manifest  # noqa: PLC0415

    source.base = store.current()
    with tempfile.TemporaryDirectory() as name:
        source.fill(Path(name))
        files = files_of(Path(name))
    new = source.base is None or content_hash(read_manifest(source.base.folder)[0].files) != content_hash(files)
    told = {"new": new, "dry_run": True, "files": len(files), "bytes": sum(file.bytes for file in files.values())}
    if output_format == "json":
        emit_json(told)
    elif new:
        click.echo(f"would publish {told['files']} files of {told['bytes']:,} bytes; dry run, nothing was published")
    else:
        click.echo(f"nothing to publish: generation {source.base.number if source.base else 0} says the same")
