"""LeaderWorkerSets: replicas of several pods.

A replica of ours fits one server, so that a Deployment of one pod each is the plain form. This one is for those who run
a replica as a group of pods that start, fail and move together, each with `gpus_per_pod` of its GPUs (one GPU a pod for
Ray or MPI launchers, say). The plan counts on a replica's GPUs in one server (6): have the group's pods land on one
node by the exclusive topology or whatever suits the cluster, or plan with shapes of a pod's size.
"""

from typing import Any, ClassVar, Literal

from pydantic import Field

from placement.feeds.feed import Options as AnyOptions
from placement.feeds.kubernetes.manifests import Manifest
from placement.feeds.kubernetes.naming import PREFIX
from placement.feeds.kubernetes.options import LabelKey, PodOptions, Template
from placement.feeds.kubernetes.pods import asked, pod_spec, without_image
from placement.feeds.kubernetes.workloads import Stands, WorkloadFeed
from placement.feeds.view import Replicas, Shape, View

TOPOLOGY = "leaderworkerset.sigs.k8s.io/exclusive-topology"


class LeaderWorkerSetOptions(PodOptions):
    """`gpus_per_pod`: a replica of more GPUs is several pods of so many; of fewer, one pod.

    `exclusive_topology` is the node label within which a group stands, and stands alone: kubernetes.io/hostname where a
    replica takes a whole server. Workers are given `worker_args` in place of the arguments, where they differ.
    """

    gpus_per_pod: int = Field(default=8, ge=1, le=64)
    worker_args: tuple[Template, ...] | None = None
    exclusive_topology: LabelKey | None = None
    startup: Literal["LeaderCreated", "LeaderReady"] = "LeaderCreated"


class LeaderWorkerSetFeed(WorkloadFeed):
    """LeaderWorkerSets (leaderworkerset.x-k8s.io/v1), one file a site; a replica is a group of pods."""

    name: ClassVar[str] = "leaderworkerset"
    kinds = ("LeaderWorkerSet",)
    longest_name = 48  # its pods add "-<group>-<worker>", and their names are labels
    Options: ClassVar[type[AnyOptions]] = LeaderWorkerSetOptions
    options: LeaderWorkerSetOptions

    def untold(self, view: View) -> list[str]:
        """Models without an image, and replicas that do not divide into pods."""
        reasons = without_image(view, self.options)
        for name in sorted({row.shape for row in view.replicas}):
            gpus = view.shapes[name].quarter_gpus // 4
            if gpus > self.options.gpus_per_pod and gpus % self.options.gpus_per_pod:
                reasons.append(
                    f"shape {name}: {gpus} GPUs do not divide into pods of {self.options.gpus_per_pod}; "
                    "choose gpus_per_pod so that they do"
                )
        return reasons

    def manifest(self, view: View, row: Replicas, called: Manifest) -> Manifest:
        """A group of pods for each of the row's replicas."""
        options = self.options
        size, quarters = self._pods(view.shapes[row.shape])
        template: Manifest = {"workerTemplate": self._template(view, row, called, quarters, leads=size == 1)}
        if size > 1:
            template["leaderTemplate"] = self._template(view, row, called, quarters, leads=True)
        if options.exclusive_topology:
            said = called["annotations"] | {TOPOLOGY: options.exclusive_topology}
            called = called | {"annotations": said}
        spec = {
            "replicas": row.count,
            "startupPolicy": options.startup,
            "rolloutStrategy": {
                "type": "RollingUpdate",
                "rollingUpdateConfiguration": {"maxSurge": 0, "maxUnavailable": 1},
            },
            "leaderWorkerTemplate": {"size": size, "restartPolicy": "RecreateGroupOnPodRestart"} | template,
        }
        return {
            "apiVersion": "leaderworkerset.x-k8s.io/v1",
            "kind": "LeaderWorkerSet",
            "metadata": called,
            "spec": spec,
        }

    def _pods(self, shape: Shape) -> tuple[int, int]:
        """Pods of a replica, and quarters of a GPU in each."""
        most = 4 * self.options.gpus_per_pod
        return (1, shape.quarter_gpus) if shape.quarter_gpus <= most else (shape.quarter_gpus // most, most)

    def _template(self, view: View, row: Replicas, called: Manifest, quarters: int, *, leads: bool) -> Manifest:
        pod = pod_spec(self.options, view, row, quarters, ready=leads)
        role = "leader" if leads else "worker"
        if not leads and self.options.worker_args is not None:
            shape = view.shapes[row.shape]
            pod["containers"][0]["args"] = [self.options.filled(text, shape) for text in self.options.worker_args]
        return {"metadata": {"labels": called["labels"] | {f"{PREFIX}role": role}}, "spec": pod}

    def stands(self, item: Manifest, names: tuple[str, ...], where: str) -> Stands:
        """Replicas of a LeaderWorkerSet: groups, each of a leader and workers."""
        group = item["spec"]["leaderWorkerTemplate"]
        worker = self._takes(group["workerTemplate"], names[3], where)
        leader = self._takes(group.get("leaderTemplate", group["workerTemplate"]), names[3], where)
        quarters = leader + (group["size"] - 1) * worker
        site, model, shape, gpu, tenant = names
        return Stands(site, model, shape, gpu, tenant, item["spec"]["replicas"], quarters)

    def _takes(self, template: Any, gpu: str, where: str) -> int:
        pod = template["spec"]
        limits = pod["containers"][0]["resources"]["limits"]
        return asked(self.options.gpu_names, gpu, pod["nodeSelector"], limits, where).quarter_gpus
