"""Which pairs to measure next: by the plan's prices, and by rules that know less.

| strategy | measures first |
|---|---|
| prices | what may change the plan most, at its prices: `nearserve probe targets --plan` |
| no plan | what may serve most requests: `nearserve probe targets` |
| nearest | of the pairs never measured the one that is probably nearest |
| widest | the pair whose interval is widest, measured in logarithms |
| stalest | the oldest measurement; when all are new, pairs never measured, by chance |
| random | any pair that was not measured in this loop |
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from bench.closed_loop.deciding import Decision
from bench.closed_loop.knowledge import NOW_S, STALE_DAYS, Knowledge
from bench.closed_loop.matrices import Bool, Float, Ints
from placement.needs import needs
from placement.needs.belief import DAY_S
from placement.needs.planned import Planned
from placement.scenario import Scenario
from placement.topology.pairs import Pairs, State


@dataclass(frozen=True)
class View:
    """What a strategy may look at; `chance` are figures between 0 and 1 by which it may break ties, R × P."""

    scenario: Scenario
    known: Knowledge
    pairs: Pairs
    decision: Decision | None
    chance: Float


Strategy = Callable[[View], Float]
"""A figure for every pair, R × P; those with the largest are measured."""


def first(view: View, strategy: Strategy, count: int) -> Ints:
    """The places of the `count` pairs to measure."""
    figure = np.where(view.known.open, strategy(view), -np.inf).reshape(-1)
    order = np.lexsort((view.chance.reshape(-1), -figure))
    return order[:count]


def prices(view: View) -> Float:
    assert view.decision is not None
    return _ranked(view, view.decision.planned)


def no_plan(view: View) -> Float:
    return _ranked(view, None)


def nearest(view: View) -> Float:
    return np.where(_inferred(view), -view.pairs.rtt_mid_ms, -np.inf)


def widest(view: View) -> Float:
    return np.where(_inferred(view), np.log(view.pairs.rtt_upper_ms / view.pairs.rtt_lower_ms), -np.inf)


def stalest(view: View) -> Float:
    return np.where(np.isnan(view.known.seen_s), -np.inf, -view.known.seen_s)


def anyhow(view: View) -> Float:
    return np.zeros(view.chance.shape)


def _inferred(view: View) -> Bool:
    return np.asarray(view.pairs.rtt_state == State.INFERRED, np.bool_)


def _ranked(view: View, planned: Planned | None) -> Float:
    """Minus the rank among the needs; what nobody needs comes last."""
    wanted = needs(view.scenario, view.pairs, NOW_S - STALE_DAYS * DAY_S, planned)
    figure = np.full(view.chance.size, -np.inf)
    figure[wanted.order] = -np.arange(wanted.count)
    return figure.reshape(view.chance.shape)


STRATEGIES: dict[str, Strategy] = {
    "prices": prices,
    "no plan": no_plan,
    "nearest": nearest,
    "widest": widest,
    "stalest": stalest,
    "random": anyhow,
}
LEARNING = ("prices", "no plan")
"""Those that look at intervals again after every round; the others' orders do not, or hardly, depend on it."""
