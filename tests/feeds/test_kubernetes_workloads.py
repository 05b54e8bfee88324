"""Feeds of workloads: manifests by hand, against Kubernetes' own schemas, and every figure read back."""

import csv
import json
from dataclasses import replace
from typing import Any

import kubernetes_validate
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from placement.datasets import dataset
from placement.feeds.compare import compared
from placement.feeds.feed import Feed, FeedError
from placement.feeds.helm import HelmFeed, HelmOptions
from placement.feeds.karmada import KarmadaFeed, KarmadaOptions
from placement.feeds.kubernetes.deployment import DeploymentOptions, KubernetesFeed
from placement.feeds.kubernetes.gpus import OPERATOR_NAMES, GpuNames
from placement.feeds.kubernetes.httproute import HttpRouteFeed, HttpRouteOptions
from placement.feeds.kubernetes.inferencepool import InferencePoolFeed, InferencePoolOptions
from placement.feeds.kubernetes.kserve import KserveFeed, KserveOptions
from placement.feeds.kubernetes.kueue import KueueFeed, KueueOptions
from placement.feeds.kubernetes.leaderworkerset import LeaderWorkerSetFeed, LeaderWorkerSetOptions
from placement.feeds.kubernetes.options import PodOptions
from placement.feeds.kubernetes.routing import GatewayRef
from placement.feeds.view import Replicas, View
from probes.document import validated
from tests.feeds.feed_world import GPU, SHAPES, view
from tests.feeds.kubernetes_views import cluster_views
from tests.feeds.random_views import shuffled

SERVED = {
    "image": "registry.example:5000/serve/vllm:1.0@sha256:0f",
    "args": ("--tensor-parallel-size={gpus}",),
    "uri": "hf://x/{model}",
}
POD = {key: SERVED[key] for key in ("image", "args")}
FEEDS: dict[str, Feed] = {
    "kubernetes": KubernetesFeed(DeploymentOptions.model_validate(POD)),
    "one cluster": KubernetesFeed(
        DeploymentOptions.model_validate(POD | {"site_label": "topology.kubernetes.io/zone"})
    ),
    "exported": KubernetesFeed(DeploymentOptions.model_validate(POD | {"export": True})),
    "pods of one GPU": LeaderWorkerSetFeed(LeaderWorkerSetOptions.model_validate(POD | {"gpus_per_pod": 1})),
    "pods of eight": LeaderWorkerSetFeed(LeaderWorkerSetOptions.model_validate(POD)),
    "kserve": KserveFeed(KserveOptions.model_validate(SERVED | {"args": ("--max-model-len=8192",)})),
    "kserve classic": KserveFeed(KserveOptions.model_validate(SERVED | {"kind": "InferenceService"})),
    "karmada by shape": KarmadaFeed(KarmadaOptions.model_validate(POD)),
    "karmada by model": KarmadaFeed(KarmadaOptions.model_validate(POD | {"workloads": "model"})),
    "helm": HelmFeed(HelmOptions.model_validate(SERVED)),
    "kueue": KueueFeed(KueueOptions()),
    "kueue of one cluster": KueueFeed(KueueOptions(site_label="topology.kubernetes.io/zone")),
    "inferencepool": InferencePoolFeed(InferencePoolOptions(gateway=GatewayRef(name="edge"))),
    "inferencepool of one cluster": InferencePoolFeed(InferencePoolOptions(site_label="topology.kubernetes.io/zone")),
}


def world() -> View:
    """The small plan, with a job that fits beside the replicas."""
    seen = view()
    return replace(seen, jobs=(seen.jobs[0]._replace(quarter_gpus=4),))


@pytest.mark.parametrize("name", FEEDS)
@settings(max_examples=25, deadline=None)
@given(seen=cluster_views())
def test_what_is_written_reads_back_as_the_plan_says_and_the_order_of_rows_is_nothing(name: str, seen: View) -> None:
    feed = FEEDS[name]
    files = feed.render(seen)
    compared(seen, feed.read(files), feed.says)
    assert feed.render(shuffled(seen)) == files


@pytest.mark.parametrize(
    ("name", "figures"),
    [("kubernetes", 10), ("kueue", 8), ("inferencepool", 5), ("helm", 10), ("karmada by model", 10)],
)
def test_as_many_figures_are_compared_as_the_small_plan_has(name: str, figures: int) -> None:
    seen, feed = world(), FEEDS[name]
    assert compared(seen, feed.read(feed.render(seen)), feed.says) == figures


