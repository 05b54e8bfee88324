"""Names in the zone, and back: labels of letters, digits and hyphens for what a scenario calls its things.

    <service>.<model>.<zone>                      what users ask for
    <region>.<service>.<model>.<zone>             the answer for a region
    <block>...<region>.<service>.<model>.<zone>   a block of it that holds a border between sites
    <site>.sites.<model>.<zone>                   a site's addresses
    unknown.<service>.<model>.<zone>              the answer for whoever belongs to no region
    elsewhere.<zone>, plan.<zone>                 where the unserved go; which plan this is

A label is the name in lower case with a hyphen for each run of other characters; the zone carries both.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from placement.feeds.view import View

SITES, UNKNOWN, ELSEWHERE, PLAN = "sites", "unknown", "elsewhere", "plan"
_TAKEN = {"model": {ELSEWHERE, PLAN}, "service": {SITES}, "region": {UNKNOWN}}
_LONGEST_LABEL, _LONGEST_NAME = 63, 253
_BLOCKS = len("999.999.")


@dataclass(frozen=True)
class Labels:
    """The label of each name, by kind: region, model, service, site."""

    zone: str
    of: Mapping[str, Mapping[str, str]]

    def service(self, model: str, service: str) -> str:
        return f"{self.of['service'][service]}.{self.of['model'][model]}.{self.zone}"

    def region(self, region: str, model: str, service: str) -> str:
        return f"{self.of['region'][region]}.{self.service(model, service)}"

    def site(self, site: str, model: str) -> str:
        return f"{self.of['site'][site]}.{SITES}.{self.of['model'][model]}.{self.zone}"

    def elsewhere(self) -> str:
        return f"{ELSEWHERE}.{self.zone}"


def labels(view: View, regions: Iterable[str], zone: str, reasons: list[str]) -> Labels:
    """Labels of all that the zone names; names that cannot be told apart, or are too long, go to `reasons`."""
    classes = {*view.classes, *view.by_class}
    wanted = {
        "region": {*(key[0] for key in classes), *regions},
        "model": {key[1] for key in classes},
        "service": {key[2] for key in classes},
        "site": {route.site for route in view.routes},
    }
    found = {}
    for kind, names in wanted.items():
        of = {name: re.sub("[^a-z0-9]+", "-", name.lower()).strip("-") for name in sorted(names)}
        _check(kind, of, reasons)
        found[kind] = of
    room = sum(max(map(len, of.values()), default=0) + 1 for of in found.values()) + _BLOCKS + len(zone)
    if room > _LONGEST_NAME:
        reasons.append(f"names would have {room} characters, and DNS knows {_LONGEST_NAME}; shorten the zone")
    return Labels(zone, found)


def _check(kind: str, of: Mapping[str, str], reasons: list[str]) -> None:
    by_label = defaultdict(list)
    for name, label in of.items():
        by_label[label].append(name)
        if not label:
            reasons.append(f"{kind} {name!r} holds no letter or digit of ASCII, so that DNS cannot name it; rename it")
        elif label in _TAKEN.get(kind, ()):
            reasons.append(f"{kind} {name!r}: the zone uses {label} for something else; rename it")
        elif len(label) > _LONGEST_LABEL:
            reasons.append(f"{kind} {name!r} is longer than the {_LONGEST_LABEL} characters of a DNS label; shorten it")
    for label, names in by_label.items():
        if len(names) > 1 and label:
            reasons.append(f"{kind} {', '.join(names)}: DNS would call them all {label}; rename all but one")
