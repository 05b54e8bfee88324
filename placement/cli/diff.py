"""nearserve diff: what changes from one plan to the next, what it costs, and in which order it is safe."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from placement.cli.audit import named_in
from placement.cli.common import Exit, Failure, emit_json, format_option, load_scenario, status_line, writing_to

if TYPE_CHECKING:
    from placement.diff.changes import Changes
    from placement.diff.document import DiffDocument
    from placement.scenario import Scenario

NOTHING = "none"
EXAMPLES = (
    "Example: nearserve diff yesterday today --scenario my-scenario   From nothing: nearserve diff none today   "
    "To approve it: nearserve diff yesterday today --approve approval.json --by 'Ada Lovelace'"
)


@click.command("diff", epilog=EXAMPLES)
@click.argument("old")
@click.argument("new", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--scenario", help="Folder or bundled name; by default the bundled dataset that NEW names.")
@click.option(
    "--approve", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="Write an approval of it."
)
@click.option("--by", metavar="NAME", help="Who approves; with --approve.")
@click.option(
    "--hours", type=click.FloatRange(min=0, min_open=True), default=24.0, show_default=True, help="An approval holds."
)
@click.option(
    "--approval",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Hold the change against this approval: exit code 6 where it is for another one, or not for now.",
)
@click.option("--at", metavar="TIME", help="When that is, as 2026-11-22T05:00:00+00:00.  [default: now]")
@click.option("--steps/--no-steps", default=True, show_default=True, help="The order of safe steps.")
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="All of it as JSON into a file.")
@click.option("--top", type=click.IntRange(min=1), default=20, show_default=True, help="Sites shown, largest first.")
@format_option
def command(
    old: str,
    new: Path,
    scenario: str | None,
    approve: Path | None,
    by: str | None,
    hours: float,
    approval: Path | None,
    at: str | None,
    steps: bool,
    output: Path | None,
    top: int,
    output_format: str,
) -> None:
    """What changes from the plan OLD (a folder, or `none` where nothing stands) to the plan NEW.

    NEW must be of the scenario as it is now, OLD may be of any inputs. Servers and replicas by site, traffic that
    goes elsewhere, cost and latency before and after, and the order of steps that never lacks capacity on the way.
    The exit code is 0 whatever changes.
    """
    if (approve is None) != (by is None):
        raise click.UsageError("--approve FILE and --by NAME go together: an approval is somebody's")
    before, as_of = _old(old), _time(at)
    with _failures():
        loaded = load_scenario(scenario or named_in(new))
        found, said = _found(before, new, loaded, steps=steps)
        if approval is not None:
            from placement.diff.approval import check_approval  # noqa: PLC0415

            check_approval(approval, before, new, loaded, as_of)
        if output is not None:
            with writing_to(output):
                output.write_bytes(said.canonical())
        if approve is not None and by is not None:
            from placement.diff.approval import approve as approved  # noqa: PLC0415

            with writing_to(approve):
                approve.write_bytes(approved(found, by, as_of, timedelta(hours=hours)))
    if output_format == "json":
        emit_json(said.model_dump(mode="json", by_alias=True))
    else:
        _say(said, (old, str(new)), top, approve, approval)


def _found(before: Path | None, new: Path, loaded: "Scenario", *, steps: bool) -> "tuple[Changes, DiffDocument]":
    """What changes, and how that is told."""
    from placement.diff.changes import changes  # noqa: PLC0415
    from placement.diff.steps import with_steps  # noqa: PLC0415
    from placement.topology import build_pairs  # noqa: PLC0415

    with status_line() as say:
        say("building the topology")
        pairs = build_pairs(loaded).pairs
        say("comparing")
        found = changes(before, new, loaded, pairs)
        if steps:
            say("ordering the steps")
        return found, with_steps(found) if steps else found.said


def _say(said: "DiffDocument", names: tuple[str, str], top: int, approve: Path | None, approval: Path | None) -> None:
    from placement.cli.diff_view import show  # noqa: PLC0415

    show(said, names, top)
    if approval is not None:
        click.echo(f"\n{approval} approves exactly this")
    if approve is not None:
        click.echo(f"\napproved in {approve}; bound to both plans and to the scenario as they are")


def _old(text: str) -> Path | None:
    """The folder of the old plan; a folder called `none` is `./none`."""
    if text == NOTHING:
        return None
    if not Path(text).is_dir():
        raise click.BadParameter(f"{text!r} is no folder; give a plan's, or none", param_hint="OLD")
    return Path(text)


def _time(text: str | None) -> datetime:
    if text is None:
        return datetime.now(UTC)
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise click.BadParameter(f"{text!r}: write it as 2026-11-22T05:00:00+00:00", param_hint="--at") from error
    return at if at.tzinfo else at.replace(tzinfo=UTC)


@contextmanager
def _failures() -> Iterator[None]:
    """What can go wrong, as the contract's exit codes."""
    from placement.diff.approval import BadApprovalError, StaleApprovalError  # noqa: PLC0415
    from placement.diff.plans import UnreadablePlanError  # noqa: PLC0415
    from placement.diff.waves import NoOrderError  # noqa: PLC0415
    from placement.plan.reading import StalePlanError  # noqa: PLC0415

    try:
        yield
    except StalePlanError as error:
        raise Failure(Exit.STALE, f"{error}; plan again") from error
    except StaleApprovalError as error:
        raise Failure(Exit.STALE, str(error), {"reasons": list(error.reasons)}) from error
    except (UnreadablePlanError, BadApprovalError) as error:
        raise Failure(Exit.BAD_DATA, str(error)) from error
    except NoOrderError as error:
        raise Failure(Exit.AUDIT_FAILED, f"{error}; `nearserve audit` says what is wrong with the new plan") from error
