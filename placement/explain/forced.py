"""Why not to that site, and which site would be next: by rule where one forbids it, else by planning anew."""

from dataclasses import dataclass

from placement.explain.against import Against, against, unpinned
from placement.explain.case import Case, How
from placement.explain.why import Choice, Class, choices, explain_class, known_site, where
from placement.pinning import Pin, pinned


@dataclass(frozen=True)
class NotToAnswer:
    """Why a class does not go to a site: the rules that forbid it, or what holding its model there would cost."""

    question = "not_to"
    cls: Class
    site: str
    choice: Choice
    places: tuple[tuple[str, float], ...]
    forced: Against | None


@dataclass(frozen=True)
class NextAnswer:
    """Where a class would go if its model were banned from the site that serves most of it."""

    question = "next"
    cls: Class
    places: tuple[tuple[str, float], ...]
    banned: str
    without: Against | None


def explain_not_to(case: Case, names: list[str | None], site: str, how: How, *, solve: bool = True) -> NotToAnswer:
    """The first of the classes named against a site.

    Raises:
        UnknownNameError: nobody asks for that, or there is no such site.
    """
    known_site(case, site)
    cls = explain_class(case, *names).chosen
    choice = next(c for c in choices(case, cls) if c.site == site)
    forced = None
    if not choice.kept_out and not choice.share and solve:
        model = cls.row.model
        how.say(f"a replica of {model} at {site}")
        scenario = pinned(unpinned(case.scenario, model, site), (Pin(model, site, 1, None),))
        forced = against(case, scenario, f"with a replica of {model} at {site}", how, cls)
    return NotToAnswer(cls, site, choice, tuple(where(case, cls)), forced)


def explain_next(case: Case, names: list[str | None], how: How) -> NextAnswer:
    """The next best site for the first of the classes named.

    Raises:
        UnknownNameError: nobody asks for that.
    """
    cls = explain_class(case, *names).chosen
    places = tuple(where(case, cls))
    if not places:
        return NextAnswer(cls, places, "", None)
    model, site = cls.row.model, places[0][0]
    how.say(f"without {model} at {site}")
    scenario = pinned(unpinned(case.scenario, model, site), (Pin(model, site, 0, 0),))
    return NextAnswer(cls, places, site, against(case, scenario, f"without {model} at {site}", how, cls))
