"""The plan against another one: a pin more, a pin less, a site banned; each planned anew."""

from dataclasses import dataclass

from placement.explain.case import Case, How, again
from placement.explain.changes import with_table
from placement.explain.why import Class, where
from placement.frames import records
from placement.pinning import Pin, pinned
from placement.scenario import Scenario


@dataclass(frozen=True)
class Against:
    """What another plan costs more (negative: less); NaN where there is none, or was none before.

    `places`: where the class in question goes then.
    """

    words: str
    possible: bool
    message: str
    cost_usd: float
    more_usd: float
    served_share: float
    places: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True)
class PinPrice:
    """A pin of the scenario and what it costs: the plan with it against one without."""

    model: str
    site: str
    least: int
    most: int | None
    reason: str
    price_usd: float
    without: Against


@dataclass(frozen=True)
class PinsAnswer:
    """Every pin of the scenario."""

    question = "pins"
    cost_usd: float
    pins: tuple[PinPrice, ...]


def explain_pins(case: Case, how: How) -> PinsAnswer:
    """What each pin costs, one at a time; the dearest first."""
    found = []
    for row in records(case.scenario.table("pins")):
        model, site = row["model"], row["site"]
        how.say(f"without the pin of {model} at {site}")
        without = against(case, unpinned(case.scenario, model, site), "without it", how)
        most = None if row["max_replicas"] != row["max_replicas"] else int(row["max_replicas"])
        least = 0 if row["min_replicas"] != row["min_replicas"] else int(row["min_replicas"])
        found.append(PinPrice(model, site, least, most, row["reason"], 0.0 - without.more_usd, without))
    known = sorted((p for p in found if p.price_usd == p.price_usd), key=lambda p: (-p.price_usd, p.model, p.site))
    return PinsAnswer(case.cost_usd, (*known, *(p for p in found if p.price_usd != p.price_usd)))


def pinned_as(case: Case, model: str, site: str, least: int, most: int | None, words: str, how: How) -> Against:
    """The plan with the model held at the site so; a pin of the scenario itself makes way."""
    scenario = pinned(unpinned(case.scenario, model, site), (Pin(model, site, least, most),))
    return against(case, scenario, words, how)


def against(case: Case, scenario: Scenario, words: str, how: How, cls: Class | None = None) -> Against:
    """Another scenario planned, against the plan of the case."""
    other = again(case, scenario, how)
    possible = other.plans is not None
    places = tuple(where(other, cls)) if cls is not None and possible else ()
    message = "" if possible else other.message or "no plan keeps the hard rules then"
    return Against(words, possible, message, other.cost_usd, other.cost_usd - case.cost_usd, other.served_share, places)


def unpinned(scenario: Scenario, model: str, site: str) -> Scenario:
    """The scenario without its pin of a model at a site, if it has one."""
    frame = scenario.table("pins")
    mask = (frame["model"] == model) & (frame["site"] == site)
    return with_table(scenario, "pins", frame[~mask].reset_index(drop=True)) if mask.any() else scenario
