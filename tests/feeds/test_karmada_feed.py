"""Karmada: weights that divide exactly by its own rules, overrides that make one site's Deployment of another's."""

import json
from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from placement.feeds.compare import compared
from placement.feeds.feed import FeedError
from placement.feeds.karmada import KarmadaFeed, KarmadaOptions
from placement.feeds.kubernetes.naming import dns_label
from placement.feeds.kubernetes.patches import Patch, patched, patches
from placement.feeds.view import Replicas, View
from tests.feeds.feed_world import SHAPES, view
from tests.feeds.kubernetes_views import cluster_views

IMAGE = {"image": "registry.example/serve:1"}


def feed(**options: object) -> KarmadaFeed:
    return KarmadaFeed(KarmadaOptions.model_validate(IMAGE | options))


def items(files: Any, path: str) -> dict[str, Any]:
    return {item["metadata"]["name"]: item for item in json.loads(files[path])["items"]}


def webster(seats: int, weights: dict[str, int]) -> dict[str, int]:
    """Seats one by one to the highest weight / (2·seats so far + 1), as Karmada from 1.16 on divides replicas."""
    given_to = dict.fromkeys(weights, 0)
    for _ in range(seats):
        winner = max(weights, key=lambda name: Fraction(weights[name], 2 * given_to[name] + 1))
        given_to[winner] += 1
    return given_to


