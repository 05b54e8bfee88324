"""powerdns: a zone of the GeoIP backend (docs/feeds-dns.md)."""

from fractions import Fraction
from typing import Any, ClassVar, Final

from placement.canonical import canonical_lines
from placement.feeds.feed import Fact, FeedError, Files, Key, Read
from placement.feeds.feed import Options as AnyOptions
from placement.feeds.powerdns.clients import clients
from placement.feeds.powerdns.names import labels
from placement.feeds.powerdns.options import PowerDnsOptions
from placement.feeds.powerdns.reading import ZoneError, read_zone
from placement.feeds.powerdns.zone import unreachable, zone
from placement.feeds.view import Policy, View

FILE: Final = "zone.json"
RECORD: Final = 4
"""The depth of a record in the document: each has a line of its own."""
SHARES: Final = Fact("shares", ("region", "model", "service", "site"))
UNSERVED: Final = Fact("unserved", ("region", "model", "service"))


class PowerDns:
    """A zone for the GeoIP backend: a name per service and model, answered by region.

    It notices no failure by itself: `planned` is the file of the failure in the place of the other.
    """

    name: ClassVar[str] = "powerdns"
    policies: ClassVar[frozenset[Policy]] = frozenset({"planned"})
    says: ClassVar[tuple[Fact, ...]] = (SHARES, UNSERVED)
    Options: ClassVar[type[AnyOptions]] = PowerDnsOptions

    def __init__(self, options: PowerDnsOptions) -> None:
        self.options = options

    def render(self, view: View) -> Files:
        """The zone. Raises FeedError with all that DNS cannot say of the plan."""
        reasons = list(unreachable(view, self.options))
        who = clients(self.options.clients, view, reasons)
        named = labels(view, {*who.networks.values(), *who.places.values()}, self.options.zone, reasons)
        if reasons:
            raise FeedError(tuple(reasons))
        return {FILE: canonical_lines(zone(view, self.options, who, named), RECORD)}

    def read(self, files: Files) -> Read:
        """The chances that the server gives each site. Raises FeedError where the file is no zone of ours."""
        try:
            answers = read_zone(files[FILE]).answers
        except ZoneError as error:
            raise FeedError((f"{FILE}: {error}",)) from error
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise FeedError((f"{FILE}: is no zone of this feed: {error!r}; render it again",)) from error
        found: dict[Fact, dict[Key, Any]] = {SHARES: {}, UNSERVED: {}}
        for key, chances in answers.items():
            left = chances.get("", Fraction(0))
            if left:
                found[UNSERVED][key] = left
            found[SHARES].update({(*key, site): part / (1 - left) for site, part in chances.items() if site})
        return found
