"""Feeds by their names: whoever installs a package with an entry point `nearserve.feeds` has one more."""

from functools import cache
from importlib.metadata import EntryPoint, entry_points

from placement.feeds.feed import Feed
from placement.scenario.findings import nearest

GROUP = "nearserve.feeds"


class UnknownFeedError(LookupError):
    """No feed has this name, or its package cannot be loaded; the message is what can be done."""


@cache
def _found() -> dict[str, EntryPoint]:
    return {point.name: point for point in sorted(entry_points(group=GROUP), key=lambda point: point.name)}


def feed_names() -> tuple[str, ...]:
    """The names of all feeds, sorted."""
    return tuple(_found())


def feed_class(name: str) -> type[Feed]:
    """The class of a feed.

    Raises:
        UnknownFeedError: there is none, or its package does not load.
    """
    point = _found().get(name)
    if point is None:
        raise UnknownFeedError(nearest(name, feed_names()))
    try:
        found: type[Feed] = point.load()
    except (ImportError, AttributeError) as error:
        raise UnknownFeedError(f"its entry point {point.value} cannot be loaded: {error}") from error
    if found.name != name:
        raise UnknownFeedError(f"its entry point {point.value} is called {found.name!r}: give both one name")
    return found
