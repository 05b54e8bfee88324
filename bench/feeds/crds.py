"""Our feeds against true CRDs, which are not ours to carry: python -m bench.feeds.crds DIR

DIR holds the CRDs of Karmada, Kueue, LWS, the Gateway API, its inference extension and KServe, as their releases ship
them or as `kubectl get crds -o yaml` prints them. Every feed with its options is rendered from a small plan and
checked; the exit status is 1 where an object has a fault, or where no CRD of its kind is in DIR.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from time import process_time

from placement.feeds.feed import Feed
from placement.feeds.karmada import KarmadaFeed, KarmadaOptions
from placement.feeds.kubernetes.crds import check, read_crds
from placement.feeds.kubernetes.deployment import DeploymentOptions, KubernetesFeed
from placement.feeds.kubernetes.httproute import HttpRouteFeed, HttpRouteOptions
from placement.feeds.kubernetes.inferencepool import InferencePoolFeed, InferencePoolOptions
from placement.feeds.kubernetes.kserve import KserveFeed, KserveOptions
from placement.feeds.kubernetes.kueue import KueueFeed, KueueOptions
from placement.feeds.kubernetes.leaderworkerset import LeaderWorkerSetFeed, LeaderWorkerSetOptions
from placement.feeds.kubernetes.options import Toleration
from placement.feeds.kubernetes.routing import GatewayRef
from placement.feeds.view import (
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

GPU = "rtx-pro-6000-se"


def small() -> View:
    """Two sites, of which one has a name that Kubernetes does not take; slices, whole GPUs, a tenant and a job."""
    shapes = [
        Shape("Big.x8", "m70", GPU, 32, "fp4", 140.0, 40.0),
        Shape("m8-half", "m8", GPU, 2, "fp8", 40.0, 9.0),
        Shape("m8-quarter", "m8", GPU, 1, "fp8", 20.0, 9.0),
    ]
    sites = [Site("fra", "Frankfurt", "DE", 50.1, 8.7, ()), Site("São Paulo", "São Paulo", "BR", -23.5, -46.6, ())]
    return View(
        scenario="small",
        plan_sha256="0" * 64,
        moment=Moment(),
        sites={site.site: site for site in sites},
        regions={"berlin": Region("berlin", "Berlin", "DE", 52.5, 13.4, None)},
        shapes={shape.shape: shape for shape in shapes},
        services={"chat": Service("chat", "chat", 200.0)},
        classes=(("berlin", "m8", "chat"),),
        servers=(
            Servers("São Paulo", "rtx-8", "", GPU, 8, 2),
            Servers("fra", "rtx-8", "", GPU, 8, 2),
            Servers("fra", "rtx-8", "bank", GPU, 8, 1),
        ),
        replicas=(
            Replicas("São Paulo", "m8-quarter", "", 3),
            Replicas("fra", "Big.x8", "", 1),
            Replicas("fra", "m8-half", "", 3),
            Replicas("fra", "m8-half", "bank", 1),
        ),
        routes=(
            Route("berlin", "m8", "chat", "São Paulo", "m8-quarter", 333_333_333),
            Route("berlin", "m8", "chat", "fra", "m8-half", 666_666_666),
        ),
        jobs=(Job("tune", "finetune", "m8", GPU, 8, "fra", (), True),),
        backups={},
        domains={},
        policy=None,
        addresses=Addresses({}),
    )


def feeds() -> Iterator[tuple[str, Feed]]:
    """Every feed of the family whose objects have CRDs, with options that use what it can say."""
    image, args, uri = "registry.example/{model}:1", ("--tensor-parallel-size={gpus}",), "hf://example/{model}"
    keep = (Toleration(key="nvidia.com/gpu", operator="Exists", effect="NoSchedule"),)
    amounts = {"cpu": "8", "memory": "64Gi"}
    gateway = GatewayRef(name="edge", namespace="gateways", section="https")
    pods = {"image": image, "args": args, "tolerations": keep, "resources": amounts, "env": {"A": "b"}, "kueue": True}
    yield "kubernetes", KubernetesFeed(DeploymentOptions.model_validate(pods | {"export": True}))
    for size in (1, 8):
        group = {"gpus_per_pod": size, "exclusive_topology": "kubernetes.io/hostname"}
        yield f"leaderworkerset of {size}", LeaderWorkerSetFeed(LeaderWorkerSetOptions.model_validate(pods | group))
    yield "inferencepool", InferencePoolFeed(InferencePoolOptions(gateway=gateway))
    for backend in ("ServiceImport", "InferencePoolImport", "Service"):
        named = {"gateway": gateway, "backend": backend, "hostnames": ("llm.example",)}
        yield f"httproute to {backend}", HttpRouteFeed(HttpRouteOptions.model_validate(named))
    for api in ("v1beta1", "v1beta2"):
        yield f"kueue {api}", KueueFeed(KueueOptions.model_validate({"api": api}))
    for kind in ("LLMInferenceService", "InferenceService"):
        yield f"kserve {kind}", KserveFeed(KserveOptions.model_validate(pods | {"uri": uri, "kind": kind}))
    for by in ("shape", "model"):
        yield f"karmada by {by}", KarmadaFeed(KarmadaOptions.model_validate(pods | {"workloads": by}))


def main() -> int:
    """Print what was checked of each feed, and every fault."""
    if len(sys.argv) != 2:
        print(__doc__)
        return 2
    began = process_time()
    crds = read_crds(Path(sys.argv[1]))
    print(f"{len(crds.schemas)} schemas read in {process_time() - began:.1f} s of CPU")
    wrong = False
    for name, feed in feeds():
        began = process_time()
        report = check(feed.render(small()), crds)
        wrong = wrong or bool(report.faults)
        checked = ", ".join(f"{count} {kind}" for kind, count in report.checked.items()) or "nothing"
        print(f"{name}: {checked}; {len(report.faults)} faults, {process_time() - began:.2f} s")
        for line in [*report.faults, *report.unchecked]:
            print(f"  {line}")
    return int(wrong)


if __name__ == "__main__":
    sys.exit(main())
