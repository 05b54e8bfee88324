"""Why this model stands here: what it serves, how busy it is, and what the plan would cost without it."""

from dataclasses import dataclass

from placement.explain.against import Against, pinned_as
from placement.explain.case import Case, How
from placement.explain.why import Standing, standing


@dataclass(frozen=True)
class HereAnswer:
    """A model at a site by period, and the plan that may not have it there; None where nothing was planned anew."""

    question = "here"
    model: str
    site: str
    standing: tuple[Standing, ...]
    without: Against | None


def explain_here(case: Case, model: str, site: str, how: How, *, solve: bool = True) -> HereAnswer:
    """What a model does at a site.

    Raises:
        UnknownNameError: no such model or site.
    """
    stands = tuple(standing(case, model, site))
    without = None
    if stands and solve:
        how.say(f"without {model} at {site}")
        without = pinned_as(case, model, site, 0, 0, f"without {model} at {site}", how)
    return HereAnswer(model, site, stands, without)
