"""What a feed is: one class for one kind of target, found by name through the entry point `nearserve.feeds`.

class Mine:
    name = "mine"
    policies = frozenset({"proportional"})
    says = (Fact("shares", ("region", "model", "service", "site")),)
    Options = MyOptions                       # a subclass of Options: the table [mine] of the feeds' configuration

    def __init__(self, options: MyOptions) -> None: ...
    def render(self, view: View) -> Files: ...  # the files of one moment, by their path within the feed's folder
    def read(self, files: Files) -> Read: ...   # what these files say, without having seen the view
"""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, ClassVar, Literal, Protocol, TypeAlias

from placement.feeds.view import Policy, View
from probes.document import Part

Files: TypeAlias = Mapping[str, bytes]
"""Files by their path within the feed's folder, "/" between the parts."""

Key: TypeAlias = tuple[str, ...]


@dataclass(frozen=True)
class Fact:
    """Something that a feed says and that the plan says too, by these of its columns.

    `replicas` (of site, model, shape, tenant), `servers` and their `gpus` (of site, server, gpu, tenant),
    `quarter_gpus` of replicas (of site, gpu, model, shape, tenant), and `stands` (of site, model, shape, gpu, tenant: 1
    where there is any replica) are whole numbers and hold exactly. `shares` (of region, model, service, site, shape)
    are of a class' *served* requests, and sum to 1; `unserved` (of region, model, service) of all its requests, for
    classes that are served at all. Those hold within `within`; what is 0 is absent.
    """

    what: Literal["replicas", "servers", "gpus", "quarter_gpus", "stands", "shares", "unserved"]
    by: tuple[str, ...]
    within: Fraction = Fraction(1, 10**9)


Apart = Literal["", "class", "region"]
"""Whether a file says something of one class, or of one region, alone. "": files may speak of everything."""

Read: TypeAlias = Mapping[Fact, Mapping[Key, Fraction | int]]
"""What files say of each fact that the feed names, by the values of its columns."""


class FeedError(ValueError):
    """The plan, or what the configuration says, cannot be told to the target; every reason, a line each."""

    def __init__(self, reasons: tuple[str, ...]) -> None:
        super().__init__("\n".join(reasons))
        self.reasons = reasons


class Options(Part):
    """What the configuration says of a feed; each feed has a class of its own.

    `failover` is the way in which its target is to fail over: one of the feed's policies; without it the plan's own
    where the target can be told that, and else the first that keeps the plan's promise, `planned` before others.
    `failures` are the domains that files are made for where it is `planned`; without it all.
    """

    failover: Policy | None = None
    failures: tuple[str, ...] | None = None


class Feed(Protocol):
    """A kind of target. Nothing of it depends on the clock or on the order of rows: the same view, the same bytes.

    `policies` are the ways of failing over that the target can be told: `planned` where files made for a failure are
    switched to, `proportional` where it shares what fails over the survivors by their weights by itself, `priority`
    where it goes down an order. Empty: it routes nothing, so that no failure concerns it. `Options` is its options'
    class.

    A feed may also have `apart` (see `apart_of`), which makes failures of large plans quick: the files of a failure are
    then made from a view of no more than the classes, or regions, that it touches.
    """

    name: ClassVar[str]
    policies: ClassVar[frozenset[Policy]]
    Options: ClassVar[type[Options]]

    def __init__(self, options: Any) -> None: ...

    @property
    def says(self) -> tuple[Fact, ...]:
        """The facts that the files say; a class' own or, where options make a difference, an instance's."""
        ...

    def render(self, view: View) -> Files:
        """The files of one moment. Raises FeedError with every reason why the target cannot be told this plan."""
        ...

    def read(self, files: Files) -> Read:
        """What the files say. Raises FeedError where they say nothing that can be read."""
        ...


def apart_of(feed: Feed) -> Apart:
    """What a file of the feed speaks of; only of feeds that say nothing of machines, as those are not of a class."""
    said: Apart = getattr(feed, "apart", "")
    return said if all(fact.what in ("shares", "unserved") for fact in feed.says) else ""
