"""Karmada: one Deployment for all member clusters, and policies that say how many of its replicas go to which.

A PropagationPolicy divides by static weights. The weights are the plan's replicas and the Deployment's replicas their
sum, so that every cluster gets its weight and nothing is rounded; sites without replicas are not named at all. With
`workloads = "model"` a site may change its way of running a model without the workload changing its name: sites that
run another shape than most get it by an OverridePolicy.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

from pydantic import Field

from placement.feeds.feed import Fact, FeedError, Files, Read
from placement.feeds.feed import Options as AnyOptions
from placement.feeds.kubernetes.deployment import DeploymentOptions, deployment
from placement.feeds.kubernetes.manifests import Manifest, list_bytes, manifests
from placement.feeds.kubernetes.naming import Unique, metadata, true_names
from placement.feeds.kubernetes.patches import Patch, patched, patches
from placement.feeds.kubernetes.pods import MOST_REPLICAS, asked, refuse_untold, without_image
from placement.feeds.kubernetes.workloads import QUARTER_GPUS, REPLICAS, Stands, facts, queue_label
from placement.feeds.view import Policy, Replicas, View

GROUP = "policy.karmada.io/v1alpha1"
LONGEST_CLUSTER = 48
CLUSTERS = "nearserve-clusters"
NAMES = ("model", "shape", "gpu", "tenant")


Cluster = Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9]{0,46}[a-z0-9])?$")]


class KarmadaOptions(DeploymentOptions):
    """`clusters` are the member clusters of sites that have another name than the site's own.

    `workloads`: a Deployment for every shape of a model, or one for every model, with overrides where shapes differ.
    """

    clusters: dict[str, Cluster] = Field(default_factory=dict)
    workloads: Literal["shape", "model"] = "shape"


class Workload(NamedTuple):
    """A Deployment with a policy: which row of each site is its own. `rows` hold one row a site at most."""

    name: tuple[str, ...]
    rows: tuple[Replicas, ...]


class KarmadaFeed:
    """Deployments, PropagationPolicies and OverridePolicies for a Karmada control plane, a file each.

    What fails over here are replicas, and Karmada does that by its own settings; requests are routed elsewhere.
    """

    name: ClassVar[str] = "karmada"
    policies: ClassVar[frozenset[Policy]] = frozenset()
    says: ClassVar[tuple[Fact, ...]] = (REPLICAS, QUARTER_GPUS)
    Options: ClassVar[type[AnyOptions]] = KarmadaOptions

    def __init__(self, options: KarmadaOptions) -> None:
        self.options = options

    def render(self, view: View) -> Files:
        """The workloads, their policies and the table of clusters. Raises FeedError with every reason."""
        more = without_image(view, self.options)
        if self.options.site_label or self.options.country_label:
            more.append(
                "site_label and country_label tell the sites of one cluster apart, and here a site is a cluster"
            )
        if self.options.export:
            more.append("export is for a cluster's own services; use Karmada's MultiClusterService, and remove it")
        refuse_untold(view, self.options.gpu_names, more)
        unique, clusters = Unique("workloads"), Unique("clusters")
        named = self.options.clusters
        of_site = {site: named.get(site) or clusters(site, longest=LONGEST_CLUSTER) for site in _sites(view)}
        if len(set(of_site.values())) != len(of_site):
            raise FeedError(("clusters gives two sites one cluster; give each its own",))
        files: dict[str, list[Manifest]] = defaultdict(list)
        for workload in _workloads(view, self.options.workloads):
            name = unique(*workload.name)
            if sum(row.count for row in workload.rows) > MOST_REPLICAS:
                raise FeedError(
                    (f"{name}: its replicas at all sites are more than Kubernetes counts, {MOST_REPLICAS}",)
                )
            made, rules = self._deployment(view, workload, name, of_site)
            weights = {of_site[row.site]: row.count for row in workload.rows}
            files["deployments.json"].append(made)
            files["propagation-policies.json"].append(self._propagation(made, weights))
            if rules:
                files["override-policies.json"].append(self._override(made, rules))
        if files:
            files["clusters.json"] = [self._clusters({cluster: site for site, cluster in of_site.items()})]
        return {path: list_bytes(items) for path, items in files.items()}

    def _clusters(self, sites: Mapping[str, str]) -> Manifest:
        called = metadata(CLUSTERS, {}, self.options.namespace)
        return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": called, "data": dict(sorted(sites.items()))}

    def _deployment(
        self, view: View, workload: Workload, name: str, of_site: Mapping[str, str]
    ) -> tuple[Manifest, list[Manifest]]:
        """The Deployment of the shape that most sites run, and for the others the rules that make theirs of it."""
        sites: dict[str, list[Replicas]] = defaultdict(list)
        for row in workload.rows:
            sites[row.shape].append(row)
        most = max(sorted(sites), key=lambda shape: len(sites[shape]))
        base = self._one(view, sites[most][0], name)
        base["spec"]["replicas"] = sum(row.count for row in workload.rows)
        rules = []
        for shape in sorted(set(sites) - {most}):
            other = self._one(view, sites[shape][0], name)
            other["spec"]["replicas"] = base["spec"]["replicas"]
            clusters = sorted(of_site[row.site] for row in sites[shape])
            plain = [patch.manifest() for patch in patches(base, other)]
            rules.append({"targetCluster": {"clusterNames": clusters}, "overriders": {"plaintext": plain}})
        return base, rules

    def _one(self, view: View, row: Replicas, name: str) -> Manifest:
        """The Deployment of a row's shape; it says nothing of the row's site."""
        shape = view.shapes[row.shape]
        names = {"model": shape.model, "shape": row.shape, "gpu": shape.gpu, "tenant": row.tenant}
        called = metadata(name, names, self.options.namespace, queue_label(self.options, row))
        return deployment(self.options, view, row, called)

    def _policy(self, kind: str, made: Manifest, spec: Manifest) -> Manifest:
        selector = {"apiVersion": "apps/v1", "kind": "Deployment", "name": made["metadata"]["name"]}
        selector["namespace"] = self.options.namespace
        called = metadata(made["metadata"]["name"], {}, self.options.namespace)
        return {
            "apiVersion": GROUP,
            "kind": kind,
            "metadata": called,
            "spec": {"resourceSelectors": [selector]} | spec,
        }

    def _propagation(self, made: Manifest, weights: Mapping[str, int]) -> Manifest:
        with_weight: dict[int, list[str]] = defaultdict(list)
        for cluster, weight in sorted(weights.items()):
            with_weight[weight].append(cluster)
        # A rule's weight is that of each of its clusters.
        static = [
            {"targetCluster": {"clusterNames": with_weight[weight]}, "weight": weight} for weight in sorted(with_weight)
        ]
        scheduling = {
            "replicaSchedulingType": "Divided",
            "replicaDivisionPreference": "Weighted",
            "weightPreference": {"staticWeightList": static},
        }
        placement = {"clusterAffinity": {"clusterNames": sorted(weights)}, "replicaScheduling": scheduling}
        return self._policy("PropagationPolicy", made, {"placement": placement})

    def _override(self, made: Manifest, rules: list[Manifest]) -> Manifest:
        return self._policy("OverridePolicy", made, {"overrideRules": rules})

    def read(self, files: Files) -> Read:
        """What each member cluster is given: its part of the Deployment's replicas, with its overrides."""
        kinds = ("Deployment", "PropagationPolicy", "OverridePolicy", "ConfigMap")
        found: dict[str, dict[str, Manifest]] = {kind: {} for kind in kinds}
        for _, item in manifests(files, kinds):
            found[item["kind"]][item["metadata"]["name"]] = item
        try:
            stands = [stand for name in found["PropagationPolicy"] for stand in self._stands(name, found)]
        except (KeyError, TypeError, ValueError, IndexError) as error:
            if isinstance(error, FeedError):
                raise
            raise FeedError((f"the policies do not say how replicas are divided: {error!r}",)) from error
        alone = sorted(set(found["Deployment"]) - set(found["PropagationPolicy"]))
        if alone:
            raise FeedError(tuple(f"Deployment {name}: no PropagationPolicy sends it anywhere" for name in alone))
        return facts(stands)

    def _stands(self, name: str, found: Mapping[str, Mapping[str, Manifest]]) -> Iterable[Stands]:
        base = found["Deployment"][name]
        sites = found["ConfigMap"][CLUSTERS]["data"]
        placement = found["PropagationPolicy"][name]["spec"]["placement"]
        static = placement["replicaScheduling"]["weightPreference"]["staticWeightList"]
        weights = {cluster: rule["weight"] for rule in static for cluster in rule["targetCluster"]["clusterNames"]}
        if sum(weights.values()) != base["spec"]["replicas"]:
            raise FeedError((f"{name}: its {base['spec']['replicas']} replicas are not the sum of its weights",))
        if sorted(weights) != sorted(placement["clusterAffinity"]["clusterNames"]):
            raise FeedError((f"{name}: the clusters with weights are not those that it may go to",))
        plain: dict[str, list[Any]] = defaultdict(list)
        for rule in found["OverridePolicy"].get(name, {"spec": {"overrideRules": []}})["spec"]["overrideRules"]:
            for cluster in rule["targetCluster"]["clusterNames"]:
                plain[cluster] += rule["overriders"]["plaintext"]
        for cluster, weight in weights.items():
            made = patched(base, [Patch.read(one) for one in plain[cluster]]) if plain[cluster] else base
            yield self._stand(made, sites[cluster], weight, f"{name} at {cluster}")

    def _stand(self, made: Manifest, site: str, weight: int, where: str) -> Stands:
        model, shape, gpu, tenant = true_names(made["metadata"], NAMES)
        pod = made["spec"]["template"]["spec"]
        limits = pod["containers"][0]["resources"]["limits"]
        takes = asked(self.options.gpu_names, gpu, pod["nodeSelector"], limits, where)
        return Stands(site, model, shape, gpu, tenant, weight, takes.quarter_gpus)


def _sites(view: View) -> list[str]:
    return sorted({row.site for row in view.replicas})


def _workloads(view: View, by: str) -> list[Workload]:
    """Rows by what they are deployed as.

    By shape: all rows of a shape and tenant. By model: the first shapes of a model and tenant at each site, then the
    second ones of sites that run it in two ways, and so on.
    """
    found: dict[tuple[str, ...], list[Replicas]] = defaultdict(list)
    seen: Counter[tuple[str, str, str]] = Counter()
    for row in sorted(view.replicas):
        model = view.shapes[row.shape].model
        at_site = (row.site, model, row.tenant)
        seen[at_site] += 1
        ordinal = "" if seen[at_site] == 1 else str(seen[at_site])
        name = (row.shape, row.tenant) if by == "shape" else (model, row.tenant, ordinal)
        found[name].append(row)
    return [Workload(name, tuple(found[name])) for name in sorted(found)]
