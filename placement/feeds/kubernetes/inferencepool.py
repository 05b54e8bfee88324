"""InferencePools (Gateway API inference extension): in each site's cluster, the pods of a model as one backend.

A pool picks out the pods that the feed `kubernetes` (or `leaderworkerset`: its leaders) puts up, by labels that both
write; with a gateway an HTTPRoute beside it sends the model's requests there. How many pods there are is for those
feeds to say.
"""

from collections import Counter
from typing import Any, ClassVar, Literal

from pydantic import Field

from placement.feeds.feed import Fact, FeedError, Files, Read
from placement.feeds.feed import Options as AnyOptions
from placement.feeds.kubernetes.manifests import Manifest, list_bytes, manifests
from placement.feeds.kubernetes.naming import Unique, metadata, true_names
from placement.feeds.kubernetes.options import ClusterOptions, LabelKey, LabelValue, Port
from placement.feeds.kubernetes.routing import (
    GATEWAY_GROUP,
    MODEL_HEADER,
    GatewayRef,
    Header,
    header_match,
    matched,
)
from placement.feeds.kubernetes.workloads import pods_of
from placement.feeds.view import Policy, View

STANDS = Fact("stands", ("site", "model", "tenant"))
POOL_GROUP = "inference.networking.k8s.io"
NAMES = ("site", "model", "tenant")


class InferencePoolOptions(ClusterOptions):
    """`picker`: the Service of a pool's endpoint picker, {pool} in it stands for the pool's name.

    `gateway` is that of each cluster; without one no routes are made. The pool of a tenant takes the requests that
    carry its name in `tenant_header`. `pod_labels` are asked of pods besides the model and the tenant
    (nearserve/role = "leader" for LeaderWorkerSets).
    """

    picker: str = Field(default="{pool}-epp", pattern=r"^[-a-z0-9]*(\{pool\})?[-a-z0-9]*$", min_length=1)
    picker_port: Port = 9002
    failure_mode: Literal["FailOpen", "FailClose"] = "FailClose"
    port: Port = 8000
    pod_labels: dict[LabelKey, LabelValue] = Field(default_factory=dict)
    gateway: GatewayRef | None = None
    model_header: Header = MODEL_HEADER
    tenant_header: Header = "X-Nearserve-Tenant"


class InferencePoolFeed:
    """InferencePools (inference.networking.k8s.io/v1) and their HTTPRoutes, one file a site.

    Within a site nothing fails over: a site's cluster is one place to the plan.
    """

    name: ClassVar[str] = "inferencepool"
    policies: ClassVar[frozenset[Policy]] = frozenset()
    says: ClassVar[tuple[Fact, ...]] = (STANDS,)
    Options: ClassVar[type[AnyOptions]] = InferencePoolOptions

    def __init__(self, options: InferencePoolOptions) -> None:
        self.options = options

    def render(self, view: View) -> Files:
        """A pool for each model, and each tenant's own, at every site where replicas stand."""
        stands = sorted({(row.site, view.shapes[row.shape].model, row.tenant) for row in view.replicas})
        items: dict[str, list[Manifest]] = {}
        file_name, names = Unique("sites"), {site: Unique(f"site {site}") for site, _, _ in stands}
        for site, model, tenant in stands:
            name = names[site](*self.options.of_site(site), model, tenant, longest=50)
            items.setdefault(f"{file_name(site)}.json", []).extend(self._pool(name, site, model, tenant))
        return {path: list_bytes(found) for path, found in items.items()}

    def _pool(self, name: str, site: str, model: str, tenant: str) -> list[Manifest]:
        options = self.options
        names = {"site": site, "model": model, "tenant": tenant}
        called = metadata(name, names, options.namespace)
        of_pods = pods_of(self.options, site, model, tenant)
        spec = {
            "selector": {"matchLabels": dict(options.pod_labels) | of_pods},
            "targetPorts": [{"number": options.port}],
            "endpointPickerRef": {
                "name": options.picker.replace("{pool}", name),
                "port": {"number": options.picker_port},
                "failureMode": options.failure_mode,
            },
        }
        pool = {"apiVersion": f"{POOL_GROUP}/v1", "kind": "InferencePool", "metadata": called, "spec": spec}
        return [pool] if options.gateway is None else [pool, self._route(options.gateway, called, model, tenant)]

    def _route(self, gateway: GatewayRef, called: Manifest, model: str, tenant: str) -> Manifest:
        headers = {self.options.model_header: model} | ({self.options.tenant_header: tenant} if tenant else {})
        backend = {"group": POOL_GROUP, "kind": "InferencePool", "name": called["name"], "weight": 1}
        rule = {"matches": [header_match(headers)], "backendRefs": [backend]}
        return {
            "apiVersion": f"{GATEWAY_GROUP}/v1",
            "kind": "HTTPRoute",
            "metadata": called,
            "spec": {"parentRefs": [gateway.manifest()], "rules": [rule]},
        }

    def read(self, files: Files) -> Read:
        """Where models have pools. Raises FeedError where a pool, its pods and its route are not of one model."""
        stands: Counter[tuple[str, ...]] = Counter()
        reasons: list[str] = []
        for path, item in manifests(files, ("InferencePool", "HTTPRoute")):
            names = true_names(item["metadata"], NAMES)
            where = f"{path}: {item['kind']} {item['metadata']['name']}"
            try:
                wrong = self._wrong(item, *names)
            except (KeyError, TypeError, ValueError) as error:
                wrong = f"says nothing: {error!r}"
            reasons += [f"{where}: {wrong}"] if wrong else []
            stands[names] += item["kind"] == "InferencePool"
        if reasons:
            raise FeedError(tuple(reasons))
        return {STANDS: dict(stands)}

    def _wrong(self, item: Manifest, site: str, model: str, tenant: str) -> str | None:
        """What an object says that is not of its model and tenant."""
        if item["kind"] == "InferencePool":
            chosen: dict[str, Any] = item["spec"]["selector"]["matchLabels"]
            right = pods_of(self.options, site, model, tenant).items() <= chosen.items()
            return None if right else f"its pods are {chosen}"
        headers = matched(item["spec"]["rules"][0])
        found = headers.get(self.options.model_header), headers.get(self.options.tenant_header, "")
        return None if found == (model, tenant) else f"it takes requests for {headers}"
