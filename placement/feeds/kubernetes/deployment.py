"""Kubernetes Deployments: as many replicas of each shape as the plan has at a site."""

from typing import ClassVar

from pydantic import Field

from placement.feeds.feed import FeedError
from placement.feeds.feed import Options as AnyOptions
from placement.feeds.kubernetes.manifests import Manifest
from placement.feeds.kubernetes.naming import Unique, metadata, true_names
from placement.feeds.kubernetes.options import PodOptions
from placement.feeds.kubernetes.pods import asked, pod_spec, without_image
from placement.feeds.kubernetes.workloads import NAMES, Stands, WorkloadFeed, pods_of, selector_labels
from placement.feeds.view import Replicas, View


class DeploymentOptions(PodOptions):
    """`progress_s`: how long a roll-out may stand still, while weights are loaded, before it counts as failed.

    `export` adds a Service for each model at a site, and exports it to other clusters under the name that the feed
    `httproute` has for it.
    """

    export: bool = False
    progress_s: int = Field(default=3600, ge=1)


class KubernetesFeed(WorkloadFeed):
    """Deployments (apps/v1), one file a site.

    A roll-out takes down before it puts up, one replica at a time: the plan leaves no GPUs free for both.
    """

    name: ClassVar[str] = "kubernetes"
    kinds = ("Deployment",)
    kinds_beside = ("Service", "ServiceExport")
    Options: ClassVar[type[AnyOptions]] = DeploymentOptions
    options: DeploymentOptions

    def untold(self, view: View) -> list[str]:
        """Models without an image."""
        return without_image(view, self.options)

    def manifest(self, view: View, row: Replicas, called: Manifest) -> Manifest:
        """A Deployment of the row's replicas, a pod each."""
        return deployment(self.options, view, row, called)

    def beside(self, view: View, site: str, rows: list[Replicas]) -> list[Manifest]:
        """A Service and its export for each model, and for each tenant's, where that is asked for."""
        if not self.options.export:
            return []
        unique = Unique(f"site {site}")
        served = sorted({(view.shapes[row.shape].model, row.tenant) for row in rows})
        return [item for one in served for item in self._exported(unique(one[0], site, one[1]), site, *one)]

    def _exported(self, name: str, site: str, model: str, tenant: str) -> list[Manifest]:
        names = {"site": site, "model": model, "tenant": tenant}
        called = metadata(name, names, self.options.namespace)
        ports = [{"name": "http", "port": self.options.port, "targetPort": "http"}]
        spec = {"selector": pods_of(self.options, site, model, tenant), "ports": ports}
        return [
            {"apiVersion": "v1", "kind": "Service", "metadata": called, "spec": spec},
            {"apiVersion": "multicluster.x-k8s.io/v1alpha1", "kind": "ServiceExport", "metadata": called},
        ]

    def check_beside(self, item: Manifest, where: str) -> None:
        """A Service stands for the pods of its model and tenant."""
        site, model, _, _, tenant = true_names(item["metadata"], NAMES)
        right = pods_of(self.options, site, model, tenant)
        if item["kind"] == "Service" and item["spec"]["selector"] != right:
            raise FeedError((f"{where}: its pods are {item['spec']['selector']}",))

    def stands(self, item: Manifest, names: tuple[str, ...], where: str) -> Stands:
        """Replicas of a Deployment; a replica is a pod."""
        pod = item["spec"]["template"]["spec"]
        names_of_gpus = self.options.gpu_names
        limits = pod["containers"][0]["resources"]["limits"]
        takes = asked(names_of_gpus, names[3], pod["nodeSelector"], limits, where)
        site, model, shape, gpu, tenant = names
        return Stands(site, model, shape, gpu, tenant, item["spec"]["replicas"], takes.quarter_gpus)


def deployment(options: DeploymentOptions, view: View, row: Replicas, called: Manifest) -> Manifest:
    """A Deployment of the row's replicas under this metadata."""
    own = selector_labels(called)
    spec = {
        "replicas": row.count,
        "progressDeadlineSeconds": options.progress_s,
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}},
        "selector": {"matchLabels": own},
        "template": {
            "metadata": {"labels": called["labels"] | own},
            "spec": pod_spec(options, view, row, view.shapes[row.shape].quarter_gpus),
        },
    }
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": called, "spec": spec}
