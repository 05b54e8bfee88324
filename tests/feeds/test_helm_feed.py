"""Values for llm-d-modelservice: a release by hand; what the chart would need and nobody said is refused."""

import json
from dataclasses import replace

import pytest

from placement.feeds.feed import FeedError
from placement.feeds.helm import HelmFeed, HelmOptions
from tests.feeds.feed_world import view

GIVEN = {
    "image": "registry.example/vllm:1",
    "uri": "hf://example/{model}",
    "args": ("--max-model-len=8192",),
    "service_account": "serving",
    "secret": "hf-token",
}


def test_the_values_of_a_release_by_hand() -> None:
    files = HelmFeed(HelmOptions.model_validate(GIVEN | {"served_as": {"m70": "org/m70"}})).render(view())
    assert sorted(files) == [
        "ams/m70-x2.json",
        "ams/m8-half.json",
        "fra/m8-half.json",
        "fra/m8-whole--bank.json",
        "los/m8-half.json",
    ]
    values = json.loads(files["ams/m70-x2.json"])
    assert values["modelArtifacts"] | {"labels": {}} == {
        "name": "org/m70",
        "uri": "hf://example/m70",
        "size": "44G",  # 40 GB of weights and a tenth
        "authSecretName": "hf-token",
        "labels": {},
    }
    assert (values["decode"]["replicas"], values["decode"]["parallelism"]["tensor"]) == (2, 2)
    assert values["decode"]["containers"][0]["resources"]["limits"] == {"nvidia.com/gpu": "2"}
    assert values["accelerator"] == {"type": "nvidia", "resources": {"nvidia": "nvidia.com/gpu"}}
    assert values["prefill"] == {"create": False, "replicas": 0}
    assert values["serviceAccountOverride"] == "serving"
    half = json.loads(files["fra/m8-half.json"])
    assert half["accelerator"]["resources"] == {"nvidia": "nvidia.com/mig-2g.48gb"}
    assert half["decode"]["containers"][0]["resources"]["limits"] == {"nvidia.com/mig-2g.48gb": "1"}
    assert (half["decode"]["replicas"], half["decode"]["parallelism"]["tensor"]) == (7, 1)
    bank = json.loads(files["fra/m8-whole--bank.json"])["decode"]
    assert bank["tolerations"][0]["value"] == bank["nodeSelector"]["nearserve/tenant"] == "bank"


def test_weights_that_nobody_knows_need_a_volumes_size() -> None:
    seen = view(shapes={name: replace(shape, weights_gb=None) for name, shape in view().shapes.items()})
    with pytest.raises(FeedError) as error:
        HelmFeed(HelmOptions.model_validate({"image": "registry.example/vllm:1"})).render(seen)
    assert len(error.value.reasons) == 3
    assert sum("volume_gb" in reason for reason in error.value.reasons) == 2
    sized = HelmFeed(HelmOptions.model_validate(GIVEN | {"volume_gb": 50.5})).render(seen)
    assert json.loads(sized["ams/m70-x2.json"])["modelArtifacts"]["size"] == "51G"


@pytest.mark.parametrize("text", [b"{", b"{}", b"[]", b'{"decode": {"annotations": {}}}'])
def test_files_that_are_no_such_values_are_refused(text: bytes) -> None:
    with pytest.raises(FeedError, match="ams/a"):
        HelmFeed(HelmOptions()).read({"ams/a.json": text})
