"""Helm values of llm-d's chart llm-d-modelservice: a file for each release, which is a shape of a model at a site.

    helm install m8-half llm-d-modelservice/llm-d-modelservice -f fra/m8-half.json

The chart (0.4) puts up a Deployment of `decode` pods; there is no `prefill`, since the plan's shapes do both, and no
routing proxy, which only a split of the two needs. Helm reads JSON as it reads YAML.
"""

import json
from math import ceil
from typing import Any, ClassVar

from pydantic import Field

from placement.feeds.feed import Fact, FeedError, Files, Read
from placement.feeds.feed import Options as AnyOptions
from placement.feeds.kubernetes.naming import Unique, annotations, labels, true_names
from placement.feeds.kubernetes.options import WeightsOptions
from placement.feeds.kubernetes.pods import asked, by_site, pod_spec, refuse_untold, without_image, without_weights
from placement.feeds.kubernetes.workloads import NAMES, QUARTER_GPUS, REPLICAS, Stands, facts, queue_label, true_of
from placement.feeds.view import Policy, Replicas, Shape, View

MARGIN = 1.1
"""Of a volume over the weights that it holds: tokenizers and file systems take some."""


class HelmOptions(WeightsOptions):
    """`served_as` is what requests call the model. `volume_gb` is what a model's volume holds where the scenario knows
    no weights. `command`: vllmServe has the chart run `vllm serve`, imageDefault leaves it to the image.
    """

    served_as: dict[str, str] = Field(default_factory=dict)
    volume_gb: float | None = Field(default=None, gt=0)
    secret: str | None = None
    command: str = Field(default="vllmServe", pattern="^(vllmServe|imageDefault)$")


class HelmFeed:
    """Values for llm-d-modelservice, a folder a site and a file a release. It routes nothing."""

    name: ClassVar[str] = "helm"
    policies: ClassVar[frozenset[Policy]] = frozenset()
    says: ClassVar[tuple[Fact, ...]] = (REPLICAS, QUARTER_GPUS)
    Options: ClassVar[type[AnyOptions]] = HelmOptions

    def __init__(self, options: HelmOptions) -> None:
        self.options = options

    def render(self, view: View) -> Files:
        """Values of every release. Raises FeedError with every reason why there are none."""
        more = without_image(view, self.options) + without_weights(view, self.options) + self._unsized(view)
        refuse_untold(view, self.options.gpu_names, more)
        files: dict[str, bytes] = {}
        folders = Unique("sites")
        for site, rows in by_site(view.replicas).items():
            unique = Unique(f"site {site}")
            for row in rows:
                name = unique(row.shape, row.tenant, longest=45)  # the chart adds -decode, and Helm takes 53
                values = json.dumps(self._values(view, row, name), sort_keys=True, ensure_ascii=False, indent=1)
                files[f"{folders(site)}/{name}.json"] = f"{values}\n".encode()
        return files

    def _unsized(self, view: View) -> list[str]:
        shapes = [view.shapes[name] for name in sorted({row.shape for row in view.replicas})]
        unsized = sorted({shape.model for shape in shapes if self._size(shape) is None})
        return [f"model {model}: the scenario knows no weights_gb of it; give volume_gb" for model in unsized]

    def _size(self, shape: Shape) -> str | None:
        if shape.weights_gb is not None:
            return f"{ceil(MARGIN * shape.weights_gb)}G"
        return None if self.options.volume_gb is None else f"{ceil(self.options.volume_gb)}G"

    def _values(self, view: View, row: Replicas, name: str) -> dict[str, Any]:
        options, shape = self.options, view.shapes[row.shape]
        names = true_of(row, shape)
        pod = pod_spec(options, view, row, shape.quarter_gpus)
        container = pod["containers"][0] | {"modelCommand": options.command, "mountModelVolume": True}
        decode: dict[str, Any] = {
            "create": True,
            "replicas": row.count,
            "annotations": annotations(names),
            "podAnnotations": annotations(names),
            "parallelism": {"tensor": ceil(shape.quarter_gpus / 4), "data": 1, "dataLocal": 1, "workers": 1},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}},
            "nodeSelector": pod["nodeSelector"],
            "tolerations": pod.get("tolerations", []),
            "containers": [container],
        }
        more = {key: pod[key] for key in ("runtimeClassName", "imagePullSecrets") if key in pod}
        resource, _ = options.gpu_names.resource(shape)
        artifacts = {
            "name": options.served_as.get(shape.model, shape.model),
            "uri": options.uri_of(shape),
            "size": self._size(shape),
            "labels": {"llm-d.ai/inference-serving": "true"} | labels(names) | queue_label(options, row),
        }
        values = {
            "fullnameOverride": name,
            "accelerator": {"type": "nvidia", "resources": {"nvidia": resource}},
            "modelArtifacts": artifacts | ({"authSecretName": options.secret} if options.secret else {}),
            "decode": decode | ({"extraConfig": more} if more else {}),
            "prefill": {"create": False, "replicas": 0},
            "routing": {"servicePort": options.port, "proxy": {"enabled": False}},
        }
        return values | ({"serviceAccountOverride": options.service_account} if options.service_account else {})

    def read(self, files: Files) -> Read:
        """Replicas, and what they take of GPUs. Raises FeedError for what are no such values."""
        return facts([self._stands(path, files[path]) for path in sorted(files)])

    def _stands(self, path: str, text: bytes) -> Stands:
        try:
            decode = json.loads(text)["decode"]
            names = true_names(decode, NAMES)
            limits = decode["containers"][0]["resources"]["limits"]
            takes = asked(self.options.gpu_names, names[3], decode["nodeSelector"], limits, path)
            site, model, shape, gpu, tenant = names
            return Stands(site, model, shape, gpu, tenant, decode["replicas"], takes.quarter_gpus)
        except (KeyError, TypeError, ValueError, IndexError) as error:
            if isinstance(error, FeedError):
                raise
            raise FeedError((f"{path}: are no values of llm-d-modelservice: {error!r}",)) from error
