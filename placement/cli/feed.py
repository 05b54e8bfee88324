"""nearserve feed: a plan as orchestrators read it, compared to the plan before anybody does."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from placement.cli.common import (
    Exit,
    Failure,
    bad_data,
    emit_json,
    format_option,
    load_scenario,
    print_table,
    writing_to,
)

if TYPE_CHECKING:
    from placement.feeds.config import FeedsConfig
    from placement.feeds.feed import Feed, FeedError
    from placement.feeds.rendering import Rendered

MOST_REASONS = 30


@click.command(
    "feed",
    epilog="Example: nearserve feed my-plan --scenario my-scenario --feeds feeds.toml -o my-feeds",
)
@click.argument("plan", type=click.Path(path_type=Path, exists=True, file_okay=False), required=False)
@click.option("--scenario", "-s", metavar="SCENARIO", help="Of the plan, a folder or a bundled name; it knows its own.")
@click.option(
    "--feeds",
    "feeds",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="TOML: targets, where sites take requests, a table of options for each target.",
)
@click.option(
    "--target", "targets", multiple=True, metavar="NAME", help="Only this target; may be given several times."
)
@click.option(
    "--addresses",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="CSV: site, model, host, port; instead of the one that the TOML names.",
)
@click.option(
    "--crd-dir",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="CRDs of your clusters, JSON or YAML: whatever is for Kubernetes is held against them.",
)
@click.option("--period", help="The planning period to tell.  [default: the first]")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Folder of the feeds.")
@click.option("--force", is_flag=True, help="Replace feeds that stand there.")
@click.option("--list", "listed", is_flag=True, help="Show the feeds there are, and what they say.")
@format_option
def command(
    plan: Path | None,
    scenario: str | None,
    feeds: Path | None,
    targets: tuple[str, ...],
    addresses: Path | None,
    crd_dir: Path | None,
    period: str | None,
    output: Path | None,
    force: bool,
    listed: bool,
    output_format: str,
) -> None:
    """Render PLAN for orchestrators: a folder for each target, read back from the disk and compared to the plan.

    The output appears whole or not at all. A target that fails over otherwise than the plan does is held against the
    auditor first.
    """
    if listed:
        _list(output_format)
        return
    if plan is None or output is None or not (feeds or targets):
        raise click.UsageError("give a PLAN, -o OUTPUT, and --feeds FILE or --target NAME; or --list")
    from placement.cli.audit import named_in  # noqa: PLC0415
    from placement.feeds.folder import feeds_folder  # noqa: PLC0415
    from placement.feeds.rendering import render_feeds  # noqa: PLC0415

    with feed_failures():
        config = _config(feeds, targets, {"addresses": addresses, "crds": crd_dir}, period)
        loaded = load_scenario(scenario or named_in(plan))
    with writing_to(output), feed_failures(), feeds_folder(output, replace=force) as folder:
        rendered = render_feeds(plan, loaded, config, folder)
    _say(rendered, output, output_format)


def _config(
    feeds: Path | None, targets: tuple[str, ...], paths: Mapping[str, Path | None], period: str | None
) -> "FeedsConfig":
    """The configuration of the file, as far as the flags do not say otherwise."""
    from placement.feeds.config import feeds_config, read_feeds_config  # noqa: PLC0415

    given = {key: str(path.absolute()) for key, path in paths.items() if path is not None}
    given |= {} if period is None else {"period": period}
    if feeds is not None:
        return read_feeds_config(feeds, only=targets, instead=given)
    return feeds_config({"targets": list(targets), **given}, Path(), "--target")


@contextmanager
def feed_failures() -> Iterator[None]:
    """What can go wrong, as the contract's exit codes."""
    from placement.feeds.addresses import AddressesError  # noqa: PLC0415
    from placement.feeds.compare import DifferentError  # noqa: PLC0415
    from placement.feeds.failover import BrokenPromiseError  # noqa: PLC0415
    from placement.feeds.feed import FeedError  # noqa: PLC0415
    from placement.feeds.kubernetes.cel import MissingCelError  # noqa: PLC0415
    from placement.feeds.kubernetes.crds import CrdFaultsError  # noqa: PLC0415
    from placement.plan.folder import PlanExistsError  # noqa: PLC0415
    from placement.plan.reading import PlanReadError, StalePlanError  # noqa: PLC0415
    from placement.problem.errors import UnplannableError  # noqa: PLC0415
    from probes.document import DocumentError  # noqa: PLC0415

    try:
        yield
    except PlanExistsError as error:
        raise Failure(Exit.USAGE, str(error)) from error
    except AddressesError as error:
        raise bad_data(Path("addresses"), error.findings) from error
    except MissingCelError as error:
        raise Failure(Exit.USAGE, str(error)) from error
    except (DifferentError, BrokenPromiseError, CrdFaultsError) as error:
        raise _refused(Exit.AUDIT_FAILED, error) from error
    except FeedError as error:
        raise _refused(Exit.BAD_DATA, error) from error
    except StalePlanError as error:
        raise Failure(Exit.STALE, f"{error}; plan again, or give the scenario that it was made from") from error
    except (PlanReadError, DocumentError, UnplannableError) as error:
        raise Failure(Exit.BAD_DATA, str(error)) from error


