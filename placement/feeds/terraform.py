"""terraform: a file of values that Terraform and OpenTofu load by themselves (docs/feeds-terraform.md).

    nearserve_plan       scenario, plan_sha256, period, slice
    nearserve_sites      site → name, country, latitude, longitude, domains, servers, gpus
    nearserve_servers    <site>/<server>[/<tenant>] → site, server, tenant, gpu, gpus of one, count
    nearserve_replicas   <site>/<shape>[/<tenant>] → site, model, shape, tenant, gpu, quarter_gpus of one, count

All are maps, so that `for_each` names a resource by what it is, and what stays in a plan stays in the state. Tenants
are null where there is none. Slashes and percents within a name are written as %2F and %25 in keys alone.
"""

import json
from collections import defaultdict
from collections.abc import Iterator
from typing import Any, ClassVar, Final

from placement.canonical import canonical_json
from placement.feeds.feed import Fact, FeedError, Files, Key, Read
from placement.feeds.feed import Options as AnyOptions
from placement.feeds.view import Policy, View

FILE: Final = "nearserve.auto.tfvars.json"
SERVERS: Final = Fact("servers", ("site", "server", "gpu", "tenant"))
GPUS: Final = Fact("gpus", ("site",))
REPLICAS: Final = Fact("replicas", ("site", "model", "shape", "tenant"))
QUARTER_GPUS: Final = Fact("quarter_gpus", ("site", "gpu", "model", "shape", "tenant"))

WHOLE: Final = 2**53
"""Terraform itself counts further; what reads its JSON often does not."""


class TerraformOptions(AnyOptions):
    """The table [terraform]: nothing of its own."""


class Terraform:
    """Values of variables: what stands where.

    It routes nothing, so that no failure concerns it.
    """

    name: ClassVar[str] = "terraform"
    policies: ClassVar[frozenset[Policy]] = frozenset()
    says: ClassVar[tuple[Fact, ...]] = (SERVERS, GPUS, REPLICAS, QUARTER_GPUS)
    Options: ClassVar[type[AnyOptions]] = TerraformOptions

    def __init__(self, options: TerraformOptions) -> None:
        self.options = options

    def render(self, view: View) -> Files:
        """The file. Raises FeedError for counts that JSON's readers cannot hold."""
        values = {
            "nearserve_plan": {
                "scenario": view.scenario,
                "plan_sha256": view.plan_sha256,
                "period": view.moment.period or None,
                "slice": view.moment.slice or None,
            },
            "nearserve_sites": _sites(view),
            "nearserve_servers": {
                _key(row.site, row.server, row.tenant): {
                    "site": row.site,
                    "server": row.server,
                    "tenant": row.tenant or None,
                    "gpu": row.gpu,
                    "gpus": row.gpus,
                    "count": row.count,
                }
                for row in view.servers
            },
            "nearserve_replicas": {
                _key(row.site, row.shape, row.tenant): {
                    "site": row.site,
                    "model": view.shapes[row.shape].model,
                    "shape": row.shape,
                    "tenant": row.tenant or None,
                    "gpu": view.shapes[row.shape].gpu,
                    "quarter_gpus": view.shapes[row.shape].quarter_gpus,
                    "count": row.count,
                }
                for row in view.replicas
            },
        }
        large = [
            f"{key} has {row['count']}, more than 2^53, which JSON's readers round; split it"
            for table in ("nearserve_servers", "nearserve_replicas")
            for key, row in values[table].items()
            if row["count"] >= WHOLE
        ]
        if large:
            raise FeedError(tuple(large))
        return {FILE: canonical_json(values)}

    def read(self, files: Files) -> Read:
        """What the file says stands where. Raises FeedError where it is no such file, or contradicts itself."""
        try:
            values = json.loads(files[FILE])
            reasons = list(_wrong(values))
            servers, replicas = (values[f"nearserve_{name}"].values() for name in ("servers", "replicas"))
            found: dict[Fact, dict[Key, int]] = {
                SERVERS: _sums(SERVERS, servers, "count"),
                GPUS: _sums(GPUS, servers, "count", "gpus"),
                REPLICAS: _sums(REPLICAS, replicas, "count"),
                QUARTER_GPUS: _sums(QUARTER_GPUS, replicas, "count", "quarter_gpus"),
            }
            told = {(site,): row["gpus"] for site, row in values["nearserve_sites"].items() if row["gpus"]}
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise FeedError((f"{FILE}: holds no values of a plan: {error!r}; render it again",)) from error
        if told != found[GPUS]:
            odd = sorted(told.items() ^ found[GPUS].items())
            reasons.append(f"{FILE}: GPUs of {odd[0][0][0]} are not those of its servers; render it again")
        if reasons:
            raise FeedError(tuple(reasons))
        return found


def _sites(view: View) -> dict[str, Any]:
    """The sites where anything stands."""
    servers: dict[str, int] = defaultdict(int)
    gpus: dict[str, int] = defaultdict(int)
    for row in view.servers:
        servers[row.site] += row.count
        gpus[row.site] += row.count * row.gpus
    return {
        name: {
            "name": site.name,
            "country": site.country,
            "latitude": site.latitude,
            "longitude": site.longitude,
            "domains": list(site.domains),
            "servers": servers[name],
            "gpus": gpus[name],
        }
        for name in sorted({row.site for row in view.servers} | {row.site for row in view.replicas})
        for site in (view.sites[name],)
    }


def _key(*names: str) -> str:
    return "/".join(name.replace("%", "%25").replace("/", "%2F") for name in names if name)


def _wrong(values: dict[str, Any]) -> Iterator[str]:
    """Rows that do not say what their key says, or counts that are none."""
    for table, what in (("servers", "server"), ("replicas", "shape")):
        for key, row in values[f"nearserve_{table}"].items():
            if key != _key(row["site"], row[what], row["tenant"] or ""):
                yield f"{FILE}: nearserve_{table}: {key} is not what its row says"
            for name in ("count", "gpus", "quarter_gpus"):
                if name in row and (type(row[name]) is not int or row[name] <= 0):
                    yield f"{FILE}: nearserve_{table}: {key}: {name} is {row[name]!r}, and no whole number above 0"


def _sums(fact: Fact, rows: Any, *factors: str) -> dict[Key, int]:
    found: dict[Key, int] = defaultdict(int)
    for row in rows:
        product = 1
        for factor in factors:
            product *= row[factor]
        found[tuple(row[name] or "" for name in fact.by)] += product
    return dict(found)
