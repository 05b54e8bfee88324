"""What feeds of workloads have in common: a file a site, an object for the replicas of one shape and tenant."""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

from placement.feeds.feed import Fact, FeedError, Files, Read
from placement.feeds.feed import Options as AnyOptions
from placement.feeds.kubernetes.manifests import Manifest, list_bytes, manifests
from placement.feeds.kubernetes.naming import Unique, dns_label, label_value, labels, metadata, true_names
from placement.feeds.kubernetes.options import ClusterOptions, PodOptions
from placement.feeds.kubernetes.pods import by_site, refuse_untold
from placement.feeds.view import Policy, Replicas, Shape, View

REPLICAS = Fact("replicas", ("site", "model", "shape", "tenant"))
QUARTER_GPUS = Fact("quarter_gpus", ("site", "gpu", "model", "shape", "tenant"))
NAMES = ("site", "model", "shape", "gpu", "tenant")


class Stands(NamedTuple):
    """What an object says: so many replicas, each with so much of a GPU."""

    site: str
    model: str
    shape: str
    gpu: str
    tenant: str
    replicas: int
    quarter_gpus: int


class WorkloadFeed(ABC):
    """A feed of workloads. It routes nothing: what fails over is for those that route."""

    name: ClassVar[str]
    kinds: ClassVar[tuple[str, ...]]
    kinds_beside: ClassVar[tuple[str, ...]] = ()
    Options: ClassVar[type[AnyOptions]]
    policies: ClassVar[frozenset[Policy]] = frozenset()
    says: ClassVar[tuple[Fact, ...]] = (REPLICAS, QUARTER_GPUS)
    longest_name: ClassVar[int] = 63

    def __init__(self, options: Any) -> None:
        self.options = options

    @abstractmethod
    def untold(self, view: View) -> list[str]:
        """Reasons of the kind's own why it cannot say the plan."""

    @abstractmethod
    def manifest(self, view: View, row: Replicas, called: Manifest) -> Manifest:
        """The object for a row, under this metadata."""

    @abstractmethod
    def stands(self, item: Manifest, names: tuple[str, ...], where: str) -> Stands:
        """What an object says; `names` are its true names, in the order of NAMES."""

    def beside(self, view: View, site: str, rows: list[Replicas]) -> list[Manifest]:
        """What else a site's file holds, of kinds in `kinds_beside`."""
        return []

    def check_beside(self, item: Manifest, where: str) -> None:
        """Raises FeedError where an object of `kinds_beside` says something else than its names."""
        raise NotImplementedError(f"{self.name} has nothing beside its workloads")

    def render(self, view: View) -> Files:
        """A List for each site where something stands. Raises FeedError with every reason why that cannot be."""
        refuse_untold(view, self.options.gpu_names, self.untold(view))
        files: dict[str, bytes] = {}
        file_name = Unique("sites")
        for site, rows in by_site(view.replicas).items():
            unique = Unique(f"site {site}")
            items = [self.manifest(view, row, self._metadata(view, row, unique)) for row in rows]
            items += self.beside(view, site, rows)
            files[f"{file_name(site)}.json"] = list_bytes(items)
        return files

    def _metadata(self, view: View, row: Replicas, unique: Unique) -> Manifest:
        options: PodOptions = self.options
        name = unique(*options.of_site(row.site), row.shape, row.tenant, longest=self.longest_name)
        names = true_of(row, view.shapes[row.shape])
        return metadata(name, names, options.namespace, queue_label(options, row))

    def read(self, files: Files) -> Read:
        """Replicas, and what they take of GPUs. Raises FeedError for what no such feed wrote."""
        found = [self._stands(item, path) for path, item in manifests(files, (*self.kinds, *self.kinds_beside))]
        return facts([one for one in found if one is not None])

    def _stands(self, item: Manifest, path: str) -> Stands | None:
        where = f"{path}: {item['kind']} {item.get('metadata', {}).get('name')}"
        try:
            if item["kind"] in self.kinds_beside:
                self.check_beside(item, where)
                return None
            return self.stands(item, true_names(item["metadata"], NAMES), where)
        except (KeyError, TypeError, ValueError, IndexError) as error:
            if isinstance(error, FeedError):
                raise
            raise FeedError((f"{where}: says no replicas: {error!r}",)) from error


def true_of(row: Replicas, shape: Shape) -> dict[str, str]:
    """A row's true names, by the keys of NAMES."""
    return {"site": row.site, "model": shape.model, "shape": row.shape, "gpu": shape.gpu, "tenant": row.tenant}


def pods_of(options: ClusterOptions, site: str, model: str, tenant: str) -> dict[str, str]:
    """Labels that a model's pods carry, and nobody else's in their cluster; of one tenant, or of none."""
    of_site = {"site": site} if options.site_label else {}
    return labels({**of_site, "model": model, "tenant": tenant})


def queue_label(options: PodOptions, row: Replicas) -> dict[str, str]:
    """The label by which Kueue knows the queue that a workload waits in, where it is to wait."""
    return {"kueue.x-k8s.io/queue-name": queue_name(options, "serving", row.site, row.tenant)} if options.kueue else {}


def queue_name(options: ClusterOptions, use: str, site: str, tenant: str) -> str:
    """The queue of a site's tenant for one use, as the feed `kueue` calls it."""
    return dns_label(use, *options.of_site(site), tenant)


def selector_labels(called: Manifest) -> dict[str, str]:
    """What tells an object's pods from others in its namespace."""
    return {"app.kubernetes.io/instance": label_value(called["name"])}


def facts(found: list[Stands]) -> Read:
    """What objects say, together."""
    replicas: Counter[tuple[str, ...]] = Counter()
    quarters: Counter[tuple[str, ...]] = Counter()
    for one in found:
        if one.replicas:
            replicas[one.site, one.model, one.shape, one.tenant] += one.replicas
            quarters[one.site, one.gpu, one.model, one.shape, one.tenant] += one.replicas * one.quarter_gpus
    said: Mapping[Fact, Mapping[tuple[str, ...], int]] = {REPLICAS: replicas, QUARTER_GPUS: quarters}
    return said