def _refused(code: Exit, error: "FeedError") -> Failure:
    """The reasons, as many as a person reads; scripts that asked for JSON get them all."""
    reasons, left = list(error.reasons), len(error.reasons) - MOST_REASONS
    more = [f"... and {left:,} more; --format json lists them all"] if left > 0 else []
    told = "\n".join(["nothing was written:", *reasons[:MOST_REASONS], *more])
    return Failure(code, told, {"reasons": reasons})


def _say(rendered: "Rendered", output: Path, output_format: str) -> None:
    from dataclasses import asdict  # noqa: PLC0415

    if output_format == "json":
        emit_json(asdict(rendered))
        return
    rows = [
        (feed.target, feed.failover or "-", len(feed.slices), len(feed.failures), feed.files, feed.bytes, feed.figures)
        for feed in rendered.feeds
    ]
    columns = ("target", "failover", "slices", "failures", "files", "bytes", "figures agree")
    print_table(columns, rows, f"Feeds of {rendered.scenario}")
    if rendered.crds:
        click.echo(f"\ntaken by the CRDs: {', '.join(f'{count} {kind}' for kind, count in rendered.crds.items())}")
    if rendered.crds_unchecked:
        click.echo("\nrules of the CRDs that were not checked:")
        click.echo("\n".join(f"  {rule}" for rule in rendered.crds_unchecked))
    click.echo(f"\nwritten to {output}, read back from there, and compared to plan {rendered.plan_sha256[:12]}")


def _list(output_format: str) -> None:
    from placement.feeds.registry import UnknownFeedError, feed_class, feed_names  # noqa: PLC0415

    found: list[dict[str, Any]] = []
    for name in feed_names():
        try:
            kind = feed_class(name)
        except UnknownFeedError as error:
            found.append({"name": name, "error": str(error)})
            continue
        about = " ".join((kind.__doc__ or "").partition("\n\n")[0].split()).partition(". ")[0].rstrip(".")
        found.append({"name": name, "about": about, "failover": sorted(kind.policies), "says": _says(kind)})
    if output_format == "json":
        emit_json(found)
        return
    rows = [
        (f["name"], ", ".join(f.get("failover", ())) or "-", ", ".join(f.get("says", ())), f.get("error") or f["about"])
        for f in found
    ]
    print_table(("feed", "failover", "compared", "what it is"), rows)


def _says(kind: "type[Feed]") -> list[str]:
    """The kinds of facts that a feed's files say; with the options that it has by itself."""
    from pydantic import ValidationError  # noqa: PLC0415

    try:
        return list(dict.fromkeys(fact.what for fact in kind(kind.Options()).says))
    except ValidationError:  # there is an option that nobody but the operator knows
        said = getattr(kind, "says", ())
        return list(dict.fromkeys(fact.what for fact in said)) if isinstance(said, tuple) else []
