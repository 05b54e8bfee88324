"""Envoy: endpoints by file (EDS), a cluster for each class, its sites as localities with the plan's shares as weights.

eds/<region>/<service>@<model>.json  one DiscoveryResponse for the cluster <region>/<model>/<service>
bootstrap/<region>.json              a whole configuration to begin with, where the options ask for it

Envoy takes exactly one ClusterLoadAssignment from a file that a cluster subscribes to, so a file is one cluster.
"""

import hashlib
import json
from collections import defaultdict
from collections.abc import Mapping
from fractions import Fraction
from typing import Any, ClassVar

from pydantic import Field

from placement.canonical import canonical_json
from placement.feeds.addresses import is_ip
from placement.feeds.envoy_bootstrap import Bootstrap, bootstrap_of
from placement.feeds.envoy_names import class_of, cluster_name, eds_path
from placement.feeds.feed import Apart, Fact, FeedError, Files, Key, Options, Read
from placement.feeds.order import preferences
from placement.feeds.view import BILLION, Address, Class, Policy, View

ASSIGNMENT = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment"
MILLION = 10**6
UNSERVED = "unserved"
SHARES = Fact("shares", ("region", "model", "service", "site"), Fraction(0))
DROPPED = Fact("unserved", ("region", "model", "service"), Fraction(1, 2 * MILLION))
"""Envoy drops whole millionths."""
USUAL_FACTOR = 140
"""Envoy's own overprovisioning factor, per cent."""


class EnvoyOptions(Options):
    """[envoy]. `drop_unserved`: what the plan leaves unserved is refused at once, and not sent to full sites."""

    drop_unserved: bool = True
    bootstrap: Bootstrap | None = Field(default=None, description="write a configuration to begin with")


class Envoy:
    """Endpoints by file (EDS), a cluster for each class.

    A class that nobody serves is a cluster without endpoints: Envoy answers it with 503 at once.
    `proportional` is what Envoy does by itself with the localities that are left; for `priority` the sites that stand
    in come in their order below the class' own, and take over when none of those is left.
    """

    name: ClassVar[str] = "envoy"
    policies: ClassVar[frozenset[Policy]] = frozenset({"planned", "proportional", "priority"})
    Options: ClassVar[type[Options]] = EnvoyOptions

    def __init__(self, options: EnvoyOptions) -> None:
        self.options = options
        self.says: tuple[Fact, ...] = (SHARES, DROPPED) if options.drop_unserved else (SHARES,)
        self.apart: Apart = "class" if options.bootstrap is None else "region"

    def render(self, view: View) -> Files:
        """The files of a moment. Raises FeedError for sites without addresses that Envoy can use."""
        places = _places(view)
        standing_in = preferences(view) if view.policy == "priority" and not view.moment.failure else {}
        files: dict[str, bytes] = {}
        for cls in sorted({*view.classes, *view.by_class}):
            shares = view.by_class.get(cls, {})
            levels = [shares, *({site: 1} for site in standing_in.get(cls, ()))]
            files[eds_path(cls)] = _response(self._assignment(cls, levels, places))
        if self.options.bootstrap is not None:
            files |= bootstrap_of(self.options.bootstrap, sorted({*view.classes, *view.by_class}))
        return files

    def read(self, files: Files) -> Read:
        """Shares by the weights of the first priority, and what is dropped."""
        shares: dict[Key, Fraction] = {}
        dropped: dict[Key, Fraction] = {}
        for path, data in files.items():
            if path.startswith("eds/"):
                _read(path, data, shares, dropped)
        return {SHARES: shares} | ({DROPPED: dropped} if self.options.drop_unserved else {})

    def _assignment(self, cls: Class, levels: list[Mapping[str, int]], places: "_Places") -> dict[str, Any]:
        endpoints = [
            {
                "locality": {"region": country, "zone": site},
                "priority": level,
                "load_balancing_weight": weight,
                "lb_endpoints": hosts,
            }
            for level, shares in enumerate(levels)
            for site, weight in shares.items()
            for country, hosts in [places[site, cls[1]]]
        ]
        policy: dict[str, Any] = {}
        left = BILLION - sum(levels[0].values())
        dropped = (left + BILLION // MILLION // 2) // (BILLION // MILLION)
        if dropped and levels[0] and self.options.drop_unserved:
            part = {"numerator": dropped, "denominator": "MILLION"}
            policy["drop_overloads"] = [{"category": UNSERVED, "drop_percentage": part}]
        if len(levels) > 1:
            # One healthy host of the class' own sites is enough to keep all of it there.
            hosts = sum(len(places[site, cls[1]][1]) for site in levels[0])
            policy["overprovisioning_factor"] = max(USUAL_FACTOR, 100 * hosts)
        return {
            "@type": ASSIGNMENT,
            "cluster_name": cluster_name(cls),
            "endpoints": endpoints,
            **({"policy": policy} if policy else {}),
        }


_Places = Mapping[tuple[str, str], tuple[str, list[dict[str, Any]]]]
"""Country and endpoints by (site, model)."""


def _places(view: View) -> _Places:
    """Where the routes and backups of a view end. Raises FeedError that names every place without an IP address."""
    wanted = {(route.site, route.model) for route in view.routes}
    if view.policy == "priority":
        wanted |= {(route.site, route.model) for rows in view.backups.values() for route in rows}
    wrong, found = [], {}
    for site, model in sorted(wanted):
        addresses = view.addresses.of(site, model)
        if not addresses:
            wrong.append(f"site {site} has no address for the model {model}: add a line to the table of addresses")
        wrong += [
            f"site {site} takes {model} at {address.host}: EDS wants an IP address, and no name"
            for address in addresses
            if not is_ip(address.host)
        ]
        found[site, model] = (view.sites[site].country, [_endpoint(address) for address in addresses])
    if wrong:
        raise FeedError(tuple(wrong))
    return found


def _endpoint(address: Address) -> dict[str, Any]:
    return {"endpoint": {"address": {"socket_address": {"address": address.host, "port_value": address.port}}}}


def _response(assignment: dict[str, Any]) -> bytes:
    """A DiscoveryResponse; its version is of what it says, so that Envoy's statistics tell what it has."""
    version = hashlib.sha256(json.dumps(assignment, sort_keys=True).encode()).hexdigest()[:16]
    return canonical_json({"resources": [assignment], "type_url": ASSIGNMENT, "version_info": version}, indent=None)


def _read(path: str, data: bytes, shares: dict[Key, Fraction], dropped: dict[Key, Fraction]) -> None:
    """The figures of one file into `shares` and `dropped`. Raises FeedError."""
    try:
        (assignment,) = json.loads(data)["resources"]
        cls = class_of(assignment["cluster_name"])
        weights: dict[str, int] = defaultdict(int)
        for entry in assignment["endpoints"]:
            if entry["priority"] == 0:
                weights[entry["locality"]["zone"]] += entry["load_balancing_weight"]
        drops = assignment.get("policy", {}).get("drop_overloads", ())
        parts = [drop["drop_percentage"] for drop in drops if drop["category"] == UNSERVED]
        millionths = sum(part["numerator"] for part in parts if part["denominator"] == "MILLION")
    except (ValueError, KeyError, TypeError) as error:
        raise FeedError((f"{path} holds no endpoints of a cluster: {error}",)) from error
    whole = sum(weights.values())
    for site, weight in weights.items():
        shares[(*cls, site)] = Fraction(weight, whole)
    if millionths:
        dropped[cls] = Fraction(millionths, MILLION)