def test_a_deployment_by_hand() -> None:
    options = {
        "image": "registry.example/{model}:{precision}",
        "args": ["--tensor-parallel-size={gpus}"],
        "tenants": {"bank": {"node_labels": {"pool": "bank"}, "tolerations": [{"key": "pool", "operator": "Exists"}]}},
        "resources": {"memory": "64Gi"},
        "ready_path": None,
        "kueue": True,
    }
    parsed, faults = validated(DeploymentOptions, options, "feeds.toml")
    assert parsed is not None, faults
    files = KubernetesFeed(parsed).render(world())
    assert sorted(files) == ["ams.json", "fra.json", "los.json"]
    bank = json.loads(files["fra.json"])["items"][1]
    amounts = {"memory": "64Gi", "nvidia.com/gpu": "1"}
    assert bank["metadata"]["name"] == "m8-whole--bank"
    assert bank["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "serving--bank"
    assert bank["spec"]["replicas"] == 1
    assert bank["spec"]["selector"]["matchLabels"].items() <= bank["spec"]["template"]["metadata"]["labels"].items()
    assert bank["spec"]["template"]["spec"] == {
        "containers": [
            {
                "name": "main",
                "image": "registry.example/m8:fp8",
                "args": ["--tensor-parallel-size=1"],
                "ports": [{"name": "http", "containerPort": 8000}],
                "resources": {"limits": amounts, "requests": amounts},
            }
        ],
        "nodeSelector": {"nvidia.com/gpu.product": "NVIDIA-RTX-PRO-6000-Blackwell-Server-Edition", "pool": "bank"},
        "tolerations": [{"key": "pool", "operator": "Exists"}],
    }
    half = json.loads(files["fra.json"])["items"][0]["spec"]
    assert half["replicas"] == 7
    assert half["template"]["spec"]["containers"][0]["resources"]["limits"]["nvidia.com/mig-2g.48gb"] == "1"


@pytest.mark.parametrize("name", ["exported", "one cluster", "karmada by model"])
def test_kubernetes_takes_what_it_knows(name: str) -> None:
    """kubernetes-validate --strict, for the oldest version that clusters of today run and for the newest it knows."""
    kinds = set()
    for text in FEEDS[name].render(odd_world()).values():
        for item in json.loads(text)["items"]:
            if item["apiVersion"] in ("v1", "apps/v1"):
                for version in ("1.31", kubernetes_validate.latest_version()):
                    kubernetes_validate.validate(item, version, strict=True)
                kinds.add(item["kind"])
    beside = {"exported": {"Service"}, "one cluster": set(), "karmada by model": {"ConfigMap"}}
    assert kinds == {"Deployment"} | beside[name]


@settings(max_examples=25, deadline=None)
@given(seen=cluster_views(), one_cluster=st.booleans())
def test_each_pod_is_of_the_one_pool_and_the_one_service_of_its_model_and_tenant(seen: View, one_cluster: bool) -> None:
    """A dedicated tenant's pods serve nobody else: by Kubernetes' own rule, an empty label is a label."""
    where = {"site_label": "topology.kubernetes.io/zone"} if one_cluster else {}
    pods = KubernetesFeed(DeploymentOptions.model_validate(POD | where | {"export": True})).render(seen)
    pools = InferencePoolFeed(InferencePoolOptions.model_validate(where)).render(seen)
    found = {path: [i for files in (pods, pools) for i in json.loads(files[path])["items"]] for path in pods}
    clusters = [[item for items in found.values() for item in items]] if one_cluster else list(found.values())
    for items in clusters:
        selectors = [i["spec"]["selector"].get("matchLabels") for i in items if i["kind"] == "InferencePool"]
        selectors += [i["spec"]["selector"] for i in items if i["kind"] == "Service"]
        for item in items:
            if item["kind"] == "Deployment":
                labels = item["spec"]["template"]["metadata"]["labels"]
                assert sum(selector.items() <= labels.items() for selector in selectors) == 2


def test_what_is_exported_is_called_as_routes_call_it() -> None:
    items = [i for text in FEEDS["exported"].render(world()).values() for i in json.loads(text)["items"]]
    exported = {i["metadata"]["name"] for i in items if i["kind"] == "ServiceExport"}
    assert exported == {"m70--ams", "m8--ams", "m8--fra", "m8--fra--bank", "m8--los"}
    routes = [
        i for text in HttpRouteFeed(HttpRouteOptions()).render(world()).values() for i in json.loads(text)["items"]
    ]
    assert {ref["name"] for i in routes for ref in i["spec"]["rules"][0]["backendRefs"]} <= exported


def test_a_service_of_other_pods_is_refused() -> None:
    files = FEEDS["exported"].render(world())
    wrong = {
        path: text.replace(b'"selector": {"nearserve/model": "m70"', b'"selector": {"nearserve/model": "m71"')
        for path, text in files.items()
    }
    with pytest.raises(FeedError, match=r"ams\.json: Service m70--ams: its pods are"):
        FEEDS["exported"].read(wrong)


@pytest.mark.parametrize("name", ["one cluster", "kueue of one cluster", "inferencepool of one cluster"])
def test_in_one_cluster_no_two_sites_have_an_object_of_one_name(name: str) -> None:
    files = FEEDS[name].render(world())
    items = [item for text in files.values() for item in json.loads(text)["items"]]
    named = [(i["kind"], i["metadata"].get("namespace"), i["metadata"]["name"]) for i in items]
    assert len(set(named)) == len(named)
    for item in items:
        if item["kind"] == "ResourceFlavor":
            assert item["spec"]["nodeLabels"]["topology.kubernetes.io/zone"] in files_of(files)
        if item["kind"] == "InferencePool":
            assert item["spec"]["selector"]["matchLabels"]["nearserve/site"] in files_of(files)


def files_of(files: Any) -> set[str]:
    """The sites that have files."""
    return {path.removesuffix(".json") for path in files}


def test_replicas_wait_in_the_queue_that_stands_for_them() -> None:
    options = {"site_label": "topology.kubernetes.io/zone", "kueue": True}
    queues = {
        item["metadata"]["name"]
        for text in FEEDS["kueue of one cluster"].render(world()).values()
        for item in json.loads(text)["items"]
        if item["kind"] == "LocalQueue" and item["metadata"]["namespace"] == "nearserve"
    }
    files = KubernetesFeed(DeploymentOptions.model_validate(POD | options)).render(world())
    waits = {
        item["metadata"]["labels"]["kueue.x-k8s.io/queue-name"]
        for text in files.values()
        for item in json.loads(text)["items"]
    }
    assert waits == queues


def test_the_validator_finds_what_is_wrong() -> None:
    item = json.loads(FEEDS["kubernetes"].render(world())["fra.json"])["items"][0]
    item["spec"]["replica"] = 1
    with pytest.raises(kubernetes_validate.ValidationError, match="replica"):
        kubernetes_validate.validate(item, kubernetes_validate.latest_version(), strict=True)


def odd_world() -> View:
    """The small plan with names that Kubernetes does not take."""
    seen = world()
    return replace(
        seen,
        sites={**seen.sites, "São Paulo 1": replace(seen.sites["los"], site="São Paulo 1")},
        shapes={**seen.shapes, "M8.0/quarter": replace(SHAPES[1], shape="M8.0/quarter", quarter_gpus=1)},
        replicas=(*seen.replicas, Replicas("São Paulo 1", "M8.0/quarter", "Bank & Co.", 3)),
    )


def test_all_that_is_missing_is_told_at_once() -> None:
    strange = replace(SHAPES[0], shape="strange", model="m1", gpu="tpu", quarter_gpus=8)
    sliced = replace(SHAPES[0], shape="sliced", model="m2", gpu="h100", quarter_gpus=2)
    seen = world()
    seen = replace(
        seen,
        shapes={**seen.shapes, "strange": strange, "sliced": sliced},
        replicas=(*seen.replicas, Replicas("los", "sliced", "", 1), Replicas("los", "strange", "", 2**31)),
    )
    with pytest.raises(FeedError) as error:
        KubernetesFeed(DeploymentOptions.model_validate({"images": {"m8": "registry.example/m8:1"}})).render(seen)
    said = "\n".join(error.value.reasons)
    assert len(error.value.reasons) == 4, said
    for part in ['gpus."tpu"', 'gpus."h100".half', "2147483648 replicas", "no image serves m1, m2, m70;"]:
        assert part in said


def test_an_image_that_no_registry_has_is_refused() -> None:
    seen = replace(world(), shapes={name: replace(shape, model="M 8") for name, shape in world().shapes.items()})
    with pytest.raises(FeedError, match=r"model M 8: 'registry\.example/M 8:1' is no image"):
        KubernetesFeed(DeploymentOptions.model_validate({"image": "registry.example/{model}:1"})).render(seen)


def test_two_gpus_that_nodes_do_not_tell_apart_are_refused() -> None:
    table = {"other": {"product": OPERATOR_NAMES[GPU].product}}
    names = GpuNames.with_options(PodOptions.model_validate({"gpus": table}).gpus)
    assert names.unknown([GPU]) == []
    assert "name them apart" in names.unknown([GPU, "other"])[0]


def test_the_catalog_has_a_name_for_each_of_its_gpus() -> None:
    rows = csv.DictReader((dataset("catalog") / "gpus.csv").read_text().splitlines())
    assert {row["gpu"] for row in rows} == set(OPERATOR_NAMES)
    names = GpuNames(OPERATOR_NAMES)
    assert names.resources(GPU, 1) == ("nvidia.com/mig-1g.24gb", 1)
    assert names.resources(GPU, 2) == ("nvidia.com/mig-2g.48gb", 1)
    assert names.resources("b200", 32) == ("nvidia.com/gpu", 8)


def test_a_group_of_pods_has_a_replicas_gpus_together() -> None:
    options = LeaderWorkerSetOptions.model_validate(POD | {"gpus_per_pod": 1, "worker_args": ("--worker",)})
    group = json.loads(LeaderWorkerSetFeed(options).render(world())["ams.json"])["items"][0]["spec"]
    assert (group["replicas"], group["leaderWorkerTemplate"]["size"]) == (2, 2)
    leader = group["leaderWorkerTemplate"]["leaderTemplate"]["spec"]["containers"][0]
    worker = group["leaderWorkerTemplate"]["workerTemplate"]["spec"]["containers"][0]
    assert leader["args"] == ["--tensor-parallel-size=2"]
    assert worker["args"] == ["--worker"]
    assert "readinessProbe" in leader and "readinessProbe" not in worker
    assert leader["resources"]["limits"] == worker["resources"]["limits"] == {"nvidia.com/gpu": "1"}


def test_replicas_that_do_not_divide_into_pods_are_refused() -> None:
    options = LeaderWorkerSetOptions.model_validate(POD | {"gpus_per_pod": 3})
    seen = world()
    seen = replace(seen, shapes={**seen.shapes, "m70-x2": replace(SHAPES[0], quarter_gpus=32)})
    with pytest.raises(FeedError, match="m70-x2: 8 GPUs do not divide into pods of 3"):
        LeaderWorkerSetFeed(options).render(seen)


def test_arguments_that_kserve_would_take_apart_are_refused() -> None:
    options = KserveOptions.model_validate({"args": ("--tp 2",)})
    with pytest.raises(FeedError) as error:
        KserveFeed(options).render(world())
    assert [reason.partition(":")[0] for reason in error.value.reasons] == [
        'nobody says where the weights are of m70, m8; give it in uris."m70" and so on, or for all models in uri, with '
        "{model} in it",
        "argument '--tp 2'",
    ]


def _edited(text: bytes, edit: Any) -> bytes:
    document = json.loads(text)
    edit(document)
    return json.dumps(document).encode()


@pytest.mark.parametrize(
    ("edit", "says"),
    [
        (lambda d: d["items"][0]["metadata"].pop("annotations"), "is said to run on "),
        (lambda d: d["items"][0]["spec"].pop("replicas"), "says no replicas"),
        (lambda d: d["items"][0]["spec"]["template"]["spec"]["nodeSelector"].clear(), "selects nodes with None"),
        (lambda d: d["items"][0].update(kind="Pod"), "holds Pod"),
        (lambda d: d.update(kind="Table"), "holds Table"),
        (lambda d: d.clear(), "is no Kubernetes List"),
    ],
)
def test_files_that_say_no_replicas_are_refused(edit: Any, says: str) -> None:
    feed = FEEDS["kubernetes"]
    files = {path: _edited(text, edit) for path, text in feed.render(world()).items()}
    with pytest.raises(FeedError, match=says):
        feed.read(files)


@pytest.mark.parametrize("change", [{"replicas": 6}, {"limits": {"nvidia.com/gpu": "1"}}])
def test_a_changed_figure_is_a_difference(change: dict[str, Any]) -> None:
    feed = FEEDS["kubernetes"]

    def edit(document: Any) -> None:
        spec = document["items"][0]["spec"]
        spec["replicas"] = change.get("replicas", spec["replicas"])
        resources = spec["template"]["spec"]["containers"][0]["resources"]
        resources["limits"] = change.get("limits", resources["limits"])

    files = dict(feed.render(world()))
    files["fra.json"] = _edited(files["fra.json"], edit)
    with pytest.raises(Exception, match="m8-half"):
        compared(world(), feed.read(files), feed.says)


@given(st.sampled_from(sorted(PodOptions.model_fields)))
def test_a_table_of_options_with_the_wrong_type_is_told(field: str) -> None:
    assert validated(PodOptions, {field: [[3]]}, "feeds.toml")[1]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"image": "{modle}"}, "knows no {modle}"),
        ({"image": "{"}, "is no template"),
        ({"namespace": "Big Name"}, "namespace"),
        ({"resources": {"cpu": "many"}}, "write a quantity"),
        ({"resources": {"nvidia.com/gpu": "1"}}, "nvidia.com/gpu"),
        ({"tolerations": [{"key": "a", "operator": "Exists", "value": "b"}]}, "Exists looks at no value"),
        ({"gpus": {"a": {"product": "no good"}}}, "gpus.a.product"),
    ],
)
def test_options_that_a_cluster_would_refuse_are_refused_here(options: dict[str, Any], says: str) -> None:
    found, faults = validated(PodOptions, options, "feeds.toml")
    assert found is None
    assert says in "\n".join(map(str, faults))
