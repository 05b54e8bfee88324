"""What Envoy calls a class: its cluster, in EDS and in statistics, and the file of its endpoints."""

from placement.feeds.naming import name_of, part_of
from placement.feeds.view import Class


def cluster_name(cls: Class) -> str:
    """What the cluster of a class is called, in EDS and wherever routes name it: region/model/service.

    A dot is %2E: Envoy's statistics take a name to end at its first dot, so that the label envoy_cluster_name would be
    cut there, and each such cluster have a metric of its own.
    """
    return "/".join(part_of(name).replace(".", "%2E") for name in cls)


def class_of(cluster: str) -> Class:
    """The class of a cluster. Raises ValueError where the name is not one of ours."""
    region, model, service = map(name_of, cluster.split("/"))
    return region, model, service


def eds_path(cls: Class) -> str:
    """The file of a class' cluster."""
    region, model, service = map(part_of, cls)
    return f"eds/{region}/{service}@{model}.json"
