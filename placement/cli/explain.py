"""nearserve explain: why a plan is as it is, and what would change it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from placement.cli.common import Exit, Failure, emit_json, format_option, load_scenario, status_line

if TYPE_CHECKING:
    from placement.explain.case import Case, How

SECONDS = 60.0


@dataclass(frozen=True)
class Options:
    """What is asked."""

    scenario: str | None
    here: str | None
    cls: str | None
    top: int
    no_solve: bool
    time_limit: float
    gap: float


@click.command("explain", epilog="Example: nearserve explain my-plan --scenario my-scenario --class paris")
@click.argument("target", metavar="PLAN|SCENARIO")
@click.option("--scenario", help="Of a PLAN: folder or bundled name; by default the bundled dataset that it names.")
@click.option("--here", metavar="MODEL@SITE", help="Why this model stands there.")
@click.option("--class", "cls", metavar="REGION[/MODEL[/SERVICE[/SLICE[/PERIOD]]]]", help="Why it goes where it goes.")
@click.option("--top", type=click.IntRange(min=1), default=12, show_default=True, help="Rows of a table.")
@click.option("--no-solve", is_flag=True, help="Arithmetic only: nothing is planned again.")
@click.option("--time-limit", type=click.FloatRange(min=1), default=SECONDS, show_default=True, help="Seconds a plan.")
@click.option("--gap", type=click.FloatRange(0, 1), default=1e-4, show_default=True, help="Of every plan made.")
@format_option
def command(target: str, output_format: str, **options: Any) -> None:
    """What blocks unserved demand and the cheapest ways out, or what the options ask.

    A SCENARIO is planned first. What a change is worth was found by planning again with the change made.
    """
    from placement.cli.explain_view import as_json, show  # noqa: PLC0415

    asked = Options(**options)
    with _failures(), status_line() as say:
        from placement.explain.case import How  # noqa: PLC0415

        how = How(asked.gap, asked.time_limit, say)
        answer = _answer(_case(target, asked, how), asked, how)
    if output_format == "json":
        emit_json(as_json(answer))
    else:
        show(answer, asked.top)


def _answer(case: "Case", asked: Options, how: "How") -> Any:
    from placement.explain import blocked, why  # noqa: PLC0415

    if asked.cls is not None:
        names = asked.cls.split("/")
        return why.explain_class(case, *names)
    if asked.here is not None:
        model, _, site = asked.here.partition("@")
        return why.explain_here(case, model, site)
    return blocked.explain_blocked(case)


def _case(target: str, asked: Options, how: "How") -> "Case":
    from placement.explain.case import pose  # noqa: PLC0415
    from placement.explain.reading import read_case  # noqa: PLC0415

    folder = Path(target)
    if (folder / "plan.json").is_file():
        from placement.cli.audit import named_in  # noqa: PLC0415

        return read_case(folder, load_scenario(asked.scenario or named_in(folder)), how)
    scenario = load_scenario(target)
    if scenario.later:
        raise Failure(Exit.BAD_DATA, "this version cannot honour some rules of the scenario: see nearserve check")
    return pose(scenario, how)


@contextmanager
def _failures() -> Iterator[None]:
    """Errors of a question as the contract's exit codes."""
    from placement.explain.reading import PlanReadError, StalePlanError  # noqa: PLC0415
    from placement.explain.why import UnknownNameError  # noqa: PLC0415
    from placement.problem.errors import UnplannableError  # noqa: PLC0415
    from placement.solving import TooLargeError  # noqa: PLC0415

    try:
        yield
    except UnknownNameError as error:
        raise Failure(Exit.USAGE, str(error)) from error
    except StalePlanError as error:
        raise Failure(Exit.STALE, f"{error}; plan again, or explain the scenario itself") from error
    except (PlanReadError, UnplannableError, TooLargeError) as error:
        raise Failure(Exit.BAD_DATA, str(error)) from error
