"""How a run of `nearserve plan` moves: a live line for people, a file of plan, bound and gap over time for curves."""

import csv
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from placement.cli.common import Exit, Failure, status_line

if TYPE_CHECKING:
    from placement.planning import Progress

COLUMNS = ("seconds", "stage", "plan_usd_month", "bound_usd_month", "net_gap")


@contextmanager
def told(trace: Path | None, limit_s: float | None) -> Iterator[Callable[["Progress"], None]]:
    """Where progress goes: the line of the terminal, if there is one, and the trace, if it was asked for."""
    with ExitStack() as stack:
        say = stack.enter_context(status_line())
        write = stack.enter_context(_traced(trace)) if trace is not None else lambda _: None

        def tell(progress: "Progress") -> None:
            say(line(progress, limit_s))
            write(progress)

        yield tell


def line(progress: "Progress", limit_s: float | None) -> str:
    """What the status line says."""
    text = (
        f"{progress.seconds:5.0f}" + (f" of {limit_s:.0f} s" if limit_s is not None else " s") + f"  {progress.stage}"
    )
    if progress.objective_usd is not None:
        text += f"  plan {progress.objective_usd:,.0f} USD/month"
    if progress.bound_usd is not None:
        text += f"  bound {progress.bound_usd:,.0f}"
    if progress.gap is not None:
        text += f"  net gap {100 * progress.gap:.2f} %"
    return text


@contextmanager
def _traced(path: Path) -> Iterator[Callable[["Progress"], None]]:
    """A CSV with a row for every change of the stage, the plan or the bound; it may be read while it grows."""
    try:
        file = path.open("w", newline="", encoding="utf-8")
    except OSError as error:
        raise Failure(Exit.USAGE, f"the trace cannot be written: {error}") from error
    with file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(COLUMNS)
        last: list[tuple[object, ...]] = []

        def write(progress: "Progress") -> None:
            now = (progress.stage, progress.objective_usd, progress.bound_usd)
            if last[-1:] != [now]:
                last[:] = [now]
                gap = "" if progress.gap is None else f"{progress.gap:.6f}"
                usd = ("" if value is None else f"{value:.2f}" for value in now[1:])
                rows.writerow((f"{progress.seconds:.2f}", progress.stage, *usd, gap))
                file.flush()

        yield write
