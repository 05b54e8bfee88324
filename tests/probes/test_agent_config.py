"""The agent's files: every fault at once, with file, key and mend; lists of targets as written and read."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from placement.cli.probe_agent import command
from probes.agent.config import load_targets, read_config
from probes.agent.measuring import means
from probes.agent.targets import Target, parse_targets, read_targets, write_targets
from probes.document import DocumentError
from probes.log import RepeatLimit
from probes.wire.keys import KeyFileError

GOOD = """
agent = "fra1-a"
source = "fra1"
user = "nobody"
spool = { path = "spool.sqlite" }
[allow]
networks = ["203.0.113.0/24", "2001:db8::/32"]
[methods.icmp]
interval_s = 60
[[target]]
name = "ams1"
host = "203.0.113.7"
methods = ["icmp", "tcp"]
"""


def faults(tmp_path: Path, text: str) -> list[str]:
    path = tmp_path / "agent.toml"
    path.write_text(text)
    with pytest.raises(DocumentError) as caught:
        load_targets(read_config(path), path)
    return [str(fault).removeprefix(str(tmp_path) + "/") for fault in caught.value.faults]


def test_a_small_file_is_enough_and_says_the_rest(tmp_path: Path) -> None:
    path = tmp_path / "agent.toml"
    path.write_text(GOOD)
    config = read_config(path)
    assert config.spool.max_bytes == 512 * 1024 * 1024 and config.rates.packets_per_s == 1000
    assert config.methods.used.keys() == {"icmp"} and config.methods.icmp is not None
    assert config.methods.icmp.probes == 3
    assert load_targets(config, path)[0].ports == {"icmp": None, "tcp": 443}


def test_every_fault_of_the_file_is_told_at_once_with_its_key_and_the_mend(tmp_path: Path) -> None:
    text = GOOD.replace('agent = "fra1-a"', 'agent = "fra 1"').replace('"203.0.113.0/24"', '"203.0.113.1/24"')
    text = text.replace("interval_s = 60", 'interval_s = "60"\nprobs = 3').replace('source = "fra1"', "")
    found = faults(tmp_path, text + 'metric = 1\n[collector]\nurl = "http://x"\n')
    assert len(found) == 7
    expected = [
        "agent.toml: agent = 'fra 1': is no name of an agent (use letters, digits, . _ -, at most 63)",
        "agent.toml: source: is missing (give it)",
        "allow.networks = ",
        "methods.icmp.interval_s = '60': input should be a valid number",
        "agent.toml: methods.icmp.probs: this key is not known (did you mean probes?)",
        "agent.toml: target.0.metric: this key is not known",
        "agent.toml: collector.url = 'http://x': is no https://",
    ]
    for part in expected:
        assert any(part in fault for fault in found), (part, found)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ((GOOD, "agent = "), "is no TOML"),
        (("[methods.icmp]\ninterval_s = 60", "[methods]"), "no method is given"),
        (("interval_s = 60", "interval_s = 0.1"), "the methods want 30 packets/s to each target"),
        (("interval_s = 60", "interval_s = 60\nprobes = 99"), "above rates.target_packets_per_s"),
        (("[[target]]", "[targets]\nfile = 'x'\n[[target]]"), "targets stand in one place"),
        (("spool.sqlite", "no/such/folder/spool.sqlite"), "there is no"),
        (("[allow]", "[collector]\nurl = 'https://c.test'\n[allow]"), "the collector would not know the agent"),
        (
            ("[allow]", "[collector]\nurl = 'https://c.test'\ntoken_file = 'gone'\n[allow]"),
            "collector.token_file = 'gone': there is no such file",
        ),
        (("[allow]", "[metrics]\ntextfile = 'x.txt'\n[allow]"), "reads *.prom only"),
        (('methods = ["icmp", "tcp"]', 'methods = ["icmp:7"]'), "icmp has none"),
        (
            ("[[target]]", "[methods.http]\ninterval_s = 60\nauthority = 'gone'\n[[target]]"),
            "methods.http.authority = 'gone': there is no such file",
        ),
        (
            ("[[target]]", "[methods.ndt7]\ninterval_s = 60\ntls = false\nauthority = 'ca.pem'\n[[target]]"),
            "authority is of no use in the clear",
        ),
    ],
)
def test_what_cannot_work_is_refused(tmp_path: Path, change: tuple[str, str], complaint: str) -> None:
    found = faults(tmp_path, GOOD.replace(*change))
    assert any(complaint in fault for fault in found), found


def test_an_authority_without_certificates_is_told_when_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "agent.toml"
    path.write_text(GOOD.replace("[[target]]", "[methods.http]\ninterval_s = 60\nauthority = 'ca.pem'\n[[target]]"))
    (tmp_path / "ca.pem").write_text("none\n")
    with pytest.raises(KeyFileError, match=r"ca\.pem holds no certificates in PEM"):
        means(read_config(path), path)


def test_check_tells_what_it_would_do_and_which_addresses_it_would_refuse(tmp_path: Path) -> None:
    path = tmp_path / "agent.toml"
    path.write_text(GOOD.replace("203.0.113.7", "10.0.0.1"))
    found = CliRunner().invoke(command, [str(path), "--check", "--format", "json"])
    assert found.exit_code == 0, found.stderr
    assert json.loads(found.stdout) == {
        "agent": "fra1-a",
        "source": "fra1",
        "targets": 1,
        "methods": {"icmp": 1},
        "unused": {"tcp": 1},
        "sending": 3 / 60 / 1000,
        "refusals": {"ams1": "10.0.0.1 is private: list it by a network of that kind, if it is meant"},
    }
    path.write_text("agent = 1")
    found = CliRunner().invoke(command, [str(path), "--check"])
    assert found.exit_code == 4 and "allow: is missing" in found.stderr and "spool: is missing" in found.stderr


def test_a_list_of_targets_tells_every_bad_line() -> None:
    lines = [
        b'{"name": "a", "host": "a.test", "methods": ["icmp"]}',
        b"",
        b'{"name": "a", "host": "a.test", "methods": ["icmp"], "family": 4}',
        b'{"name": "b", "host": "http://b/", "methods": ["icmp"]}',
        b'{"name": "c", "host": "c.test", "methods": ["tcp:0"], "every": 0}',
        b'{"name": "d", "host": "d.test", "methods": []}',
        b'{"name": "e", "host": "e.test", "methods": ["tcp", "tcp:80"]}',
        b"\xff",
        b"[" * 100_000,
    ]
    targets, found = parse_targets(lines, "list")
    assert [target.name for target in targets] == ["a", "a"]
    assert sorted({fault.row for fault in found}) == [3, 4, 5, 6, 7, 8, 9]
    assert "stands already, as number 1" in next(str(fault) for fault in found if fault.row == 3)
    assert {fault.field for fault in found if fault.row == 5} == {"methods", "every"}


def test_the_same_name_over_both_families_is_two_targets() -> None:
    lines = [b'{"name": "a", "host": "a.test", "methods": ["icmp"], "family": %d}' % family for family in (4, 6)]
    targets, found = parse_targets(lines, "list")
    assert [target.family for target in targets] == [4, 6] and not found


@given(
    st.lists(
        st.builds(
            Target,
            name=st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S")), min_size=1, max_size=20),
            host=st.sampled_from(["a.test", "192.0.2.1", "2001:db8::1", "fe80::1%eth0", "_x.y-z"]),
            methods=st.sampled_from([("icmp",), ("tcp", "icmp"), ("stamp:1862", "train", "ndt7:4443", "http:80")]),
            family=st.sampled_from([4, 6, None]),
            every=st.integers(1, 10_000),
        ),
        max_size=10,
        unique_by=lambda target: target.name,
    )
)
def test_what_is_written_is_what_is_read(tmp_path_factory: pytest.TempPathFactory, targets: list[Target]) -> None:
    path = tmp_path_factory.mktemp("targets") / "targets.jsonl"
    write_targets(path, targets)
    assert read_targets(path) == targets
    assert [file.name for file in path.parent.iterdir()] == ["targets.jsonl"]


@given(st.binary(max_size=200))
def test_no_bytes_make_the_reader_raise_anything_else(data: bytes) -> None:
    targets, found = parse_targets(data.splitlines(), "list")
    assert len(targets) + len(found) <= 2 * len(data) + 1


def test_an_event_that_repeats_is_told_ten_times_a_minute_and_how_often_it_was_not() -> None:
    import structlog  # noqa: PLC0415

    now = [0.0]
    limit = RepeatLimit(now=lambda: now[0])

    def told(event: str) -> dict[str, object] | None:
        try:
            return dict(limit(None, "info", {"event": event}))
        except structlog.DropEvent:
            return None

    assert sum(told("storm") is not None for _ in range(1000)) == 10
    assert told("other") == {"event": "other"}
    now[0] = 60.0
    assert told("storm") == {"event": "storm", "not_told": 990}
    assert told("storm") == {"event": "storm"}


def test_the_configuration_in_the_documentation_is_accepted(tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / "docs/agent.md").read_text()
    example = text.split("```toml\n")[1].split("```")[0].replace("/var/lib/nearserve-agent", "/var/lib")
    for name in ("agent.pem", "agent.key", "ca.pem", "stamp.key"):
        (tmp_path / name).touch()
    (tmp_path / "agent.toml").write_text(example)
    config = read_config(tmp_path / "agent.toml")
    assert set(config.methods.used) == {"icmp", "tcp", "stamp", "http", "train", "ndt7"}
