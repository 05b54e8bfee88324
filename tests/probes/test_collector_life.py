"""A real collector over its life: set up, killed, short of room, told of new agents."""

import json
import os
import resource
import signal
import time
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from bench.probing.collector_process import CollectorProcess, post, records_of
from placement.cli import main
from probes.collector.certificates import make
from probes.store import read_folder
from probes.transport import encode
from tests.probes.collector_tools import token, until


def all_keys(collector: CollectorProcess) -> list[tuple[str, str, int]]:
    table = read_folder(collector.store)
    return sorted(zip(*(table[name].to_pylist() for name in ("agent", "boot_id", "seq")), strict=True))


def status(collector: CollectorProcess) -> dict[str, dict[str, Any]]:
    ran = CliRunner().invoke(main, ["probe", "collector", "--status", str(collector.config), "--format", "json"])
    assert ran.exit_code == 0, ran.output
    return {agent["name"]: agent for agent in json.loads(ran.stdout)["agents"]}


def test_killed_again_and_again_every_acknowledged_record_is_there_once(tmp_path: Path) -> None:
    tables = {"store": "write_every_s = 0.05\nwrite_rows = 300\ncompact_every_s = 0.3\ncompact_files = 2"}
    collector = CollectorProcess(tmp_path, tables=tables)
    at_ns = time.time_ns() - 10**12
    acknowledged: set[int] = set()
    first = 0
    for life in range(2):
        collector.start()
        with closing(collector.connect("fra1")) as connection:
            deadline = time.monotonic() + 0.3 + 0.4 * life
            while time.monotonic() < deadline:
                body = encode(records_of("fra1", first, 50, at_ns=at_ns), "fra1")
                if post(connection, body)["status"] == 200:
                    acknowledged.update(range(first, first + 50))
                    first += 45  # the next batch repeats some
            collector.kill()
    collector.start()
    with closing(collector.connect("fra1")) as connection:
        for again in range(0, first, 450):
            answer = post(connection, encode(records_of("fra1", again, 500, at_ns=at_ns), "fra1"))
            assert answer["status"] == 200 and answer["refused"] == []
    assert collector.stop() == 0
    found = [seq for _, _, seq in all_keys(collector)]
    assert len(acknowledged) > 100
    assert sorted(set(found)) == found and acknowledged <= set(found)


