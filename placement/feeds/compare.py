"""What a feed's files say against what the plan says, fact by fact.

The plan's side is made here from the rows of the view alone: nothing of the feed's own code has a part in it.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from placement.feeds.feed import Fact, FeedError, Key, Read
from placement.feeds.view import BILLION, Route, View

_SHOWN = 6
_CLASS = ("region", "model", "service")


class DifferentError(FeedError):
    """What the files say is not what the plan says."""


@dataclass(frozen=True)
class Difference:
    """A fact that the files and the plan do not agree on; None where one of them says nothing of it."""

    fact: Fact
    key: Key
    said: Fraction | int | None
    planned: Fraction | int | None

    def __str__(self) -> str:
        what = f"{self.fact.what} of {', '.join(self.key)}"
        return f"{what}: the files say {_told(self.said)}, the plan {_told(self.planned)}"


def _told(value: Fraction | int | None) -> str:
    if value is None:
        return "nothing"
    return str(value) if isinstance(value, int) else f"{float(value):.12g}"


@dataclass(frozen=True)
class _Planned:
    """What the plan says: `parts` by key, each of the whole of its class; without `whole` they are whole numbers."""

    parts: Mapping[Key, int]
    whole: Mapping[Key, int] | None = None


def planned(view: View, fact: Fact) -> Mapping[Key, Fraction | int]:
    """What the plan says of a fact, by the values of its columns. Raises ValueError for columns that it has not."""
    told = _planned(view, fact)
    if told.whole is None:
        return told.parts
    of = _class_of(fact)
    return {key: Fraction(part, told.whole[of(key)]) for key, part in told.parts.items()}


def differences(view: View, read: Read, says: Iterable[Fact]) -> tuple[Difference, ...]:
    """Everything that the files say otherwise than the plan, in the order of facts and keys."""
    known = tuple(says)
    strange = [fact for fact in read if fact not in known]
    if strange:
        raise ValueError(f"the feed reads {strange[0]}, which it does not say that it says")
    return tuple(found for fact in known for found in _differences(view, fact, read.get(fact, {})))


def compared(view: View, read: Read, says: Iterable[Fact]) -> int:
    """How many figures the files and the plan agree on. Raises DifferentError where they differ."""
    found = differences(view, read, says)
    if found:
        more = [f"and {len(found) - _SHOWN} more"] if len(found) > _SHOWN else []
        raise DifferentError((*map(str, found[:_SHOWN]), *more))
    return sum(map(len, read.values()))


def _differences(view: View, fact: Fact, said: Mapping[Key, Fraction | int]) -> Iterator[Difference]:
    told = _planned(view, fact)
    if told.whole is None:
        wrong = [key for key in told.parts.keys() | said.keys() if told.parts.get(key, 0) != said.get(key, 0)]
        for key in sorted(wrong):
            yield Difference(fact, key, said.get(key), told.parts.get(key))
        return
    of, near, far = _class_of(fact), fact.within.numerator, fact.within.denominator
    for key in sorted(told.parts.keys() | said.keys()):
        part, whole = told.parts.get(key, 0), told.whole.get(of(key), BILLION)
        value = said.get(key, 0)
        # |value - part/whole| ≤ within, in whole numbers
        top, bottom = value.numerator, value.denominator
        if abs(top * whole - part * bottom) * far > near * bottom * whole:
            yield Difference(fact, key, said.get(key), Fraction(part, whole) if part else None)


def _planned(view: View, fact: Fact) -> _Planned:
    if fact.what in ("servers", "gpus"):
        names = ("site", "server", "gpu", "tenant")
        columns = {name: [getattr(s, name) for s in view.servers] for name in names}
        return _Planned(
            _summed(fact, columns, [s.count * (s.gpus if fact.what == "gpus" else 1) for s in view.servers])
        )
    if fact.what in ("replicas", "quarter_gpus", "stands"):
        return _Planned(_of_replicas(view, fact))
    if not set(_CLASS) <= set(fact.by):
        raise ValueError(f"{fact.what} are of a class: {', '.join(_CLASS)} belong to its columns, not only {fact.by}")
    served: dict[Key, int] = defaultdict(int)
    for route in view.routes:
        served[route[:3]] += route.share_ppb
    if fact.what == "shares":
        parts = [*zip(*view.routes, strict=True)] or [()] * len(Route._fields)
        routes: dict[str, Sequence[Any]] = dict(zip(Route._fields, parts, strict=True))
        return _Planned(_summed(fact, routes, routes.pop("share_ppb")), _by(served, fact))
    left = {key: BILLION - share for key, share in _by(served, fact).items() if share < BILLION}
    return _Planned(left, dict.fromkeys(_by(served, fact), BILLION))


def _of_replicas(view: View, fact: Fact) -> dict[Key, int]:
    shapes = [view.shapes[r.shape] for r in view.replicas]
    columns = {
        "site": [r.site for r in view.replicas],
        "shape": [r.shape for r in view.replicas],
        "tenant": [r.tenant for r in view.replicas],
        "model": [shape.model for shape in shapes],
        "gpu": [shape.gpu for shape in shapes],
    }
    each = [shape.quarter_gpus if fact.what == "quarter_gpus" else 1 for shape in shapes]
    found = _summed(fact, columns, [r.count * part for r, part in zip(view.replicas, each, strict=True)])
    return dict.fromkeys(found, 1) if fact.what == "stands" else found


def _summed(fact: Fact, columns: Mapping[str, Sequence[Any]], figures: Sequence[int]) -> dict[Key, int]:
    """The sums of `figures` by the fact's columns."""
    unknown = [name for name in fact.by if name not in columns]
    if unknown or not fact.by:
        raise ValueError(f"{fact.what} have no {', '.join(unknown) or 'columns'}; theirs are {', '.join(columns)}")
    summed: dict[Key, int] = defaultdict(int)
    for key, figure in zip(zip(*(columns[name] for name in fact.by), strict=True), figures, strict=True):
        summed[key] += figure
    return dict(summed)


def _by(of_class: Mapping[Key, int], fact: Fact) -> Mapping[Key, int]:
    """Figures of classes by the class' columns in the order of the fact's."""
    order = [_CLASS.index(name) for name in fact.by if name in _CLASS]
    return {tuple([cls[j] for j in order]): figure for cls, figure in of_class.items()}


def _class_of(fact: Fact) -> Callable[[Key], Key]:
    """From a key of the fact to its class' columns, in the order of the fact's."""
    order = [j for j, name in enumerate(fact.by) if name in _CLASS]
    return lambda key: tuple([key[j] for j in order])
