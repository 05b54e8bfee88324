"""A replica as a pod: what it asks of a node, and what a pod's specification says of it when read back."""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from placement.feeds.feed import FeedError
from placement.feeds.kubernetes.gpus import PRODUCT_LABEL, GpuNames
from placement.feeds.kubernetes.naming import PREFIX, label_value
from placement.feeds.kubernetes.options import ClusterOptions, PodOptions, WeightsOptions
from placement.feeds.view import Replicas, Shape, View

CONTAINER = "main"
MOST_REPLICAS = 2**31 - 1
_IMAGE = re.compile(r"([a-zA-Z0-9.-]+(:[0-9]+)?/)?[a-z0-9._/-]+(:[A-Za-z0-9_.-]+)?(@[a-z0-9]+:[0-9a-f]+)?")


class Asked(NamedTuple):
    """What one pod takes of a node."""

    gpu: str
    quarter_gpus: int


def refuse_untold(view: View, names: GpuNames, more: Iterable[str] = ()) -> None:
    """Raises FeedError with every reason why the replicas' GPUs cannot be told, and with `more`."""
    shapes = [view.shapes[name] for name in sorted({row.shape for row in view.replicas})]
    reasons = names.unknown(shape.gpu for shape in shapes)
    reasons += [reason for shape in shapes if (reason := names.untold(shape))]
    reasons += [
        f"{row.shape} at {row.site}: {row.count} replicas are more than Kubernetes counts, {MOST_REPLICAS}"
        for row in view.replicas
        if row.count > MOST_REPLICAS
    ]
    reasons += more
    if reasons:
        raise FeedError(tuple(reasons))


def without_image(view: View, options: PodOptions) -> list[str]:
    """Models that stand somewhere and have no image, or none that a registry could have, a sentence each."""
    images = {(shape.model, options.image_of(shape)) for shape in {view.shapes[row.shape] for row in view.replicas}}
    missing = sorted({model for model, image in images if image is None})
    return _missing(missing, "no image serves", "image") + [
        f'model {model}: {image!r} is no image; give images."{model}"'
        for model, image in sorted((model, image) for model, image in images if image is not None)
        if not _IMAGE.fullmatch(image)
    ]


def without_weights(view: View, options: WeightsOptions) -> list[str]:
    """Models that stand somewhere and whose weights nobody said where to get, a sentence each."""
    shapes = {view.shapes[row.shape] for row in view.replicas}
    models = sorted({shape.model for shape in shapes if options.uri_of(shape) is None})
    return _missing(models, "nobody says where the weights are of", "uri")


def _missing(models: list[str], what: str, option: str) -> list[str]:
    """One sentence for all models that lack something."""
    if not models:
        return []
    some = f'in {option}s."{models[0]}"' + (" and so on" if len(models) > 1 else "")
    return [f"{what} {', '.join(models)}; give it {some}, or for all models in {option}, with {{model}} in it"]


def tenant_nodes(options: ClusterOptions, tenant: str) -> tuple[dict[str, str], list[dict[str, str]]]:
    """Node labels and tolerations of a dedicated tenant; none for what is anybody's."""
    if not tenant:
        return {}, []
    said = options.tenants.get(tenant)
    if said is not None and (said.node_labels or said.tolerations):
        return dict(said.node_labels), [toleration.manifest() for toleration in said.tolerations]
    key, value = f"{PREFIX}tenant", label_value(tenant)
    return {key: value}, [{"key": key, "operator": "Equal", "value": value, "effect": "NoSchedule"}]


def node_selector(options: PodOptions, view: View, row: Replicas) -> dict[str, str]:
    """The nodes that may run a replica: of its GPU's product, its tenant's, and its site's where sites share one."""
    shape, site = view.shapes[row.shape], view.sites[row.site]
    found = dict(options.node_labels) | {PRODUCT_LABEL: options.gpu_names.table[shape.gpu].product}
    if options.site_label:
        found[options.site_label] = label_value(site.site)
    if options.country_label:
        found[options.country_label] = label_value(site.country)
    return found | tenant_nodes(options, row.tenant)[0]


def tolerations(options: PodOptions, tenant: str) -> list[dict[str, str]]:
    """Taints that the pods put up with: those of all pods and the tenant's."""
    return [toleration.manifest() for toleration in options.tolerations] + tenant_nodes(options, tenant)[1]


def gpu_resources(options: PodOptions, shape: Shape, quarter_gpus: int) -> dict[str, dict[str, str]]:
    """Requests and limits; for extended resources both are the same by Kubernetes' own rule."""
    resource, count = options.gpu_names.resources(shape.gpu, quarter_gpus)
    amounts = dict(options.resources) | {resource: str(count)}
    return {"limits": amounts, "requests": dict(amounts)}


def container(options: PodOptions, shape: Shape, quarter_gpus: int, *, ready: bool = True) -> dict[str, Any]:
    """The container that serves; `ready`: it answers requests by itself, so that its readiness can be asked."""
    made: dict[str, Any] = {
        "name": CONTAINER,
        "image": options.image_of(shape),
        "args": options.args_of(shape),
        "env": [{"name": name, "value": value} for name, value in sorted(options.env.items())],
        "ports": [{"name": "http", "containerPort": options.port}] if ready else [],
        "resources": gpu_resources(options, shape, quarter_gpus),
    }
    if options.ready_path and ready:
        probe = {"httpGet": {"path": options.ready_path, "port": "http"}, "periodSeconds": 5, "failureThreshold": 3}
        made["readinessProbe"] = probe
    return {key: value for key, value in made.items() if value not in (None, [])}


def pod_spec(
    options: PodOptions, view: View, row: Replicas, quarter_gpus: int, *, ready: bool = True
) -> dict[str, Any]:
    """A pod that takes `quarter_gpus` of the row's GPU: a replica, or its part of one."""
    made: dict[str, Any] = {
        "containers": [container(options, view.shapes[row.shape], quarter_gpus, ready=ready)],
        "nodeSelector": node_selector(options, view, row),
        "tolerations": tolerations(options, row.tenant),
        "runtimeClassName": options.runtime_class,
        "serviceAccountName": options.service_account,
        "imagePullSecrets": [{"name": name} for name in options.image_pull_secrets],
    }
    return {key: value for key, value in made.items() if value not in (None, [])}


def asked(names: GpuNames, gpu: str, selector: Mapping[str, str], limits: Mapping[str, Any], where: str) -> Asked:
    """What a pod takes, by its node selector and its limits. Raises FeedError where that is not the GPU it says."""
    if gpu not in names.table or selector.get(PRODUCT_LABEL) != names.table[gpu].product:
        raise FeedError((f"{where}: is said to run on {gpu}, and selects nodes with {selector.get(PRODUCT_LABEL)}",))
    quarters = sum((names.quarters(gpu, name) or 0) * int(count) for name, count in limits.items() if "/" in name)
    if not quarters:
        raise FeedError((f"{where}: asks for no GPU",))
    return Asked(gpu, quarters)


def by_site(rows: Iterable[Replicas]) -> dict[str, list[Replicas]]:
    """Rows by their site, sorted."""
    found: dict[str, list[Replicas]] = defaultdict(list)
    for row in sorted(rows):
        found[row.site].append(row)
    return {site: found[site] for site in sorted(found)}
