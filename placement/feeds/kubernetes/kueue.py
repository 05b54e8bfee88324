"""Kueue: what a site's GPUs are for, as quotas that sum up to what its servers hold.

At each site and for each tenant a Cohort holds all of its GPUs: the queue `serving` has what the plan's replicas take
as its nominal quota, the queue `jobs` what its jobs take, and the rest is the cohort's own, to borrow for both. What
serving needs it takes back from those who borrowed. A dedicated tenant's servers are flavors and a cohort of their own.

GPUs that the plan's slices cut are told as slices, with what is left of the last one as slices to borrow.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import ClassVar, Literal, NamedTuple, TypeAlias

from pydantic import Field

from placement.feeds.feed import Fact, FeedError, Files, Read
from placement.feeds.feed import Options as AnyOptions
from placement.feeds.kubernetes.gpus import PRODUCT_LABEL, WHOLE, GpuNames
from placement.feeds.kubernetes.manifests import Manifest, list_bytes, manifests
from placement.feeds.kubernetes.naming import Unique, label_value, metadata, true_names
from placement.feeds.kubernetes.options import ClusterOptions, DnsLabel, LabelKey, LabelValue
from placement.feeds.kubernetes.pods import refuse_untold, tenant_nodes
from placement.feeds.kubernetes.workloads import queue_name
from placement.feeds.view import Job, Policy, View

QUARTER_GPUS = Fact("quarter_gpus", ("site", "gpu", "tenant"))
GPUS = Fact("gpus", ("site", "gpu", "tenant"))
NAMES = ("site", "gpu", "tenant", "use")
KINDS = ("ResourceFlavor", "Cohort", "ClusterQueue", "LocalQueue")

Amounts: TypeAlias = dict[str, int]
"""Units by resource name."""


class KueueOptions(ClusterOptions):
    """`job_namespace` is where jobs are queued, `namespace` where replicas are. `node_labels` are of all flavors.

    `api` is the version of Kueue's objects: v1beta2 from Kueue 0.15 on, v1beta1 before.
    """

    job_namespace: DnsLabel = "jobs"
    node_labels: dict[LabelKey, LabelValue] = Field(default_factory=dict)
    api: Literal["v1beta2", "v1beta1"] = "v1beta2"


class Use(NamedTuple):
    """What one tenant's GPUs of a kind at a site are for."""

    serving: Amounts
    jobs: Amounts
    spare: Amounts


