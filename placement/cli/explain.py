"""nearserve explain: why a plan is as it is, and what would change it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
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
    not_to: str | None
    next_: bool
    worth: bool
    check: int
    pins: bool
    top: int
    no_solve: bool
    time_limit: float | None
    gap: float


@click.command("explain", epilog="Example: nearserve explain my-plan --scenario my-scenario --class paris")
@click.argument("target", metavar="PLAN|SCENARIO")
@click.option("--scenario", help="Of a PLAN: folder or bundled name; by default the bundled dataset that it names.")
@click.option("--here", metavar="MODEL@SITE", help="Why this model stands there.")
@click.option("--class", "cls", metavar="REGION[/MODEL[/SERVICE[/SLICE[/PERIOD]]]]", help="Why it goes where it goes.")
@click.option("--not-to", metavar="SITE", help="With --class: why it does not go to this site.")
@click.option("--next", "next_", is_flag=True, help="With --class: where it would go instead.")
@click.option("--worth", is_flag=True, help="What one more GPU, kW, rack unit, Mbit/s, server or USD is worth.")
@click.option("--check", type=click.IntRange(min=0), default=0, help="With --worth: plan anew for the first N.")
@click.option("--pins", is_flag=True, help="What each pin of the scenario costs.")
@click.option("--top", type=click.IntRange(min=1), default=12, show_default=True, help="Rows of a table.")
@click.option("--no-solve", is_flag=True, help="Arithmetic only: nothing is planned again.")
@click.option(
    "--time-limit",
    type=click.FloatRange(min=1),
    help="Seconds of every plan made anew.  [default: 60; for a large scenario little is planned anew without it]",
)
@click.option("--gap", type=click.FloatRange(0, 1), default=1e-4, show_default=True, help="Of every plan made.")
@format_option
def command(target: str, output_format: str, **options: Any) -> None:
    """What blocks unserved demand and the cheapest ways out, or what the options ask.

    A SCENARIO is planned first. What a change is worth was found by planning again with the change made.
    """
    from placement.cli.explain_view import as_json, show  # noqa: PLC0415

    asked = Options(**options)
    _refuse(asked)
    with _failures(), status_line() as say:
        from placement.explain.case import How  # noqa: PLC0415

        how = How(asked.gap, asked.time_limit or SECONDS, say)
        case = _case(target, asked, how)
        if case.large and asked.time_limit is None:
            how = replace(how, resolve=False)
        answer = _answer(case, asked, how)
    if output_format == "json":
        emit_json(as_json(answer))
    else:
        show(answer, asked.top)


def _refuse(asked: Options) -> None:
    """Options that ask two questions at once, or one that is not there."""
    questions = {"--class": asked.cls, "--here": asked.here, "--worth": asked.worth, "--pins": asked.pins}
    given = [name for name, value in questions.items() if value]
    if len(given) > 1:
        raise click.UsageError(f"one question at a time: {' or '.join(given)}")
    for name, value, of in (("--not-to", asked.not_to, "--class"), ("--next", asked.next_, "--class")):
        if value and of not in given:
            raise click.UsageError(f"{name} goes with {of}")
    if asked.not_to and asked.next_:
        raise click.UsageError("one question at a time: --not-to or --next")
    if asked.check and not asked.worth:
        raise click.UsageError("--check goes with --worth")
    if asked.no_solve and (asked.next_ or asked.pins or asked.check):
        raise click.UsageError("--no-solve leaves --next, --pins and --check without an answer")
    if asked.here is not None and "@" not in asked.here:
        raise click.UsageError("--here wants MODEL@SITE")
    if asked.cls is not None and asked.cls.count("/") > 4:
        raise click.UsageError("--class wants REGION, or REGION/MODEL/SERVICE/SLICE/PERIOD as far as is needed")


def _answer(case: "Case", asked: Options, how: "How") -> Any:
    from placement.explain import against, blockage, forced, here, why, worth  # noqa: PLC0415

    again = not asked.no_solve and how.resolve  # ways out of a large plan are told without
    names = [part or None for part in (asked.cls or "").split("/")]
    if asked.cls is not None and asked.not_to is not None:
        return forced.explain_not_to(case, names, asked.not_to, how, solve=again)
    if asked.cls is not None:
        return forced.explain_next(case, names, how) if asked.next_ else why.explain_class(case, *names)
    if asked.here is not None:
        model, _, site = asked.here.partition("@")
        return here.explain_here(case, model, site, how, solve=again)
    if asked.worth:
        return worth.explain_worth(case, how, asked.check)
    if asked.pins:
        return against.explain_pins(case, how)
    return blockage.explain_blocked(case, how, solve=not asked.no_solve)


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
    from placement.explain.why import UnknownNameError  # noqa: PLC0415
    from placement.explain.worth import NoPricesError  # noqa: PLC0415
    from placement.plan.reading import PlanReadError, StalePlanError  # noqa: PLC0415
    from placement.problem.errors import UnplannableError  # noqa: PLC0415
    from placement.solving import TooLargeError  # noqa: PLC0415

    try:
        yield
    except UnknownNameError as error:
        raise Failure(Exit.USAGE, str(error)) from error
    except StalePlanError as error:
        raise Failure(Exit.STALE, f"{error}; plan again, or explain the scenario itself") from error
    except (PlanReadError, NoPricesError, UnplannableError, TooLargeError) as error:
        raise Failure(Exit.BAD_DATA, str(error)) from error
