"""A plan small enough to know every figure of, as feeds see it: three sites, two regions, two models.

    berlin chat of m8     70 % at fra, 30 % at ams; all of it at ams when the metro of fra fails
    berlin batch of m70   99.5 % at ams, 0.5 % unserved
    lagos  chat of m8     everything at los, which nothing can stand in for

m8 runs on half a GPU by MIG (and on a whole one for the tenant bank at fra), m70 on two; a job takes one at ams.
That is 7.5 of the 8 GPUs at ams, 4.5 of 12 at fra and 0.5 of 4 at los.
"""

from dataclasses import replace

from placement.feeds.view import (
    Address,
    Addresses,
    Job,
    Moment,
    Region,
    Replicas,
    Route,
    Servers,
    Service,
    Shape,
    Site,
    View,
)

SITES = (
    Site("ams", "Amsterdam", "NL", 52.37, 4.90, ("metro-ams",)),
    Site("fra", "Frankfurt", "DE", 50.11, 8.68, ("grid-de", "metro-fra")),
    Site("los", "Lagos", "NG", 6.45, 3.40, ("metro-los",)),
)
REGIONS = (
    Region("berlin", "Berlin", "DE", 52.52, 13.40, 3320),
    Region("lagos", "Lagos", "NG", 6.52, 3.38, None),
)
GPU = "rtx-pro-6000-se"
SHAPES = (
    Shape("m70-x2", "m70", GPU, 8, "fp4", 140.0, 40.0),
    Shape("m8-half", "m8", GPU, 2, "fp8", 40.0, 9.0),
    Shape("m8-whole", "m8", GPU, 4, "fp8", 80.0, 9.0),
)
SERVICES = (Service("batch", "code", 5000.0), Service("chat", "chat", 200.0))
SERVERS = (
    Servers("ams", "rtx-8", "", GPU, 8, 1),
    Servers("fra", "rtx-4", "", GPU, 4, 2),
    Servers("fra", "rtx-4", "bank", GPU, 4, 1),
    Servers("los", "rtx-4", "", GPU, 4, 1),
)
REPLICAS = (
    Replicas("ams", "m70-x2", "", 2),
    Replicas("ams", "m8-half", "", 5),
    Replicas("fra", "m8-half", "", 7),
    Replicas("fra", "m8-whole", "bank", 1),
    Replicas("los", "m8-half", "", 1),
)
ROUTES = (
    Route("berlin", "m70", "batch", "ams", "m70-x2", 995_000_000),
    Route("berlin", "m8", "chat", "ams", "m8-half", 300_000_000),
    Route("berlin", "m8", "chat", "fra", "m8-half", 600_000_000),
    Route("berlin", "m8", "chat", "fra", "m8-whole", 100_000_000),
    Route("lagos", "m8", "chat", "los", "m8-half", 1_000_000_000),
)
CLASSES = (("berlin", "m70", "batch"), ("berlin", "m8", "chat"), ("lagos", "m8", "chat"))
BACKUPS = {
    "metro-ams": (Route("berlin", "m8", "chat", "fra", "m8-half", 300_000_000),),
    "metro-fra": (Route("berlin", "m8", "chat", "ams", "m8-half", 700_000_000),),
    "metro-los": (),
}
JOBS = (Job("tune-1", "finetune", "m8", GPU, 4, "ams", (), True),)


def view(**other: object) -> View:
    """The plan on a normal day; `other` replaces fields of it."""
    addresses = {(s.site, ""): (Address(f"127.0.1.{j}", 8000),) for j, s in enumerate(SITES, 1)}
    addresses["fra", "m8"] = (Address("127.0.1.21", 8000), Address("127.0.1.22", 8000))
    normal = View(
        scenario="small",
        plan_sha256="0" * 64,
        moment=Moment(),
        sites={site.site: site for site in SITES},
        regions={region.region: region for region in REGIONS},
        shapes={shape.shape: shape for shape in SHAPES},
        services={service.service: service for service in SERVICES},
        servers=SERVERS,
        replicas=REPLICAS,
        routes=ROUTES,
        jobs=JOBS,
        backups=BACKUPS,
        domains={"metro-ams": frozenset({"ams"}), "metro-fra": frozenset({"fra"}), "metro-los": frozenset({"los"})},
        policy="planned",
        addresses=Addresses(addresses),
        classes=CLASSES,
    )
    return replace(normal, **other)  # type: ignore[arg-type]


def failed(domain: str) -> View:
    """The plan while the domain is down."""
    normal = view()
    flows = [route for route in ROUTES if route.site not in normal.domains[domain]]
    moved = {}
    for route in [*flows, *BACKUPS[domain]]:
        moved[route[:-1]] = moved.get(route[:-1], 0) + route.share_ppb
    routes = tuple(Route(*key, share) for key, share in sorted(moved.items()))  # type: ignore[arg-type]
    return replace(normal, moment=Moment(failure=domain), routes=routes)
