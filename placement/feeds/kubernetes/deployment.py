"""Kubernetes Deployments: as many replicas of each shape as the plan has at a site."""

from typing import ClassVar

from pydantic import Field

from placement.feeds.feed import Options as AnyOptions
from placement.feeds.kubernetes.manifests import Manifest
from placement.feeds.kubernetes.options import PodOptions
from placement.feeds.kubernetes.pods import asked, pod_spec, without_image
from placement.feeds.kubernetes.workloads import Stands, WorkloadFeed, selector_labels
from placement.feeds.view import Replicas, View


class DeploymentOptions(PodOptions):
    """`progress_s`: how long a roll-out may stand still, while weights are loaded, before it counts as failed."""

    progress_s: int = Field(default=3600, ge=1)


class KubernetesFeed(WorkloadFeed):
    """Deployments (apps/v1), one file a site.

    A roll-out takes down before it puts up, one replica at a time: the plan leaves no GPUs free for both.
    """

    name: ClassVar[str] = "kubernetes"
    kinds = ("Deployment",)
    Options: ClassVar[type[AnyOptions]] = DeploymentOptions
    options: DeploymentOptions

    def untold(self, view: View) -> list[str]:
        """Models without an image."""
        return without_image(view, self.options)

    def manifest(self, view: View, row: Replicas, metadata: Manifest) -> Manifest:
        """A Deployment of the row's replicas, a pod each."""
        return deployment(self.options, view, row, metadata)

    def stands(self, item: Manifest, names: tuple[str, ...], where: str) -> Stands:
        """Replicas of a Deployment; a replica is a pod."""
        pod = item["spec"]["template"]["spec"]
        names_of_gpus = self.options.gpu_names
        limits = pod["containers"][0]["resources"]["limits"]
        takes = asked(names_of_gpus, names[3], pod["nodeSelector"], limits, where)
        site, model, shape, gpu, tenant = names
        return Stands(site, model, shape, gpu, tenant, item["spec"]["replicas"], takes.quarter_gpus)


def deployment(options: DeploymentOptions, view: View, row: Replicas, metadata: Manifest) -> Manifest:
    """A Deployment of the row's replicas under this metadata."""
    own = selector_labels(metadata)
    spec = {
        "replicas": row.count,
        "progressDeadlineSeconds": options.progress_s,
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}},
        "selector": {"matchLabels": own},
        "template": {
            "metadata": {"labels": metadata["labels"] | own},
            "spec": pod_spec(options, view, row, view.shapes[row.shape].quarter_gpus),
        },
    }
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec}
