"""What the NVIDIA GPU operator calls our GPUs: the one table between a scenario's names and a cluster's.

`product` is the node label nvidia.com/gpu.product, which GPU feature discovery makes of the board's own name with "-"
for blanks. Slices are what the device plugin calls them with the MIG strategy "mixed", where every profile is a
resource of its own (nvidia.com/mig-2g.48gb), the label keeps the bare product, and a partitioned GPU is no
nvidia.com/gpu any more.

Sources: NVIDIA MIG user guide, "Supported MIG profiles" (RTX PRO 6000 Blackwell: 1g.24gb ×4, 2g.48gb ×2, 4g.96gb);
NVIDIA/mig-parted, deployments/systemd/config-default.yaml (all-1g.24gb, all-2g.48gb); NVIDIA/k8s-device-plugin,
internal/lm. The products of B200, H100 (SXM5) and L40S are the boards' names and not seen on a machine of ours.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pydantic import Field

from placement.feeds.view import Shape
from probes.document import Part

PRODUCT_LABEL = "nvidia.com/gpu.product"
WHOLE = "nvidia.com/gpu"


class Gpu(Part):
    """A GPU as a cluster knows it; `quarter` and `half` are its MIG profiles of 1/4 and 2/4, "" where it has none."""

    product: str = Field(min_length=1, max_length=63, pattern=r"^[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$")
    quarter: str = Field(default="", pattern=r"^([1-9]g\.[0-9]+gb[-.a-z]*)?$")
    half: str = Field(default="", pattern=r"^([1-9]g\.[0-9]+gb[-.a-z]*)?$")


OPERATOR_NAMES: Mapping[str, Gpu] = {
    "rtx-pro-6000-se": Gpu(product="NVIDIA-RTX-PRO-6000-Blackwell-Server-Edition", quarter="1g.24gb", half="2g.48gb"),
    "b200": Gpu(product="NVIDIA-B200"),
    "h100": Gpu(product="NVIDIA-H100-80GB-HBM3"),
    "l40s": Gpu(product="NVIDIA-L40S"),
}


@dataclass(frozen=True)
class GpuNames:
    """The table, with what the options add to it or say otherwise."""

    table: Mapping[str, Gpu]

    @classmethod
    def with_options(cls, gpus: Mapping[str, Gpu]) -> "GpuNames":
        """Ours and the options'; these win."""
        return cls({**OPERATOR_NAMES, **gpus})

    def unknown(self, gpus: Iterable[str]) -> list[str]:
        """Why GPUs of these names cannot be told, a sentence each."""
        known = sorted(set(gpus))
        reasons = [
            f'GPU {gpu}: its name on the nodes is not known; give its `product` in the options\' table gpus."{gpu}" '
            f"(kubectl get nodes -L {PRODUCT_LABEL})"
            for gpu in known
            if gpu not in self.table
        ]
        seen: dict[str, str] = {}
        for gpu in known:
            product = self.table[gpu].product if gpu in self.table else None
            if product and seen.setdefault(product, gpu) != gpu:
                reasons.append(f"GPUs {seen[product]} and {gpu} are both {product} on the nodes; name them apart")
        return reasons

    def untold(self, shape: Shape) -> str | None:
        """Why the shape is no count of a resource, or None."""
        gpu = self.table.get(shape.gpu)
        if gpu is None or shape.quarter_gpus % 4 == 0:
            return None
        profile = {1: ("quarter", gpu.quarter), 2: ("half", gpu.half)}.get(shape.quarter_gpus)
        if profile is None:
            return f"shape {shape.shape}: {shape.quarter_gpus}/4 of a GPU is neither MIG slice nor whole GPUs"
        if not profile[1]:
            where = f'gpus."{shape.gpu}".{profile[0]}'
            return f"shape {shape.shape}: the MIG profile of its slice is not known; give {where}, such as 1g.24gb"
        return None

    def resource(self, shape: Shape) -> tuple[str, int]:
        """The extended resource of a replica and how many of it it takes."""
        return self.resources(shape.gpu, shape.quarter_gpus)

    def resources(self, gpu: str, quarter_gpus: int) -> tuple[str, int]:
        """The resource that counts `quarter_gpus` in one piece, and how many of it."""
        names = self.table[gpu]
        if quarter_gpus % 4 == 0:
            return WHOLE, quarter_gpus // 4
        return f"nvidia.com/mig-{names.quarter if quarter_gpus == 1 else names.half}", 1

    def quarters(self, gpu: str, resource: str) -> int | None:
        """Quarters of a GPU in one unit of the resource; None where that GPU has no such resource."""
        names = self.table[gpu]
        sizes = {f"nvidia.com/mig-{names.quarter}": 1, f"nvidia.com/mig-{names.half}": 2, WHOLE: 4}
        return sizes.get(resource)
