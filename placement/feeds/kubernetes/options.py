"""What users say of their clusters: namespaces, images, arguments, node labels, taints."""

import re
import string
from functools import cached_property
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from placement.feeds.feed import Options
from placement.feeds.kubernetes.gpus import Gpu, GpuNames
from placement.feeds.view import Shape
from probes.document import Part

_FIELDS = {"model", "shape", "precision", "gpus"}
_LABEL_VALUE = r"^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$"
_KEY = r"^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$"


def _template(text: str) -> str:
    try:
        fields = {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}
    except ValueError as error:
        raise ValueError(f"is no template: {error}; write {{{{ and }}}} for braces") from error
    if fields - _FIELDS:
        unknown = ", ".join(sorted(f"{{{name}}}" for name in fields - _FIELDS))
        known = ", ".join(sorted(f"{{{name}}}" for name in _FIELDS))
        raise ValueError(f"knows no {unknown}; use {known}")
    return text


Template = Annotated[str, AfterValidator(_template)]
"""Text in which {model}, {shape}, {precision} and {gpus} stand for those of the replica; {gpus} is 1 for a slice."""
DnsLabel = Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$")]
LabelKey = Annotated[str, Field(pattern=_KEY)]
LabelValue = Annotated[str, Field(pattern=_LABEL_VALUE)]
Port = Annotated[int, Field(ge=1, le=65535)]


class Toleration(Part):
    """A taint that pods put up with, in Kubernetes' own words."""

    key: LabelKey | None = None
    operator: Literal["Exists", "Equal"] = "Equal"
    value: str | None = None
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None

    @model_validator(mode="after")
    def _as_the_server_checks(self) -> Self:
        if self.operator == "Exists" and self.value is not None:
            raise ValueError("operator Exists looks at no value; remove value, or say operator = Equal")
        if self.key is None and self.operator != "Exists":
            raise ValueError("without a key only Exists holds; give the key of the taint")
        return self

    def manifest(self) -> dict[str, str]:
        """As a pod's specification says it."""
        return self.model_dump(exclude_none=True)


class Tenant(Part):
    """How a dedicated tenant's nodes are told apart; empty: the label and taint nearserve/tenant=<tenant>."""

    node_labels: dict[LabelKey, LabelValue] = Field(default_factory=dict)
    tolerations: tuple[Toleration, ...] = ()


class ClusterOptions(Options):
    """What all feeds of the family ask.

    A site is a cluster, unless `site_label` is the key of a node label with which one cluster tells its sites apart
    (topology.kubernetes.io/zone, say).
    """

    namespace: DnsLabel = "nearserve"
    site_label: LabelKey | None = None
    gpus: dict[str, Gpu] = Field(default_factory=dict)
    tenants: dict[str, Tenant] = Field(default_factory=dict)

    def of_site(self, site: str) -> tuple[str, ...]:
        """What a name begins with: nothing, or the site where a cluster has several."""
        return (site,) if self.site_label else ()

    @cached_property
    def gpu_names(self) -> GpuNames:
        """Our table of GPUs and this one's."""
        return GpuNames.with_options(self.gpus)


class PodOptions(ClusterOptions):
    """What a pod needs that no plan knows.

    `image` is a template for all models, `images` and `args_by_model` are of single models and win. `resources` are
    asked for beside the GPUs, as requests and limits. `country_label` is the key of a node label that says the site's
    country (topology.kubernetes.io/region, say). `kueue` has what is put up wait in the queues of the feed `kueue`.
    """

    image: Template | None = None
    images: dict[str, Template] = Field(default_factory=dict)
    args: tuple[Template, ...] = ()
    args_by_model: dict[str, tuple[Template, ...]] = Field(default_factory=dict)
    env: dict[str, str] = Field(default_factory=dict)
    port: Port = 8000
    ready_path: str | None = Field(default="/health", pattern="^/")
    resources: dict[Literal["cpu", "memory", "ephemeral-storage", "hugepages-2Mi", "hugepages-1Gi"], str] = Field(
        default_factory=dict
    )
    node_labels: dict[LabelKey, LabelValue] = Field(default_factory=dict)
    tolerations: tuple[Toleration, ...] = ()
    country_label: LabelKey | None = None
    runtime_class: DnsLabel | None = None
    service_account: DnsLabel | None = None
    image_pull_secrets: tuple[DnsLabel, ...] = ()
    kueue: bool = False

    @model_validator(mode="after")
    def _quantities(self) -> Self:
        for name, text in self.resources.items():
            if not re.fullmatch(r"[0-9]+(\.[0-9]+)?(m|[kMGTPE]i?)?", text):
                raise ValueError(f"resources.{name} is {text}; write a quantity, such as 8 or 64Gi")
        return self

    def filled(self, template: str, shape: Shape) -> str:
        """The template for a replica of the shape."""
        gpus = max(1, shape.quarter_gpus // 4)
        return template.format(model=shape.model, shape=shape.shape, precision=shape.precision, gpus=gpus)

    def image_of(self, shape: Shape) -> str | None:
        """The image that serves the shape's model, None where nobody said which."""
        template = self.images.get(shape.model, self.image)
        return None if template is None else self.filled(template, shape)

    def args_of(self, shape: Shape) -> list[str]:
        """The arguments of the shape's runtime."""
        return [self.filled(text, shape) for text in self.args_by_model.get(shape.model, self.args)]


class WeightsOptions(PodOptions):
    """Where models' weights are (hf://, s3://, pvc://, ...): `uri` for all models, `uris`, of single ones, win."""

    uri: Template | None = None
    uris: dict[str, Template] = Field(default_factory=dict)

    def uri_of(self, shape: Shape) -> str | None:
        """Where the weights of the shape's model are, None where nobody said."""
        template = self.uris.get(shape.model, self.uri)
        return None if template is None else self.filled(template, shape)