def test_a_full_disk_is_told_nothing_is_lost_and_it_recovers(tmp_path: Path) -> None:
    tables = {"limits": "retry_after_s = 7", "store": "write_every_s = 0.2"}
    collector = CollectorProcess(tmp_path, tables=tables)
    # No file may grow past 300 kB, as on a full disk; the hard limit is left, so that room can be made again.
    soft = 300_000
    collector.start(lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (soft, resource.RLIM_INFINITY)))
    accepted, statuses = 0, []
    for number in range(40):
        rows = [
            replace(record, rtt_ms=tuple((seq * 7919 % 10007) / 31 + 0.1 for seq in range(60)), received=60, sent=60)
            for record in records_of("fra1", number * 50, 50)
        ]
        rows = [replace(r, rtt_ms=tuple(x + hash((r.seq, x)) % 1000 / 977 for x in r.rtt_ms or ())) for r in rows]
        answer = collector.send(rows)
        statuses.append(answer["status"])
        accepted += answer.get("accepted", 0)
        if answer["status"] != 200:
            assert (answer["status"], answer["retry_after"]) == (503, "7")
            break
    assert statuses[-1] == 503 and accepted == 50 * (len(statuses) - 1)
    resource.prlimit(collector.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert until(lambda: collector.send(rows)["status"] == 200)
    assert collector.stop() == 0
    assert all_keys(collector) == [("fra1", "boot-1", seq) for seq in range(50 * len(statuses))]


def test_a_full_inbox_asks_agents_to_come_later(tmp_path: Path) -> None:
    tables = {"limits": "inbox_rows = 250", "store": "write_every_s = 3600.0"}
    with CollectorProcess(tmp_path, tables=tables) as collector:
        answers = [collector.send(records_of("fra1", first, 100)) for first in range(0, 400, 100)]
        assert [answer["status"] for answer in answers[:3]] == [200, 200, 200]
        assert answers[3]["status"] in (200, 503)  # the writer may have made room already
        if answers[3]["status"] == 503:
            assert answers[3]["retry_after"] == "15"
        until(lambda: collector.send(records_of("fra1", 300, 100))["status"] == 200)
        assert collector.stop() == 0
        assert [seq for _, _, seq in all_keys(collector)] == list(range(400))


def test_one_collector_a_folder_and_new_certificates_and_tokens_on_sighup(tmp_path: Path) -> None:
    agents = 'expected_interval_s = 3600.0\nnames = ["late1"]\ninterval_s = { ams1 = 0.05 }'
    with CollectorProcess(tmp_path, tokens=True, tables={"agents": agents}) as collector:
        ran = CliRunner().invoke(main, ["probe", "collector", str(collector.config)])
        assert ran.exit_code == 6 and "another collector" in ran.output
        assert collector.send(records_of("fra1", 0, 3))["accepted"] == 3
        assert collector.send(records_of("ams1", 0, 2), "ams1")["accepted"] == 2
        time.sleep(0.3)
        states = status(collector)
        assert {name: agent["state"] for name, agent in states.items()} == {
            "fra1": "fresh", "ams1": "quiet", "late1": "never",
        }  # fmt: skip
        assert states["fra1"]["accepted"] == 3 and states["late1"]["last_seen"] is None
        metrics = collector.metrics()
        assert metrics['agent_state{agent="ams1",state="quiet"}'] == 1
        assert metrics['agent_state{agent="fra1",state="quiet"}'] == 0

        (tmp_path / "tokens.toml").unlink()
        make(tmp_path, ["127.0.0.1"], ["new1"], tokens=True)
        collector.tables["authentication"] += '\ndenied = ["ams1"]'
        collector.write_config()
        os.kill(collector.pid, signal.SIGHUP)
        until(lambda: b"renewed" in collector.log.read_bytes())
        assert collector.send(records_of("new1", 0, 1), "new1")["accepted"] == 1
        assert collector.send(records_of("ams1", 9, 1), "ams1")["error"] == "denied"
        bearer = {"Authorization": f"Bearer {token(collector, 'fra1')}"}
        assert collector.deliver(encode([], "fra1"), None, bearer)["error"] == "unknown_token"

        (tmp_path / "tokens.toml").write_text("[agents.x]\nsha256 = 5\nexpires = 7\n")
        os.kill(collector.pid, signal.SIGHUP)
        until(lambda: collector.metrics().get('failures_total{task="renew"}') == 1)
        assert collector.send(records_of("fra1", 3, 1))["accepted"] == 1  # the old files still count
        assert collector.stop() == 0
    after = status_of_stopped(collector)
    assert after["fra1"]["accepted"] == 4


def status_of_stopped(collector: CollectorProcess) -> dict[str, dict[str, Any]]:
    (collector.folder / "tokens.toml").write_text("")
    return status(collector)


def test_every_fault_of_the_configuration_is_named_at_once(tmp_path: Path) -> None:
    path = tmp_path / "collector.toml"
    path.write_text(
        '[server]\ncertificate = "c"\nkey = "k"\naddress = "localhost"\nport = "x"\n'
        '[authentication]\nrequire = "token"\n[store]\n[limits]\nconection = 5\n[metrics]\naddress = "0.0.0.0"\n'
    )
    ran = CliRunner().invoke(main, ["probe", "collector", str(path)])
    assert ran.exit_code == 4
    for said in ("server.address", "server.port", "tokens", "store.folder", "did you mean connections?", "loopback"):
        assert said in ran.output
    path.write_text(
        '[server]\ncertificate = "c"\nkey = "k"\n[authentication]\nclient_ca = "ca"\n[store]\nfolder = "m"\n'
    )
    ran = CliRunner().invoke(main, ["probe", "collector", str(path)])
    assert ran.exit_code == 4 and "PEM" in ran.output


def test_certificates_are_made_for_a_first_try_and_renewed(tmp_path: Path) -> None:
    folder = str(tmp_path / "pki")
    asked = ["probe", "collector", "--make-certificates", folder, "--host", "::1", "--host", "c.example"]
    ran = CliRunner().invoke(main, [*asked, "--agent", "fra1", "--tokens", "--format", "json"])
    assert ran.exit_code == 0, ran.output
    made = {Path(one["path"]).name: one for one in json.loads(ran.stdout)["files"]}
    for name in ("ca.key", "server.key", "fra1.key", "fra1.token"):
        assert Path(made[name]["path"]).stat().st_mode & 0o777 == 0o600
    ends = datetime.fromisoformat(made["fra1.pem"]["expires"]) - datetime.now(UTC)
    assert timedelta(days=29) < ends <= timedelta(days=30)
    assert token_is_not_in(tmp_path / "pki/tokens.toml", Path(made["fra1.token"]["path"]).read_text().strip())
    ca = Path(made["ca.pem"]["path"]).read_bytes()
    again = CliRunner().invoke(main, [*asked, "--agent", "ams1"])
    assert again.exit_code == 0 and Path(made["ca.pem"]["path"]).read_bytes() == ca
    assert CliRunner().invoke(main, [*asked, "--agent", "x", "--tokens"]).exit_code == 4
    assert CliRunner().invoke(main, [*asked, "--agent", "../x"]).exit_code == 4
    assert CliRunner().invoke(main, ["probe", "collector", "--make-certificates", folder]).exit_code == 2


def token_is_not_in(path: Path, secret: str) -> bool:
    return len(secret) >= 43 and secret not in path.read_text()
