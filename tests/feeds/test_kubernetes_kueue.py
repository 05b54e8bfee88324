"""Kueue's quotas: what serves, what jobs take and what is left are together what servers hold."""

import json
from dataclasses import replace
from typing import Any

import pytest

from placement.feeds.feed import FeedError
from placement.feeds.kubernetes.kueue import KueueFeed, KueueOptions
from placement.feeds.view import Moment, Replicas, View
from tests.feeds.feed_world import SHAPES, view

WHOLE, HALF, QUARTER = "nvidia.com/gpu", "nvidia.com/mig-2g.48gb", "nvidia.com/mig-1g.24gb"
FEED = KueueFeed(KueueOptions())


def world() -> View:
    """The small plan, with a job of one GPU at ams: 4 GPUs and 5 halves serve there, and 8 stand there."""
    seen = view()
    return replace(seen, jobs=(seen.jobs[0]._replace(quarter_gpus=4),))


def quotas(text: bytes) -> dict[str, dict[str, int]]:
    """Nominal quotas that are not 0, by "kind name" and resource."""
    found: dict[str, dict[str, int]] = {}
    for item in json.loads(text)["items"]:
        for group in item["spec"].get("resourceGroups", []):
            named = found.setdefault(f"{item['kind']} {item['metadata']['name']}", {})
            for flavor in group["flavors"]:
                named |= {one["name"]: one["nominalQuota"] for one in flavor["resources"] if one["nominalQuota"]}
    return found


def test_the_quotas_of_a_site_by_hand() -> None:
    files = FEED.render(world())
    assert quotas(files["ams.json"]) == {
        "Cohort gpus": {HALF: 1},  # the third GPU that halves cut
        "ClusterQueue serving": {WHOLE: 4, HALF: 5},
        "ClusterQueue jobs": {WHOLE: 1},
    }
    assert quotas(files["fra.json"]) == {
        "Cohort gpus": {WHOLE: 4, HALF: 1},
        "ClusterQueue serving": {HALF: 7},
        "ClusterQueue jobs": {},
        "Cohort gpus--bank": {WHOLE: 3},
        "ClusterQueue serving--bank": {WHOLE: 1},
    }


@pytest.mark.parametrize(
    ("quarters", "halves", "left"),
    [(1, 0, {HALF: 1, QUARTER: 1}), (2, 0, {HALF: 1}), (3, 1, {HALF: 1, QUARTER: 1}), (1, 1, {QUARTER: 1}), (2, 1, {})],
)
def test_what_slices_leave_of_a_gpu_is_slices(quarters: int, halves: int, left: dict[str, int]) -> None:
    shapes = {"q": replace(SHAPES[1], shape="q", quarter_gpus=1), "h": SHAPES[1]}
    counts = {"q": quarters, "h": halves}
    rows = tuple(Replicas("los", name, "", count) for name, count in sorted(counts.items()) if count)
    whole = 4 - -(-(quarters + 2 * halves) // 4)
    found = quotas(FEED.render(view(shapes=shapes, replicas=rows, jobs=()))["los.json"])
    assert found["Cohort gpus"] == {WHOLE: whole} | left


def test_queues_admit_their_own_namespace_and_stand_in_their_own_cohort() -> None:
    items = json.loads(FEED.render(world())["fra.json"])["items"]
    queues: dict[str, Any] = {item["metadata"]["name"]: item for item in items if item["kind"] == "ClusterQueue"}
    assert queues["jobs"]["spec"]["namespaceSelector"]["matchLabels"] == {"kubernetes.io/metadata.name": "jobs"}
    assert queues["serving--bank"]["spec"]["cohortName"] == "gpus--bank"
    local = {(i["metadata"]["namespace"], i["metadata"]["name"]): i for i in items if i["kind"] == "LocalQueue"}
    assert set(local) == {("nearserve", "serving"), ("nearserve", "serving--bank"), ("jobs", "jobs")}
    (flavor,) = [i for i in items if i["metadata"]["name"] == "rtx-pro-6000-se--bank"]
    assert flavor["spec"]["nodeLabels"]["nearserve/tenant"] == "bank"
    assert flavor["spec"]["tolerations"][0]["value"] == "bank"


def test_a_job_counts_in_the_slices_that_it_runs_in() -> None:
    job = world().jobs[0]._replace(slices=("night",))
    for of_slice, gpus in (("night", {WHOLE: 1}), ("day", {})):
        found = quotas(FEED.render(view(jobs=(job,), moment=Moment(slice=of_slice)))["ams.json"])
        assert found["ClusterQueue jobs"] == gpus


def test_more_than_the_servers_hold_is_refused_at_every_site() -> None:
    rows = (Replicas("ams", "m70-x2", "", 5), Replicas("fra", "m8-whole", "bank", 5), Replicas("los", "m8-half", "", 8))
    with pytest.raises(FeedError) as error:
        FEED.render(view(replicas=rows, jobs=()))
    assert [reason.partition(":")[0] for reason in error.value.reasons] == [
        "site ams, rtx-pro-6000-se",
        "site fra, rtx-pro-6000-se of bank",
    ]


def test_quotas_that_are_no_whole_servers_are_refused() -> None:
    files = {
        path: text.replace(b'"nominalQuota": 5', b'"nominalQuota": 4') for path, text in FEED.render(world()).items()
    }
    with pytest.raises(FeedError, match="ams/rtx-pro-6000-se: 30/4 of a GPU are no servers"):
        FEED.read(files)


def test_older_versions_of_kueue_call_the_cohort_otherwise() -> None:
    items = json.loads(KueueFeed(KueueOptions(api="v1beta1")).render(world())["los.json"])["items"]
    assert {item["apiVersion"] for item in items} == {"kueue.x-k8s.io/v1beta1"}
    assert [i["spec"]["cohort"] for i in items if i["kind"] == "ClusterQueue"] == ["gpus", "gpus"]
