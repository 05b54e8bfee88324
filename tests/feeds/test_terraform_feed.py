"""Terraform's values: by hand, read back, held against the types of the documented module, and run with Terraform."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings

from placement.feeds.feed import FeedError
from placement.feeds.terraform import FILE, Terraform, TerraformOptions
from placement.feeds.view import Replicas, View
from tests.feeds.feed_world import REPLICAS, view
from tests.feeds.random_views import expected, shuffled, views

DOCUMENT = Path(__file__).parents[2] / "docs" / "feeds-terraform.md"
VARIABLES, MAIN = re.findall(r"```hcl\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
FEED = Terraform(TerraformOptions())
APPROVED = "0" * 64


def values(seen: View) -> dict[str, Any]:
    return json.loads(FEED.render(seen)[FILE])


def test_the_values_of_a_small_plan_by_hand() -> None:
    said = values(view())
    assert said["nearserve_plan"] == {"scenario": "small", "plan_sha256": APPROVED, "period": None, "slice": None}
    assert list(said["nearserve_servers"]) == ["ams/rtx-8", "fra/rtx-4", "fra/rtx-4/bank", "los/rtx-4"]
    assert said["nearserve_servers"]["fra/rtx-4/bank"] == {
        "site": "fra",
        "server": "rtx-4",
        "tenant": "bank",
        "gpu": "rtx-pro-6000-se",
        "gpus": 4,
        "count": 1,
    }
    assert said["nearserve_replicas"]["fra/m8-half"]["count"] == 7
    assert said["nearserve_sites"]["fra"]["gpus"] == 12
    assert said["nearserve_sites"]["fra"]["domains"] == ["grid-de", "metro-fra"]


@settings(max_examples=40, deadline=None)
@given(seen=views())
def test_every_count_is_read_back_and_the_order_of_rows_is_nothing(seen: View) -> None:
    files = FEED.render(seen)
    read = FEED.read(files)
    told = {fact: expected(seen, fact) for fact in Terraform.says if fact.what != "gpus"}
    assert {fact: read[fact] for fact in told} == told
    (gpus,) = (read[fact] for fact in Terraform.says if fact.what == "gpus")
    assert gpus == {(row.site,): row.gpus * row.count for row in seen.servers}
    assert FEED.render(shuffled(seen)) == files


def test_names_with_a_slash_stay_apart() -> None:
    rows = (Replicas("ams", "m8-half", "", 1), Replicas("ams/m8-half", "m8-half", "", 1))
    sites = {**view().sites, "ams/m8-half": view().sites["ams"]}
    assert list(values(view(replicas=rows, sites=sites, servers=()))["nearserve_replicas"]) == [
        "ams%2Fm8-half/m8-half",
        "ams/m8-half",
    ]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda v: v["nearserve_servers"]["ams/rtx-8"].update(count=2), "GPUs of ams are not those of its servers"),
        (lambda v: v["nearserve_replicas"]["los/m8-half"].update(count=1.5), "count is 1.5, and no whole number above"),
        (lambda v: v["nearserve_replicas"]["los/m8-half"].update(site="ams"), "los/m8-half is not what its row says"),
        (lambda v: v.pop("nearserve_sites"), "holds no values of a plan"),
    ],
)
def test_a_file_that_contradicts_itself_is_refused(change: Callable[[dict], None], reason: str) -> None:
    said = values(view())
    change(said)
    with pytest.raises(FeedError, match=reason):
        FEED.read({FILE: json.dumps(said).encode()})


def test_a_count_that_readers_of_json_would_round_is_refused() -> None:
    with pytest.raises(FeedError, match=r"ams/m8-half has 9007199254740993, more than 2\^53"):
        FEED.render(view(replicas=(Replicas("ams", "m8-half", "", 2**53 + 1),)))


def declared() -> dict[str, dict[str, str]]:
    """variable → attribute → type, of the documented module; a reading of our own of just that much HCL."""
    found = {}
    for name, body in re.findall(r'variable "(\w+)" \{(.*?)\n\}', VARIABLES, re.DOTALL):
        if match := re.search(r"object\(\{(.*?)\n  \}\)", body, re.DOTALL):
            found[name] = dict(re.findall(r"(\w+)\s*= (\S+)", match[1]))
    return found


def fits(value: Any, kind: str) -> bool:
    if kind.startswith("optional("):
        return value is None or fits(value, kind.removeprefix("optional(").removesuffix(")"))
    if kind == "list(string)":
        return isinstance(value, list) and all(isinstance(part, str) for part in value)
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return {"string": isinstance(value, str), "number": number}[kind]


def test_the_file_has_the_types_that_the_documented_module_declares() -> None:
    said, types = values(view()), declared()
    assert said.keys() == types.keys()
    for name, attributes in types.items():
        for row in [said[name]] if name == "nearserve_plan" else said[name].values():
            assert row.keys() == attributes.keys()
            assert all(fits(row[key], kind) for key, kind in attributes.items()), row


@pytest.fixture
def module(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """The documented module in a folder with the values of a view; a call runs Terraform in it."""
    found = shutil.which("terraform")
    if found is None:
        pytest.skip("terraform is not on this machine; the types are held by our own reading above")
    (tmp_path / "variables.tf").write_text(VARIABLES)
    (tmp_path / "main.tf").write_text(MAIN)
    (tmp_path / "rc").write_text("disable_checkpoint = true\n")
    environment = {**os.environ, "CHECKPOINT_DISABLE": "1", "TF_CLI_CONFIG_FILE": str(tmp_path / "rc")}

    def run(*arguments: str, seen: View | None = None) -> subprocess.CompletedProcess[str]:
        if seen is not None:
            (tmp_path / FILE).write_bytes(FEED.render(seen)[FILE])
        command = [found, arguments[0], "-no-color", *arguments[1:]]
        return subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120, check=False
        )

    started = run("init", seen=view())
    assert started.returncode == 0, started.stderr
    return run


def test_terraform_plans_applies_and_then_has_nothing_to_do(module) -> None:
    approve = f"-var=approved_plan_sha256={APPROVED}"
    applied = module("apply", "-auto-approve", approve)
    assert applied.returncode == 0, applied.stderr
    assert "Apply complete! Resources: 10 added" in applied.stdout  # 4 of servers, 5 of replicas, the approval
    assert module("plan", "-detailed-exitcode", approve).returncode == 0  # nothing to do
    assert json.loads(module("output", "-json").stdout)["gpus"]["value"] == {"ams": 8, "fra": 12, "los": 4}
    more = view(replicas=(*REPLICAS[:4], Replicas("los", "m8-half", "", 2)))
    changed = module("plan", "-detailed-exitcode", approve, seen=more)
    assert changed.returncode == 2
    assert "Plan: 0 to add, 1 to change, 0 to destroy" in changed.stdout
    assert 'terraform_data.replicas["los/m8-half"]' in changed.stdout


def test_terraform_refuses_a_plan_that_was_not_approved_and_a_saved_one_that_is_stale(module) -> None:
    other = module("plan", "-var=approved_plan_sha256=" + "1" * 64)
    assert other.returncode == 1
    assert "This plan is not the one that was approved" in other.stderr
    approve = f"-var=approved_plan_sha256={APPROVED}"
    assert module("plan", approve, "-out=next").returncode == 0
    assert module("apply", "-auto-approve", approve).returncode == 0
    stale = module("apply", "next")
    assert stale.returncode == 1
    assert "Saved plan is stale" in stale.stderr


def test_terraform_refuses_a_file_of_another_form(module, tmp_path: Path) -> None:
    content = (tmp_path / FILE).read_text()
    for old, new, told in (
        ('"count": 7', '"count": "many"', "a number is required"),
        ('"count": 7', '"count": 7.5', "A count of replicas is no whole number above 0"),
        (APPROVED, "0" * 63, "plan_sha256 is no SHA-256"),
    ):
        (tmp_path / FILE).write_text(content.replace(old, new))
        found = module("plan", f"-var=approved_plan_sha256={APPROVED}")
        assert found.returncode == 1
        assert told in found.stderr
