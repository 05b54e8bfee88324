"""HTTPRoutes (Gateway API): at each user region's own gateway, the shares of a class that go to each site.

A region's requests enter at a gateway near it; its route names the sites' exported services as backends with weights.
Weights are whole numbers up to 1,000,000, so that a share holds to a millionth and no better: what is below half of
that may vanish. A rule holds 16 backends at most.

The Gateway API does not fail over: what a weight sends to a backend without endpoints is answered with 500 or 503, and
not shared among the others. So a failure needs routes of its own, which stand beside the normal ones.
"""

import json
from collections.abc import Mapping
from fractions import Fraction
from typing import Any, ClassVar, Literal

from pydantic import Field

from placement.feeds.feed import Apart, Fact, FeedError, Files, Read
from placement.feeds.feed import Options as AnyOptions
from placement.feeds.kubernetes.manifests import Manifest, list_bytes, manifests
from placement.feeds.kubernetes.naming import PREFIX, Unique, dns_label, metadata, true_names
from placement.feeds.kubernetes.options import DnsLabel, Port
from placement.feeds.kubernetes.routing import (
    GATEWAY_GROUP,
    MODEL_HEADER,
    MOST_BACKENDS,
    WHOLE,
    GatewayRef,
    Header,
    header_match,
    matched,
    weights,
)
from placement.feeds.view import Class, Policy, View

SHARES = Fact("shares", ("region", "model", "service", "site"), Fraction(1, WHOLE))

BACKENDS: Mapping[str, str] = {
    "ServiceImport": "multicluster.x-k8s.io",
    "InferencePoolImport": "inference.networking.x-k8s.io",
    "Service": "",
}


class HttpRouteOptions(AnyOptions):
    """`backend`: what a site's replicas of a model are to a region's gateway.

    ServiceImport (MCS: a service that the site's cluster exports), InferencePoolImport (of the inference extension), or
    a Service that stands for it. Its name is that of the model and the site, `<model>--<site>`, or what `names` says:
    a template with {model} and {site}, each as a DNS label. `gateway` is that of every region's cluster. A request's
    model and service stand in headers.
    """

    gateway: GatewayRef = GatewayRef(name="nearserve")
    namespace: DnsLabel = "nearserve"
    backend: Literal["ServiceImport", "InferencePoolImport", "Service"] = "ServiceImport"
    names: str | None = Field(default=None, pattern=r"^([-a-z0-9]|\{model\}|\{site\})+$")
    port: Port = 8000
    hostnames: tuple[str, ...] = Field(default=(), max_length=16)
    model_header: Header = MODEL_HEADER
    service_header: Header = "X-Nearserve-Service"


class HttpRouteFeed:
    """HTTPRoutes (gateway.networking.k8s.io/v1), one file a user region."""

    name: ClassVar[str] = "httproute"
    policies: ClassVar[frozenset[Policy]] = frozenset({"planned"})
    says: ClassVar[tuple[Fact, ...]] = (SHARES,)
    apart: ClassVar[Apart] = "region"
    Options: ClassVar[type[AnyOptions]] = HttpRouteOptions

    def __init__(self, options: HttpRouteOptions) -> None:
        self.options = options

    def render(self, view: View) -> Files:
        """A route for every class of a region. Raises FeedError where a class has too many sites for one rule."""
        many = [
            f"{'/'.join(cls)}: goes to {len(sites)} sites, and a rule holds {MOST_BACKENDS} backends at most; "
            "limit the service by max_sites"
            for cls, sites in view.by_class.items()
            if len(sites) > MOST_BACKENDS
        ]
        if many:
            raise FeedError(tuple(many))
        items: dict[str, list[Manifest]] = {}
        file_name = Unique("regions")
        unique, backends = Unique("routes"), Unique("backends")
        for cls, sites in view.by_class.items():
            name = unique(cls[1], cls[2], cls[0])
            items.setdefault(f"{file_name(cls[0])}.json", []).append(self._route(name, cls, sites, backends))
        return {path: list_bytes(found) for path, found in items.items()}

    def _route(self, name: str, cls: Class, sites: Mapping[str, int], unique: Unique) -> Manifest:
        options = self.options
        region, model, service = cls
        names = {"region": region, "model": model, "service": service}
        of_site = {site: self._backend_name(model, site, unique) for site in sites}
        if len(set(of_site.values())) != len(sites):
            raise FeedError((f"{'/'.join(cls)}: names gives several sites one name; put {{site}} into it",))
        weighed = weights(sites)
        refs = [self._backend(of_site[site], weight) for site, weight in weighed.items()]
        rule = {
            "matches": [header_match({options.model_header: model, options.service_header: service})],
            "backendRefs": refs,
        }
        spec: dict[str, Any] = {"parentRefs": [options.gateway.manifest()], "rules": [rule]}
        if options.hostnames:
            spec["hostnames"] = list(options.hostnames)
        said = {f"{PREFIX}sites": json.dumps({of_site[site]: site for site in weighed}, sort_keys=True)}
        return {
            "apiVersion": f"{GATEWAY_GROUP}/v1",
            "kind": "HTTPRoute",
            "metadata": metadata(name, names, options.namespace, more_annotations=said),
            "spec": spec,
        }

    def _backend_name(self, model: str, site: str, unique: Unique) -> str:
        if self.options.names is None:
            return unique(model, site)
        return self.options.names.replace("{model}", dns_label(model)).replace("{site}", dns_label(site))

    def _backend(self, name: str, weight: int) -> Manifest:
        kind = self.options.backend
        return {"group": BACKENDS[kind], "kind": kind, "name": name, "port": self.options.port, "weight": weight}

    def read(self, files: Files) -> Read:
        """The shares of every class that is served, of its weights' sum."""
        shares: dict[tuple[str, ...], Fraction] = {}
        for path, item in manifests(files, ("HTTPRoute",)):
            try:
                shares |= self._shares(item)
            except (KeyError, TypeError, ValueError, ZeroDivisionError) as error:
                name = item.get("metadata", {}).get("name")
                raise FeedError((f"{path}: HTTPRoute {name}: says no shares: {error!r}",)) from error
        return {SHARES: shares}

    def _shares(self, item: Manifest) -> dict[tuple[str, ...], Fraction]:
        region, said = true_names(item["metadata"], ("region", "sites"))
        sites = json.loads(said)
        (rule,) = item["spec"]["rules"]
        headers = matched(rule)
        cls = (region, headers[self.options.model_header], headers[self.options.service_header])
        total = sum(ref["weight"] for ref in rule["backendRefs"])
        return {(*cls, sites[ref["name"]]): Fraction(ref["weight"], total) for ref in rule["backendRefs"]}