class KueueFeed:
    """ResourceFlavors, Cohorts, ClusterQueues and LocalQueues (kueue.x-k8s.io), one file a site."""

    name: ClassVar[str] = "kueue"
    policies: ClassVar[frozenset[Policy]] = frozenset()
    says: ClassVar[tuple[Fact, ...]] = (QUARTER_GPUS, GPUS)
    Options: ClassVar[type[AnyOptions]] = KueueOptions

    def __init__(self, options: KueueOptions) -> None:
        self.options = options

    def render(self, view: View) -> Files:
        """Quotas of every site with servers. Raises FeedError where more is placed than stands there."""
        names = self.options.gpu_names
        refuse_untold(view, names, names.unknown({s.gpu for s in view.servers} - _gpus_of_replicas(view)))
        uses, reasons = _uses(view, names)
        if reasons:
            raise FeedError(tuple(reasons))
        file_name = Unique("sites")
        by_site: dict[str, dict[tuple[str, str], Use]] = defaultdict(dict)
        for (site, tenant, gpu), use in sorted(uses.items()):
            by_site[site][tenant, gpu] = use
        return {f"{file_name(site)}.json": list_bytes(self._site(site, found)) for site, found in by_site.items()}

    def _site(self, site: str, uses: Mapping[tuple[str, str], Use]) -> list[Manifest]:
        flavors = Unique(f"site {site}")
        called = {(tenant, gpu): flavors(*self.options.of_site(site), gpu, tenant) for tenant, gpu in uses}
        items = [self._flavor(name, site, gpu, tenant) for (tenant, gpu), name in called.items()]
        for tenant in sorted({tenant for tenant, _ in uses}):
            mine = {called[key]: use for key, use in uses.items() if key[0] == tenant}
            items += self._cohort(site, tenant, mine)
        return items

    def _flavor(self, name: str, site: str, gpu: str, tenant: str) -> Manifest:
        own, tolerated = tenant_nodes(self.options, tenant)
        product = self.options.gpu_names.table[gpu].product
        at_site = {self.options.site_label: label_value(site)} if self.options.site_label else {}
        spec: Manifest = {"nodeLabels": dict(self.options.node_labels) | {PRODUCT_LABEL: product} | at_site | own}
        if tolerated:
            spec["tolerations"] = tolerated
        return self._object("ResourceFlavor", name, {"site": site, "gpu": gpu, "tenant": tenant}, spec)

    def _cohort(self, site: str, tenant: str, uses: Mapping[str, Use]) -> list[Manifest]:
        """A cohort with its two queues; `uses` by the flavor's name."""
        cohort = queue_name(self.options, "gpus", site, tenant)
        resources = sorted({resource for use in uses.values() for amounts in use for resource in amounts})
        names = {"site": site, "tenant": tenant}
        in_cohort = {"cohortName" if self.options.api == "v1beta2" else "cohort": cohort}
        spare = {"resourceGroups": _groups(resources, {name: use.spare for name, use in uses.items()})}
        items = [self._object("Cohort", cohort, names | {"use": "spare"}, spare)]
        for use in ("serving", "jobs"):
            quotas = {name: getattr(found, use) for name, found in uses.items()}
            if not any(quotas.values()) and (tenant or use == "serving"):
                continue
            queue = queue_name(self.options, use, site, tenant)
            namespace = self.options.namespace if use == "serving" else self.options.job_namespace
            said = {
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
                "preemption": {"reclaimWithinCohort": "Any", "withinClusterQueue": "LowerPriority"},
                "resourceGroups": _groups(resources, quotas),
            }
            items.append(self._object("ClusterQueue", queue, names | {"use": use}, in_cohort | said))
            items.append(self._object("LocalQueue", queue, names | {"use": use}, {"clusterQueue": queue}, namespace))
        return items

    def _object(
        self, kind: str, name: str, names: Mapping[str, str], spec: Manifest, namespace: str | None = None
    ) -> Manifest:
        called = metadata(name, names, namespace)
        return {"apiVersion": f"kueue.x-k8s.io/{self.options.api}", "kind": kind, "metadata": called, "spec": spec}

    def read(self, files: Files) -> Read:
        """What serving takes, and all GPUs, by site, GPU and tenant."""
        serving: Counter[tuple[str, ...]] = Counter()
        everything: Counter[tuple[str, ...]] = Counter()
        found = list(manifests(files, KINDS))
        flavors = {
            (path, item["metadata"]["name"]): true_names(item["metadata"], NAMES)[1:3]
            for path, item in found
            if item["kind"] == "ResourceFlavor"
        }
        for path, item in found:
            site, _, _, use = true_names(item["metadata"], NAMES)
            for group in item["spec"].get("resourceGroups", ()):
                for flavor in group["flavors"]:
                    gpu, tenant = flavors[path, flavor["name"]]
                    quarters = self._quarters(gpu, flavor["resources"], f"{path}: {item['kind']} {use}")
                    everything[site, gpu, tenant] += quarters
                    serving[site, gpu, tenant] += quarters if use == "serving" else 0
        broken = [
            f"{'/'.join(filter(None, key))}: {count}/4 of a GPU are no servers"
            for key, count in everything.items()
            if count % 4
        ]
        if broken:
            raise FeedError(tuple(sorted(broken)))
        gpus = {key: count // 4 for key, count in everything.items() if count}
        return {QUARTER_GPUS: {key: count for key, count in serving.items() if count}, GPUS: gpus}

    def _quarters(self, gpu: str, resources: Iterable[Manifest], where: str) -> int:
        found = 0
        for resource in resources:
            size, count = self.options.gpu_names.quarters(gpu, resource["name"]), int(resource["nominalQuota"])
            if size is None and count:
                raise FeedError((f"{where}: {gpu} has no {resource['name']}",))
            found += (size or 0) * count
        return found


def _groups(resources: list[str], quotas: Mapping[str, Amounts]) -> list[Manifest]:
    """One group of all resources; every flavor has a quota of each, 0 where it has none of it."""
    flavors = [
        {
            "name": name,
            "resources": [{"name": resource, "nominalQuota": amounts.get(resource, 0)} for resource in resources],
        }
        for name, amounts in sorted(quotas.items())
    ]
    return [{"coveredResources": resources, "flavors": flavors}]


def _gpus_of_replicas(view: View) -> set[str]:
    return {view.shapes[row.shape].gpu for row in view.replicas}


def _uses(view: View, names: GpuNames) -> tuple[dict[tuple[str, str, str], Use], list[str]]:
    """What is for what, by (site, tenant, GPU), and why it cannot be."""
    servers: Counter[tuple[str, str, str]] = Counter()
    for row in view.servers:
        servers[row.site, row.tenant, row.gpu] += row.gpus * row.count
    pieces: dict[tuple[str, str, str], Counter[int]] = defaultdict(Counter)
    for replicas in view.replicas:
        shape = view.shapes[replicas.shape]
        pieces[replicas.site, replicas.tenant, shape.gpu][shape.quarter_gpus] += replicas.count
    jobs = dict.fromkeys(servers, 0)
    for job in view.jobs:
        if _runs(job, view.moment.slice):
            key = (job.site, "", job.gpu)
            jobs[key] = jobs.get(key, 0) + job.quarter_gpus
    uses, reasons = {}, []
    for key in sorted({*servers, *pieces, *jobs}):
        taken = sum(size * count for size, count in pieces[key].items() if size % 4 == 0) // 4
        cut = pieces[key][1] + 2 * pieces[key][2]
        free = 4 * (servers[key] - taken - -(-cut // 4)) - jobs.get(key, 0)
        if free < 0 or jobs.get(key, 0) % 4:
            what = "jobs take parts of GPUs" if free >= 0 else "replicas and jobs take more GPUs than its servers hold"
            reasons.append(f"site {key[0]}, {key[2]}{f' of {key[1]}' if key[1] else ''}: {what}")
            continue
        uses[key] = _use(key[2], pieces[key], taken, jobs.get(key, 0) // 4, free // 4, names)
    return uses, reasons


def _runs(job: Job, of_slice: str) -> bool:
    return not job.slices or of_slice in job.slices


def _use(gpu: str, pieces: Counter[int], whole: int, jobs: int, spare: int, names: GpuNames) -> Use:
    """Amounts by resource; the rest of the last GPU that slices cut is slices to borrow, the larger first."""
    resource = {size: names.resources(gpu, size)[0] for size in (1, 2) if pieces[size]}
    serving = ({WHOLE: whole} if whole else {}) | {resource[size]: pieces[size] for size in resource}
    rest = -(pieces[1] + 2 * pieces[2]) % 4
    left: Amounts = {WHOLE: spare}
    for size in (2, 1):
        if rest >= size and (size == 1 or names.table[gpu].half) and (size == 2 or names.table[gpu].quarter):
            left[names.resources(gpu, size)[0]] = rest // size
            rest %= size
    return Use(serving, {WHOLE: jobs} if jobs else {}, left)
