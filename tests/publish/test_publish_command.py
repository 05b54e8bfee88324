"""`nearserve publish` as its users meet it: a plan from its scenario, published, gone back from, verified."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

from placement.cli import main
from placement.cli.publish import COMMANDS
from placement.planning import plan_scenario
from placement.publish.store import Store
from placement.scenario import Scenario, load
from placement.solving import Request
from placement.topology import Topology, build_pairs
from tests import tiny
from tests.servers import free_port, program

Run = Callable[..., Result]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A scenario, a plan of it, and another one with a pin."""
    folder = tmp_path_factory.mktemp("made")
    scenario = load(tiny.write(folder / "scenario"))
    from placement.pinning import parse_pin  # noqa: PLC0415

    for name, pins in (("plan", ()), ("pinned", (parse_pin("m8@alpha:2"),))):
        plan_scenario(scenario, folder / name, Request("auto", 1e-4, None, 5, pins=pins))
    (folder / "feeds.toml").write_text('targets = ["csv"]\n')
    return folder


@pytest.fixture
def read_once(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The scenario and its topology are read once for all tests, which takes most of a run."""
    scenario = _read(made / "scenario")
    monkeypatch.setattr("placement.cli.publish_plan.load_scenario", lambda _: scenario)
    monkeypatch.setattr("placement.topology.build_pairs", lambda scenario: _pairs(scenario.folder))


@cache
def _read(folder: Path) -> Scenario:
    return load(folder)


@cache
def _pairs(folder: Path) -> Topology:
    return build_pairs(_read(folder))


@pytest.fixture
def run(made: Path, tmp_path: Path) -> Run:
    def call(*arguments: object, code: int = 0, store: Path = tmp_path / "store") -> Result:
        words = [
            "publish",
            *(str(made / each) if each in ("plan", "pinned") and j else str(each) for j, each in enumerate(arguments)),
        ]
        if words[1] == "plan":
            words += ["--scenario", str(made / "scenario"), "--feeds", str(made / "feeds.toml")]
        found = CliRunner().invoke(main, [*words, "--store", str(store)])
        assert found.exit_code == code, (found.output, found.exception)
        return found

    return call


def said(result: Result) -> Any:
    return json.loads(result.stdout)


def test_a_plan_is_published_with_its_feeds_once(made: Path, run: Run, tmp_path: Path) -> None:
    assert "would publish" in run("plan", "plan", "--dry-run").stdout
    assert not (tmp_path / "store").exists()
    first = said(run("plan", "plan", "--format", "json"))
    assert first["number"] == 1 and first["new"]
    current = tmp_path / "store" / "current"
    for file in ("plan.json", "routes.parquet", "certificate.npz"):
        assert (current / "plan" / file).read_bytes() == (made / "plan" / file).read_bytes()
    routes = (current / "feeds" / "csv" / "all" / "routes.csv").read_text().splitlines()
    assert len(routes) - 1 == pq.read_table(made / "plan" / "routes.parquet").num_rows
    assert "nothing to publish: generation 1 says the same" in run("plan", "plan").stdout
    assert "nothing to publish" in run("plan", "plan", "--dry-run").stdout
    assert "published generation 2" in run("plan", "pinned").stdout


@pytest.mark.usefixtures("read_once")
def test_going_back_and_not_forth_again(run: Run) -> None:
    run("plan", "plan")
    run("plan", "pinned", "--by", "ann")
    assert "`nearserve publish rollback` leads back to generation 1" in run("list").stdout
    assert "rolled back" in run("rollback", "--by", "bob", "--reason", "alpha is hot").stdout
    assert [each["number"] for each in said(run("list", "--format", "json"))["generations"]] == [1, 2]
    assert said(run("list", "--format", "json"))["current"] == 1
    assert "rolled back" in run("list").stdout
    assert "--again" in run("plan", "pinned", code=6).stderr
    assert "published generation 3" in run("plan", "pinned", "--again").stdout
    log = run("log").stdout
    for word in ("ann", "bob", "alpha is hot", "rollback"):
        assert word in log
    assert [entry["number"] for entry in said(run("log", "--format", "json"))] == [1, 1, 2, 2, 1, 1, 3, 3]
    assert "no generation 7" in run("rollback", "--to", 7, code=2).stderr
    assert "taken away: none" in run("prune", "--keep", 1).stdout  # all of them within the hour
    assert "verify: passed, 3 generations" in run("verify").stdout


def test_a_plan_that_fails_its_audit_is_not_published(made: Path, run: Run, tmp_path: Path) -> None:
    run("plan", "plan")
    broken = tmp_path / "broken"
    broken.mkdir()
    for path in (made / "plan").iterdir():
        (broken / path.name).write_bytes(path.read_bytes())
    told = json.loads((broken / "plan.json").read_bytes())
    told["replicas"][0]["count"] += 9
    (broken / "plan.json").write_text(json.dumps(told))
    assert "failed its audit; nothing was published" in run("plan", broken, code=5).stderr
    assert said(run("list", "--format", "json"))["current"] == 1
    assert run("verify").stdout


@pytest.mark.usefixtures("read_once")
def test_signed_and_refused(made: Path, run: Run, tmp_path: Path) -> None:
    key = tmp_path / "key"
    subprocess.run([program("ssh-keygen", "openssh-client"), "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    (tmp_path / "allowed").write_text(f"me@example.org {(tmp_path / 'key.pub').read_text()}")
    (tmp_path / "publish.toml").write_text(
        '[signature]\nkey = "key"\nallowed_signers = "allowed"\nidentity = "me@example.org"\n'
    )
    settings = ("--settings", tmp_path / "publish.toml")
    trusted = ("--allowed-signers", tmp_path / "allowed", "--identity", "me@example.org")
    run("plan", "plan", *settings)
    assert "as published and signed" in run("verify", *trusted).stdout
    run("plan", "pinned")
    refused = run("verify", *settings, "--format", "json", code=5)
    (finding,) = said(refused)["findings"]
    assert finding.endswith("manifest.json: is not signed")
    assert "1 generation as published" in run("verify", 1, *settings).stdout
    assert "together" in run("verify", "--identity", "me", code=2).stderr
    assert said(run("plan", "plan", "--sign", key, *trusted, "--format", "json"))["number"] == 3


def test_settings_are_checked_all_at_once(run: Run, tmp_path: Path) -> None:
    (tmp_path / "publish.toml").write_text(
        '[signature]\nkey = "nowhere"\nidentity = "me"\n[etcd]\nendpoints = ["host:1"]\nkey = "k"\nuser = "u"\n'
    )
    told = run("list", "--settings", tmp_path / "publish.toml", code=4).stderr
    for key in ("signature.key", "signature.allowed_signers", "etcd.endpoints.0", "etcd.password_file"):
        assert key in told
    (tmp_path / "publish.toml").write_text("[keep]\nnewest = 0\nnewst = 1\n")
    told = run("list", "--settings", tmp_path / "publish.toml", code=4).stderr
    assert "keep.newest" in told and "keep.newst" in told


@pytest.mark.usefixtures("read_once")
def test_what_goes_wrong_has_its_exit_code(made: Path, run: Run, tmp_path: Path) -> None:
    store = tmp_path / "store"
    assert "is no store" in run("list", code=2).stderr
    (tmp_path / "empty").mkdir()
    assert "plan.json: is no plan" in run("plan", tmp_path / "empty", code=4).stderr
    down = ("--etcd", f"http://127.0.0.1:{free_port()}", "--etcd-key", "/k")
    assert "did not answer" in run("plan", "plan", *down, code=8).stderr
    with Store(store).writing():
        assert "is writing" in run("plan", "plan", code=6).stderr
    run("plan", "plan")
    path = next((store / "generations").glob("000001-*")) / "plan" / "plan.json"
    path.chmod(0o644)
    path.write_bytes(b"{}")
    found = run("verify", code=5)
    assert "plan/plan.json: was changed" in found.stdout
    assert "plan/plan.json: was changed" in run("plan", "plan", code=5).stderr
    (store / "current").unlink()
    assert "`nearserve publish rollback --to N` sets it right" in run("plan", "pinned", code=5).stderr


def test_a_file_of_the_plan_that_cannot_be_read_is_named(run: Run, made: Path, tmp_path: Path) -> None:
    """A pipe is one that even root cannot copy."""
    odd = tmp_path / "odd"
    shutil.copytree(made / "plan", odd)
    os.mkfifo(odd / "notes")
    told = run("plan", odd, code=4).stderr
    assert "odd/notes" in told and "nothing was published" in told
    assert said(run("list", "--format", "json"))["current"] is None


@pytest.mark.usefixtures("read_once")
def test_an_approval_must_be_for_this_very_change(made: Path, run: Run, tmp_path: Path) -> None:
    from placement.diff.approval import approve  # noqa: PLC0415
    from placement.diff.changes import changes  # noqa: PLC0415

    scenario = load(made / "scenario")
    approval = tmp_path / "approval.json"
    approval.write_bytes(approve(changes(None, made / "plan", scenario), "ann", datetime.now(UTC)))
    assert "approval does not hold" in run("plan", "pinned", "--approve", approval, code=6).stderr
    run("plan", "plan", "--approve", approval)
    assert "approval does not hold" in run("plan", "plan", "--again", "--approve", approval, code=6).stderr
    approval.write_text("{}")
    assert "no approval" in run("plan", "pinned", "--approve", approval, code=4).stderr


@pytest.mark.parametrize("command", list(COMMANDS))
def test_every_command_helps_with_an_example(command: str) -> None:
    told = CliRunner().invoke(main, ["publish", command, "--help"])
    assert told.exit_code == 0 and f"Example: nearserve publish {command}" in told.stdout
