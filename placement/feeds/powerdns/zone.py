"""The zone, as the file that `geoip-zones-file` names: YAML by its reader, JSON as we write it."""

import re
from collections.abc import Iterable, Iterator, Mapping
from ipaddress import ip_address
from typing import Any, Final, TypeAlias

from placement.feeds.addresses import is_ip
from placement.feeds.powerdns.chances import Shares, chances, weights
from placement.feeds.powerdns.clients import FORMATS, Clients
from placement.feeds.powerdns.names import PLAN, UNKNOWN, Labels
from placement.feeds.powerdns.options import PowerDnsOptions
from placement.feeds.view import BILLION, View

OURS: Final = "x-nearserve"
"""A key that the backend does not look at."""
NOBODY: Final = "nearserve: no site serves this address"
Records: TypeAlias = dict[str, list[dict[str, Any]]]


def zone(view: View, options: PowerDnsOptions, who: Clients, labels: Labels) -> dict[str, Any]:
    """The whole document."""
    records: Records = {options.zone: _apex(view, options), f"{PLAN}.{options.zone}": [_text(_plan(view))]}
    if options.elsewhere:
        records[labels.elsewhere()] = _addresses(options.elsewhere)
    for site, model in sorted({(route.site, route.model) for route in view.routes if route.share_ppb}):
        hosts = [address.host for address in view.addresses.of(site, model)]
        records[labels.site(site, model)] = _addresses(hosts)
    for (region, model, service), by_site in view.by_class.items():
        shares = [(labels.site(site, model), share) for site, share in by_site.items()]
        left = BILLION - sum(share for _, share in shares)
        records.update(_chosen(labels.region(region, model, service), [*shares, (labels.elsewhere(), left)]))
    services = {}
    for model, service in sorted({key[1:] for key in (*view.classes, *view.by_class)}):
        name = labels.service(model, service)
        records[f"{UNKNOWN}.{name}"] = [_weighted(labels.elsewhere(), 1000)] if options.elsewhere else [_text(NOBODY)]
        services[name] = _service(name, who, labels)
    return {
        OURS: {
            "scenario": view.scenario,
            "plan_sha256": view.plan_sha256,
            "moment": view.moment._asdict(),
            "names": {kind: {label: name for name, label in of.items()} for kind, of in labels.of.items()},
        },
        "mapping_lookup_formats": list(FORMATS),
        "custom_mapping": {place: labels.of["region"][region] for place, region in who.places.items()},
        "domains": [{"domain": options.zone, "ttl": options.ttl_s, "records": records, "services": services}],
    }


def _plan(view: View) -> str:
    moment = " ".join(f"{key}={value}" for key, value in view.moment._asdict().items() if value)
    return f"plan_sha256={view.plan_sha256} {moment}".strip()


def _apex(view: View, options: PowerDnsOptions) -> list[dict[str, Any]]:
    """SOA and NS. The serial tells plans apart and does not grow: nobody transfers this zone.

    That there is no address may be kept for as long as an address, unless it says that one belongs to no region: kept
    for everybody by resolvers, it would be told to those who do.
    """
    serial = int(view.plan_sha256[:8], 16)
    absent_s = options.ttl_s if options.elsewhere else 0
    hostmaster = options.hostmaster or f"hostmaster.{options.zone}"
    soa = f"{options.nameservers[0]}. {hostmaster}. {serial} 3600 600 604800 {absent_s}"
    return [{"soa": soa}, *({"ns": f"{name}."} for name in options.nameservers)]


def _service(name: str, who: Clients, labels: Labels) -> dict[str, list[str]]:
    """Who gets which answer: the first of the names that there is."""
    nobody = f"{UNKNOWN}.{name}"
    by_network = {str(net): [f"{labels.of['region'][region]}.{name}", nobody] for net, region in who.networks.items()}
    return {"default": [f"%mp.{name}", nobody], **by_network}


def _chosen(name: str, shares: Shares) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """The records of a name whose answers are shared so, and of its blocks.

    Every record has a weight, also where it is the only one: so the answer holds for the asker's network alone, and no
    resolver keeps it for another that a longer prefix sends elsewhere.
    """
    parts = chances(shares)
    records = []
    for part, weight in zip(parts, weights([part.thousandths for part in parts]), strict=True):
        target = part.target or f"{part.begin}.{name}"
        records.append(_weighted(target, weight))
        if part.shares:
            yield from _chosen(target, part.shares)
    yield name, records


def _weighted(target: str, weight: int) -> dict[str, Any]:
    return {"cname": {"content": f"{target}.", "weight": weight}}


def _addresses(hosts: Iterable[str]) -> list[dict[str, Any]]:
    return [
        {("aaaa" if ip_address(host).version == 6 else "a"): host} if is_ip(host) else {"cname": f"{host}."}
        for host in hosts
    ]


def _text(text: str) -> dict[str, Any]:
    """A TXT record; a quote or backslash of a scenario's names would end it, and % would be a placeholder."""
    safe = re.sub(r'[^ -~]|["\\%]', "?", text)
    return {"txt": f'"{safe}"'}


def unreachable(view: View, options: PowerDnsOptions) -> Iterator[str]:
    """Why the zone could not answer what the plan says: every reason."""
    places: Mapping[tuple[str, str], None] = dict.fromkeys(sorted({(r.site, r.model) for r in view.routes}))
    for model in sorted({model for _, model in places}):
        yield from _model_unreachable(view, model, [site for site, name in places if name == model])
    if not options.elsewhere:
        for key, by_site in view.by_class.items():
            if left := BILLION - sum(by_site.values()):
                told = f"{left} ppb of {'/'.join(key)} are unserved, and DNS cannot drop a share"
                yield f"{told}; say with `elsewhere` where they go"


def _model_unreachable(view: View, model: str, sites: list[str]) -> Iterator[str]:
    ports: dict[int, str] = {}
    families: dict[frozenset[int], str] = {}
    for site in sites:
        addresses = view.addresses.of(site, model)
        hosts = [address.host for address in addresses]
        if not hosts:
            yield f"{site} has no address for {model}; name one in the table of addresses"
        elif len(hosts) > 1 and not all(map(is_ip, hosts)):
            told = f"{site} has {', '.join(hosts)} for {model}, and a name in DNS may stand for only one other name"
            yield f"{told}; give IP addresses, or one name"
        for address in addresses:
            ports.setdefault(address.port, site)
        if hosts and all(map(is_ip, hosts)):
            families.setdefault(frozenset(ip_address(host).version for host in hosts), site)
    if len(ports) > 1:
        told = ", ".join(f"{port} at {site}" for port, site in sorted(ports.items()))
        yield f"{model} is served on several ports ({told}), and DNS cannot say a port; use one for all sites"
    if len(families) > 1:
        spelt = ("IPv" + " and IPv".join(map(str, sorted(family))) + f" at {site}" for family, site in families.items())
        told = ", ".join(sorted(spelt))
        yield f"{model} has {told}: who asks for the other finds nothing; give all sites the same"
