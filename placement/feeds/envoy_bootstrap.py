"""A whole Envoy configuration to begin with: what a region's requests meet, and where its endpoints come from.

It is for trying the feed out and for copying from: listener, routes by two headers, one EDS cluster for each class of
the region. The endpoints are read again whenever something is moved within `watch`, as `nearserve publish` does when
it makes another generation the current one.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from placement.canonical import canonical_json
from placement.feeds.envoy_names import cluster_name, eds_path
from placement.feeds.naming import part_of
from placement.feeds.view import Class
from probes.document import Part

HTTP = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
ROUTER = "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"


class Bootstrap(Part):
    """[envoy.bootstrap].

    `folder` is where the feed's files of one moment stand on the machine that runs Envoy, as
    /var/lib/nearserve/current/feeds/envoy/all, and `watch` the folder in which the link changes, as /var/lib/nearserve.
    `address` and `port` take requests, `admin_port` is on 127.0.0.1. With `health_path` hosts are asked for it, so
    that Envoy fails over by itself.
    """

    folder: str
    watch: str
    address: str = "127.0.0.1"
    port: int = 10000
    admin_port: int = 9901
    model_header: str = "x-model"
    service_header: str = "x-service"
    timeout_s: float = 0.0  # of a request; 0: none, as a stream of tokens may take long
    health_path: str = ""
    health_interval_s: float = 5.0


def bootstrap_of(options: Bootstrap, classes: Sequence[Class]) -> dict[str, bytes]:
    """The configuration of every region, by path."""
    by_region: dict[str, list[Class]] = defaultdict(list)
    for cls in classes:
        by_region[cls[0]].append(cls)
    return {
        f"bootstrap/{part_of(region)}.json": canonical_json(_region(options, region, mine))
        for region, mine in sorted(by_region.items())
    }


def _region(options: Bootstrap, region: str, classes: Sequence[Class]) -> dict[str, Any]:
    return {
        "node": {"id": f"nearserve-{part_of(region)}", "cluster": "nearserve"},
        "admin": {"address": _address("127.0.0.1", options.admin_port)},
        "static_resources": {
            "listeners": [_listener(options, classes)],
            "clusters": [_cluster(options, cls) for cls in classes],
        },
    }


def _listener(options: Bootstrap, classes: Sequence[Class]) -> dict[str, Any]:
    """HTTP requests by the headers that name model and service; others are answered with 404."""
    manager = {
        "@type": HTTP,
        "stat_prefix": "nearserve",
        "route_config": {
            "name": "classes",
            "virtual_hosts": [
                {"name": "all", "domains": ["*"], "routes": [_route(options, cls) for cls in classes]},
            ],
        },
        "http_filters": [{"name": "envoy.filters.http.router", "typed_config": {"@type": ROUTER}}],
    }
    return {
        "name": "requests",
        "address": _address(options.address, options.port),
        "filter_chains": [
            {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}
        ],
    }


def _route(options: Bootstrap, cls: Class) -> dict[str, Any]:
    headers = {options.model_header: cls[1], options.service_header: cls[2]}
    return {
        "match": {
            "prefix": "/",
            "headers": [{"name": name, "string_match": {"exact": value}} for name, value in headers.items()],
        },
        "route": {"cluster": cluster_name(cls), "timeout": f"{options.timeout_s:g}s"},
    }


def _cluster(options: Bootstrap, cls: Class) -> dict[str, Any]:
    path = f"{options.folder.rstrip('/')}/{eds_path(cls)}"
    source = {"path": path, "watched_directory": {"path": options.watch}}
    checks = {
        "http_health_check": {"path": options.health_path},
        "interval": f"{options.health_interval_s:g}s",
        "no_traffic_interval": f"{options.health_interval_s:g}s",  # else a minute, for a class that was idle
        "timeout": f"{options.health_interval_s:g}s",
        "healthy_threshold": 1,
        "unhealthy_threshold": 2,
    }
    return {
        "name": cluster_name(cls),
        "type": "EDS",
        "connect_timeout": "2s",
        "lb_policy": "ROUND_ROBIN",
        "common_lb_config": {"locality_weighted_lb_config": {}},
        "eds_cluster_config": {
            "service_name": cluster_name(cls),
            "eds_config": {"path_config_source": source, "resource_api_version": "V3"},
        },
        **({"health_checks": [checks]} if options.health_path else {}),
    }


def _address(host: str, port: int) -> dict[str, Any]:
    return {"socket_address": {"address": host, "port_value": port}}
