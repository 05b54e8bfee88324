"""nearserve feed for clusters: what they would not take is not written, and the exit status says so."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from placement.cli import main
from tests.feeds.feed_plans import planned, reliable

FEEDS = """
targets = ["kubernetes", "httproute"]

[kubernetes]
image = "registry.example/vllm:1"
{gpus}

[httproute]
backend = "Service"
"""
GPU = '[kubernetes.gpus.g96]\nproduct = "NVIDIA-RTX"'


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Paris is served at alpha, and at beta when the metro of alpha fails; berlin is at beta and has nobody else."""
    folder = tmp_path_factory.mktemp("clusters")
    planned(folder, reliable("planned"))
    (folder / "feeds.toml").write_text(FEEDS.format(gpus=GPU))
    return folder


def route_crd(folder: Path, most: int) -> Path:
    """A CRD of HTTPRoutes that knows no more than what is asked about: weights up to `most`, a rule about names."""
    backend = {
        "type": "object",
        "properties": {
            "group": {"type": "string"},
            "kind": {"type": "string"},
            "name": {"type": "string"},
            "port": {"type": "integer"},
            "weight": {"type": "integer", "maximum": most},
        },
        "x-kubernetes-validations": [{"rule": "size(self.name) > 0", "message": "a backend has a name"}],
    }
    free: dict[str, Any] = {"type": "array", "items": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    rule = {"type": "object", "properties": {"matches": free, "backendRefs": {"type": "array", "items": backend}}}
    spec = {"type": "object", "properties": {"parentRefs": free, "rules": {"type": "array", "items": rule}}}
    version = {
        "name": "v1",
        "served": True,
        "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec}}},
    }
    names = {"group": "gateway.networking.k8s.io", "names": {"kind": "HTTPRoute"}, "scope": "Namespaced"}
    folder.mkdir()
    crd = {"kind": "CustomResourceDefinition", "spec": names | {"versions": [version]}}
    (folder / "routes.json").write_text(json.dumps(crd))
    return folder


def feed(plan: Path, output: Path, *flags: str) -> Result:
    given = ["feed", str(plan / "plan"), "-s", str(plan / "scenario"), "-o", str(output)]
    return CliRunner().invoke(main, [*given, "--feeds", str(plan / "feeds.toml"), *flags])


def test_what_the_crds_take_is_written_and_counted(plan: Path, tmp_path: Path) -> None:
    result = feed(plan, tmp_path / "out", "--crd-dir", str(route_crd(tmp_path / "crds", 1_000_000)), "--format", "json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["crds"] == {"gateway.networking.k8s.io/v1 HTTPRoute": 3}
    (deployment,) = json.loads((tmp_path / "out/kubernetes/all/beta.json").read_bytes())["items"]
    assert deployment["spec"]["replicas"] == 2  # berlin's 0.6 and, in reserve, paris' 0.8
    assert (tmp_path / "out/httproute/all/berlin.json").exists()


def test_rules_of_the_crds_that_were_not_checked_are_told(plan: Path, tmp_path: Path) -> None:
    crds = route_crd(tmp_path / "crds", 1_000_000)
    path = crds / "routes.json"
    path.write_text(path.read_text().replace("size(self.name) > 0", "self.name.nothingKnown()"))
    told = feed(plan, tmp_path / "out", "--crd-dir", str(crds)).stdout
    assert "rules of the CRDs that were not checked:\n" in told
    assert "self.name.nothingKnown()" in told.partition("not checked:")[2]


def test_what_the_crds_refuse_is_not_written(plan: Path, tmp_path: Path) -> None:
    result = feed(plan, tmp_path / "out", "--crd-dir", str(route_crd(tmp_path / "crds", 10)))
    assert result.exit_code == 5
    assert "httproute/all/berlin.json: HTTPRoute m8--chat--berlin: spec.rules[0].backendRefs[0].weight" in result.output
    assert not (tmp_path / "out").exists()


def test_a_folder_without_crds_is_bad_data(plan: Path, tmp_path: Path) -> None:
    (tmp_path / "crds").mkdir()
    result = feed(plan, tmp_path / "out", "--crd-dir", str(tmp_path / "crds"))
    assert result.exit_code == 4
    assert "holds no CustomResourceDefinition" in result.output


def test_a_gpu_that_has_no_name_on_the_nodes_is_bad_data_with_the_option_to_give(plan: Path, tmp_path: Path) -> None:
    (plan / "none.toml").write_text(FEEDS.format(gpus=""))
    result = feed(plan, tmp_path / "out", "--feeds", str(plan / "none.toml"))
    assert result.exit_code == 4
    assert 'gpus."g96"' in result.output


def test_routes_of_a_failure_stand_beside_the_normal_ones(plan: Path, tmp_path: Path) -> None:
    result = feed(plan, tmp_path / "feeds", "--target", "httproute", "--format", "json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["feeds"][0]["failover"] == "planned"
    routes = tmp_path / "feeds/httproute/all"
    assert sorted(str(path.relative_to(routes)) for path in routes.rglob("*.json")) == [
        "berlin.json",
        "failures.json",
        "failures/metro-alpha/paris.json",
        "paris.json",
    ]
    assert backends(routes / "paris.json") == ["m8--alpha"]
    assert backends(routes / "failures/metro-alpha/paris.json") == backends(routes / "berlin.json") == ["m8--beta"]
    assert json.loads((routes / "failures.json").read_bytes())["metro-beta"]["gone"] == ["berlin.json"]


def backends(path: Path) -> list[str]:
    return [ref["name"] for i in json.loads(path.read_bytes())["items"] for ref in i["spec"]["rules"][0]["backendRefs"]]