def floors(seats: int, weights: dict[str, int]) -> dict[str, int]:
    """Shares rounded down, and the rest by weight, as Karmada divided before."""
    total = sum(weights.values())
    found = {name: seats * weight // total for name, weight in weights.items()}
    for name in sorted(weights, key=lambda name: -weights[name])[: seats - sum(found.values())]:
        found[name] += 1
    return found


@settings(max_examples=40, deadline=None)
@given(seen=cluster_views(), by=st.sampled_from(["shape", "model"]))
def test_karmada_divides_into_the_plans_replicas_and_rounds_nothing(seen: View, by: str) -> None:
    files = feed(workloads=by).render(seen)
    if not seen.replicas:
        assert files == {}
        return
    sites = items(files, "clusters.json")["nearserve-clusters"]["data"]
    deployments = items(files, "deployments.json")
    placed = 0
    for name, policy in items(files, "propagation-policies.json").items():
        scheduling = policy["spec"]["placement"]["replicaScheduling"]
        assert (scheduling["replicaSchedulingType"], scheduling["replicaDivisionPreference"]) == ("Divided", "Weighted")
        rules = scheduling["weightPreference"]["staticWeightList"]
        weights = {c: rule["weight"] for rule in rules for c in rule["targetCluster"]["clusterNames"]}
        assert min(weights.values()) > 0
        assert set(weights) <= set(sites)
        seats = deployments[name]["spec"]["replicas"]
        assert webster(seats, weights) == floors(seats, weights) == weights
        placed += seats
    assert placed == sum(row.count for row in seen.replicas)


def test_the_policies_of_the_small_plan_by_hand() -> None:
    files = feed().render(view())
    assert sorted(files) == ["clusters.json", "deployments.json", "propagation-policies.json"]
    half = items(files, "propagation-policies.json")["m8-half"]["spec"]
    assert half["resourceSelectors"] == [
        {"apiVersion": "apps/v1", "kind": "Deployment", "name": "m8-half", "namespace": "nearserve"}
    ]
    assert half["placement"] == {
        "clusterAffinity": {"clusterNames": ["ams", "fra", "los"]},
        "replicaScheduling": {
            "replicaSchedulingType": "Divided",
            "replicaDivisionPreference": "Weighted",
            "weightPreference": {
                "staticWeightList": [
                    {"targetCluster": {"clusterNames": ["los"]}, "weight": 1},
                    {"targetCluster": {"clusterNames": ["ams"]}, "weight": 5},
                    {"targetCluster": {"clusterNames": ["fra"]}, "weight": 7},
                ]
            },
        },
    }
    assert items(files, "deployments.json")["m8-half"]["spec"]["replicas"] == 13


def two_ways() -> View:
    """m8 in halves at ams and fra, in whole GPUs at los, and in both at fra."""
    shapes = {shape.shape: shape for shape in SHAPES}
    rows = (
        Replicas("ams", "m8-half", "", 5),
        Replicas("fra", "m8-half", "", 7),
        Replicas("fra", "m8-whole", "", 2),
        Replicas("los", "m8-whole", "", 3),
    )
    return view(shapes=shapes, replicas=rows, jobs=())


def test_a_site_with_another_shape_gets_it_by_an_override() -> None:
    files = feed(workloads="model", args=("--slots={gpus}", "--shape={shape}")).render(two_ways())
    made = items(files, "deployments.json")
    second = dns_label("m8", "", "2")  # of sites that run the model in two ways
    assert {name: item["spec"]["replicas"] for name, item in made.items()} == {"m8": 15, second: 2}
    (rule,) = items(files, "override-policies.json")["m8"]["spec"]["overrideRules"]
    assert rule["targetCluster"] == {"clusterNames": ["los"]}
    changed = {one["path"]: (one["operator"], one.get("value")) for one in rule["overriders"]["plaintext"]}
    container = "/spec/template/spec/containers/0"
    assert changed[f"{container}/args/1"] == ("replace", "--shape=m8-whole")
    assert changed[f"{container}/resources/limits/nvidia.com~1gpu"] == ("add", "1")
    assert changed[f"{container}/resources/limits/nvidia.com~1mig-2g.48gb"] == ("remove", None)
    assert not any(path.startswith("/spec/selector") for path in changed)  # it cannot change
    assert compared(two_ways(), feed(workloads="model").read(files), KarmadaFeed.says) == 8


def test_clusters_are_called_as_options_say() -> None:
    files = feed(clusters={"los": "lagos-1"}).render(view())
    assert items(files, "clusters.json")["nearserve-clusters"]["data"] == {"ams": "ams", "fra": "fra", "lagos-1": "los"}
    with pytest.raises(FeedError, match="two sites one cluster"):
        feed(clusters={"los": "fra"}).render(view())
    with pytest.raises(FeedError, match="here a site is a cluster"):
        feed(site_label="topology.kubernetes.io/zone").render(view())


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (b'"replicas": 13', b'"replicas": 14', "its 14 replicas are not the sum"),
        (b'["ams", "fra", "los"]', b'["ams", "fra"]', "clusters with weights are not those"),
        (b"staticWeightList", b"staticWeights", "do not say how replicas are divided"),
    ],
)
def test_policies_that_do_not_divide_exactly_are_refused(old: bytes, new: bytes, says: str) -> None:
    files = {path: text.replace(old, new) for path, text in feed().render(view()).items()}
    with pytest.raises(FeedError, match=says):
        feed().read(files)


def test_a_deployment_without_a_policy_goes_nowhere_and_is_refused() -> None:
    files = dict(feed().render(view()))
    files["propagation-policies.json"] = b'{"kind": "List", "items": []}'
    with pytest.raises(FeedError, match="Deployment m8-half: no PropagationPolicy sends it anywhere"):
        feed().read(files)


def test_more_replicas_than_a_deployment_counts_are_refused() -> None:
    rows = tuple(replace(row, count=2**30) for row in view().replicas)
    with pytest.raises(FeedError, match="m8-half: its replicas at all sites are more than Kubernetes counts"):
        feed().render(view(replicas=rows))


JSON = st.recursive(
    st.integers(0, 3) | st.text("a~/0", max_size=2),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("a~/0", max_size=2), inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.dictionaries(st.text("a~/0", max_size=2), JSON, max_size=3)


@given(OBJECTS, OBJECTS)
def test_patches_make_any_object_of_any_other(base: dict[str, Any], other: dict[str, Any]) -> None:
    before = json.dumps(base)
    changes = [Patch.read(patch.manifest()) for patch in patches(base, other)]
    assert patched(base, changes) == other
    assert json.dumps(base) == before
    assert patches(base, base) == []
