"""Which shapes a site could hold at all: room for a server of the right GPU that is large enough."""

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

from placement.audit.facts import Facts, Server, Shape, Site


def stands(server: Server, site: Site) -> bool:
    """Whether one server of the kind fits the site: the kind of site, kW, kW per rack, rack units."""
    if server.stands_at not in (site.kind, "any"):
        return False
    cooled = site.max_kw_per_rack is None or server.power_kw <= site.max_kw_per_rack
    return cooled and server.power_kw <= site.usable_kw and server.rack_units <= site.rack_units


def misfit(facts: Facts, shape: Shape) -> tuple[str, str] | None:
    """Why no server of its GPU could run the shape, as (rule, reason); None where one could."""
    gpu = facts.gpus.get(shape.gpu)
    if gpu is None or shape.quarters == 0:
        return "6 GPUs", f"a replica of {float(shape.gpus):g} {shape.gpu} does not exist"
    if (shape.gpus * gpu.mig_slices).denominator != 1:
        return "6 MIG", f"{shape.gpu} cannot be cut into parts of {float(shape.gpus):g}"
    need, room = max(shape.memory_gb, shape.weights_gb), gpu.memory_gb * shape.gpus
    if need > room:
        return "6 memory", f"{float(need):g} GB do not fit into {float(room):g} GB"
    return None


@dataclass(frozen=True)
class Hosting:
    """What could stand where, whatever the plan does."""

    facts: Facts

    @cached_property
    def largest(self) -> dict[tuple[str, str], Fraction]:
        """GPUs of the largest server with a GPU that fits a site, by (site, GPU)."""
        most: dict[tuple[str, str], Fraction] = {}
        for site_name, site in self.facts.sites.items():
            for server in self.facts.servers.values():
                if stands(server, site):
                    key = (site_name, server.gpu)
                    most[key] = max(most.get(key, server.gpus), server.gpus)
        return most

    @cached_property
    def runnable(self) -> frozenset[str]:
        """Shapes that fit the memory and MIG of their GPU."""
        return frozenset(name for name, shape in self.facts.shapes.items() if misfit(self.facts, shape) is None)

    def can_hold(self, site: str, shape_name: str) -> bool:
        """Whether a replica of the shape could stand at the site."""
        shape = self.facts.shapes[shape_name]
        largest = self.largest.get((site, shape.gpu))
        return shape_name in self.runnable and largest is not None and largest >= shape.gpus
