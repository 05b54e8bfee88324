"""KServe: what serves a model at a site as an LLMInferenceService, or as an InferenceService where that is in use."""

from math import ceil
from typing import Any, ClassVar, Literal

from placement.feeds.feed import Options as AnyOptions
from placement.feeds.kubernetes.manifests import Manifest
from placement.feeds.kubernetes.options import WeightsOptions
from placement.feeds.kubernetes.pods import CONTAINER, asked, pod_spec, without_weights
from placement.feeds.kubernetes.workloads import Stands, WorkloadFeed
from placement.feeds.view import Replicas, View

VLLM_ARGS = "VLLM_ADDITIONAL_ARGS"
"""What KServe's own templates for vLLM add to its command line."""


class KserveOptions(WeightsOptions):
    """An image is optional: KServe's configuration has one. Arguments go to vLLM by way of KServe's own template.

    `router` asks KServe for a gateway's route and an endpoint picker for every LLMInferenceService. `format` and
    `runtime` are of an InferenceService: its modelFormat, and its ServingRuntime where it is to be a certain one.
    """

    kind: Literal["LLMInferenceService", "InferenceService"] = "LLMInferenceService"
    router: bool = True
    format: str = "huggingface"
    runtime: str | None = None


class KserveFeed(WorkloadFeed):
    """LLMInferenceServices (serving.kserve.io/v1alpha2) or InferenceServices (v1beta1), one file a site.

    Nothing scales by itself: the plan's count is the count.
    """

    name: ClassVar[str] = "kserve"
    kinds = ("LLMInferenceService", "InferenceService")
    longest_name = 40  # what KServe makes of it carries suffixes, and some are host names with the namespace
    Options: ClassVar[type[AnyOptions]] = KserveOptions
    options: KserveOptions

    def untold(self, view: View) -> list[str]:
        """Models whose weights nobody said where to get, and arguments that the template would take apart."""
        reasons = without_weights(view, self.options)
        if self.options.kind == "LLMInferenceService":
            shapes = {view.shapes[row.shape] for row in view.replicas}
            blanks = sorted({arg for shape in shapes for arg in self.options.args_of(shape) if arg.split() != [arg]})
            reasons += [
                f"argument {arg!r}: KServe's template splits at blanks; write it without, or make it two arguments"
                for arg in blanks
            ]
        return reasons

    def manifest(self, view: View, row: Replicas, called: Manifest) -> Manifest:
        """An object for the row's replicas."""
        if self.options.kind == "LLMInferenceService":
            return self._llm(view, row, called)
        return self._classic(view, row, called)

    def _llm(self, view: View, row: Replicas, called: Manifest) -> Manifest:
        shape = view.shapes[row.shape]
        pod = pod_spec(self.options, view, row, shape.quarter_gpus)
        container = pod["containers"][0]
        for ours in ("ports", "readinessProbe"):  # KServe's template says these
            container.pop(ours, None)
        if args := container.pop("args", None):
            container["env"] = [*container.get("env", []), {"name": VLLM_ARGS, "value": " ".join(args)}]
        spec: dict[str, Any] = {
            "model": {"name": shape.model, "uri": self.options.uri_of(shape)},
            "replicas": row.count,
            "parallelism": {"tensor": ceil(shape.quarter_gpus / 4)},
            "labels": called["labels"],
            "template": pod,
        }
        if self.options.router:
            spec["router"] = {"gateway": {}, "route": {}, "scheduler": {}}
        return {
            "apiVersion": "serving.kserve.io/v1alpha2",
            "kind": "LLMInferenceService",
            "metadata": called,
            "spec": spec,
        }

    def _classic(self, view: View, row: Replicas, called: Manifest) -> Manifest:
        options, shape = self.options, view.shapes[row.shape]
        predictor = pod_spec(options, view, row, shape.quarter_gpus)
        container = predictor.pop("containers")[0]
        served = {
            "modelFormat": {"name": options.format},
            "storageUri": self.options.uri_of(shape),
            "runtime": options.runtime,
        }
        served |= {key: container.get(key) for key in ("image", "args", "env", "resources")}
        predictor["model"] = {key: value for key, value in served.items() if value is not None}
        predictor |= {"minReplicas": row.count, "maxReplicas": row.count, "labels": called["labels"]}
        predictor["deploymentStrategy"] = {
            "type": "RollingUpdate",
            "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1},
        }
        said = {"serving.kserve.io/deploymentMode": "Standard", "serving.kserve.io/autoscalerClass": "none"}
        return {
            "apiVersion": "serving.kserve.io/v1beta1",
            "kind": "InferenceService",
            "metadata": called | {"annotations": called["annotations"] | said},
            "spec": {"predictor": predictor},
        }

    def stands(self, item: Manifest, names: tuple[str, ...], where: str) -> Stands:
        """Replicas of either kind."""
        if item["kind"] == "LLMInferenceService":
            pod, replicas = item["spec"]["template"], item["spec"]["replicas"]
            resources = next(c["resources"] for c in pod["containers"] if c["name"] == CONTAINER)
        else:
            pod = item["spec"]["predictor"]
            replicas, resources = pod["minReplicas"], pod["model"]["resources"]
            if replicas != pod["maxReplicas"]:
                raise ValueError(f"it scales from {replicas} to {pod['maxReplicas']}")
        takes = asked(self.options.gpu_names, names[3], pod["nodeSelector"], resources["limits"], where)
        site, model, shape, gpu, tenant = names
        return Stands(site, model, shape, gpu, tenant, replicas, takes.quarter_gpus)
