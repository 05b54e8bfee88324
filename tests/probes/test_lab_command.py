"""nearserve probe lab, and labs as people write them."""

import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from probes.agent.targets import read_targets
from probes.document import DocumentError
from probes.lab import Host, Link, Pop
from probes.lab.document import Range, drawn, read

HERE = Path(__file__).parent
SAYS = "from placement.cli import main; main()"
PING = """
import contextlib, socket
probe = socket.socket(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP)
probe.settimeout(5)
probe.sendto(bytes([8, 0, 0, 0, 0, 0, 0, 1]), ("10.78.0.3", 0))
print("from", probe.recvfrom(100)[1][0])
while True:
    with contextlib.suppress(ConnectionRefusedError), socket.create_connection(("10.78.0.1", 7000)) as client:
        print(client.recv(100).decode())
        break
"""
SERVE = "import socket; s = socket.create_server(('10.78.0.1', 7000)); s.accept()[0].send(b'beside')"
TOML = """
seed = 7
[default]
rtt_ms = 20
[hosts.berlin]
[hosts.collector]
address = "10.10.9.9"
[pops.fra]
[pops.syd]
link = { rtt_ms = 280, loss = 0.01 }
[[links]]
between = ["berlin", "fra"]
rtt_ms = 8
rate_mbps = 100
back = { rtt_ms = 10 }
hops = [["10.20.0.1", "fd20::1"], []]
"""


def nearserve(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", SAYS, "probe", "lab", *arguments], capture_output=True, text=True, check=False
    )


def test_the_program_runs_in_a_host_and_its_end_is_the_commands_end() -> None:
    done = nearserve("--pops", "3", "--", "sh", "-c", "echo $LAB_POPS; ip -o addr show eth0; exit 9")
    assert done.returncode == 9
    assert done.stdout.startswith("10.78.0.1 10.78.0.2 10.78.0.3\n")
    assert "10.10.0.1/32" in done.stdout
    assert "p3     10.78.0.3  fd78::3" in done.stderr
    assert "No packet went through the lab." in done.stderr


def test_json_says_what_the_emulator_saw_and_the_program_speaks_elsewhere(tmp_path: Path) -> None:
    targets = tmp_path / "targets.jsonl"
    done = nearserve(
        *("--pops", "3", "--rtt", "5", "--host", "h2", "--format", "json", "--targets", str(targets)),
        *("--also", "p1", shlex.join([sys.executable, "-c", SERVE]), "--", sys.executable, "-c", PING),
    )
    told = json.loads(done.stdout)
    assert "from 10.78.0.3" in done.stderr
    assert "beside" in done.stderr
    assert told["program_exit_code"] == done.returncode == 0
    delivered = {(path["from"], path["to"]): path["delivered"] for path in told["paths"]}
    assert delivered["h2", "p3"] == delivered["p3", "h2"] == 1
    assert set(delivered) == {("h2", "p3"), ("p3", "h2"), ("h2", "p1"), ("p1", "h2")}
    assert {"host": "h2", "pop": "p3", "rtt_ms": 5.0, "loss": 0.0} in told["round_trips"]
    assert [(target.name, target.host) for target in read_targets(targets)][:1] == [("p1", "10.78.0.1")]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("--rtt", "5..", "--", "true"), 2, "'5..' is no range"),
        (("--rtt", "9..1", "--", "true"), 2, "'9..1' does not go up"),
        (("--rtt", "70000", "--", "true"), 2, "0 to 60,000"),
        (("--host", "h9", "--", "true"), 2, "no place 'h9' in the lab; hosts: h1, h2"),
        (("--file", "nowhere.toml", "--loss", "0.1", "--", "true"), 2, "leave out --loss"),
        (("--file", "nowhere.toml", "--", "true"), 4, "cannot be read: No such file"),
        (("--", "no-such-program"), 127, "no-such-program: No such file"),
    ],
)
def test_what_cannot_be_is_said(arguments: tuple[str, ...], code: int, message: str) -> None:
    done = nearserve(*arguments)
    assert (done.returncode, message in done.stderr) == (code, True), done.stderr


def test_where_users_may_make_no_namespace_the_command_says_what_to_set() -> None:
    """In a user namespace of its own, where the limit is 0 and no right is left."""
    forbid = f"""
import os, sys
from probes.lab.enter import NEW_USER, system
user, group = os.getuid(), os.getgid()
system("unshare", NEW_USER)
for name, value in (("setgroups", "deny"), ("uid_map", f"0 {{user}} 1"), ("gid_map", f"0 {{group}} 1")):
    open(f"/proc/self/{{name}}", "w").write(value)
open("/proc/sys/user/max_user_namespaces", "w").write("0")
arguments = [{str(HERE / "lab_without_root.py")!r}, "-c", {SAYS!r}, "probe", "lab", "--pops", "1", "--", "true"]
os.execv(sys.executable, [sys.executable, *arguments])
"""
    done = subprocess.run([sys.executable, "-c", forbid], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "user.max_user_namespaces" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_file_describes_places_and_links(tmp_path: Path) -> None:
    path = tmp_path / "lab.toml"
    path.write_text(TOML)
    network = read(path)
    assert network.hosts == (Host("berlin", "10.10.0.1", "fd10::1"), Host("collector", "10.10.9.9", "fd10::2"))
    assert network.pops == (
        Pop("fra", "10.78.0.1", "fd78::1"),
        Pop("syd", "10.78.0.2", "fd78::2", Link(280, loss=0.01)),
    )
    assert network.link("berlin", "fra") == Link(8, rate_mbps=100, back=Link(10), hops=(("10.20.0.1", "fd20::1"), ()))
    assert network.link("fra", "berlin") == Link(10)
    assert network.link("collector", "syd").loss == 0.01
    assert network.link("collector", "berlin") == Link(20)
    assert network.seed == 7


def test_every_fault_of_a_file_is_said_at_once(tmp_path: Path) -> None:
    path = tmp_path / "lab.toml"
    path.write_text('hots = 1\n[hosts.a]\nadress = "x"\n[pops.p]\nlink = { loss = 2 }\n')
    with pytest.raises(DocumentError) as error:
        read(path)
    for text in ("hosts.a.adress", "did you mean address", "loss is 2", "did you mean hosts"):
        assert text in str(error.value)
    path.write_text('[hosts.a]\naddress = "10.0.0.300"\n[[links]]\nbetween = ["a", "z"]\n')
    with pytest.raises(DocumentError, match=r"10\.0\.0\.300(.|\n)*no place 'z'"):
        read(path)
    path.write_text("[hosts")
    with pytest.raises(DocumentError, match="is no TOML"):
        read(path)


def test_a_seed_draws_the_same_lab_again() -> None:
    first, again, other = (drawn(3, 50, Range(1, 300), Link(300, loss=0.1), 0, seed, False) for seed in (1, 1, 2))
    assert first.links == again.links != other.links
    rtts = [link.rtt_ms for link in first.links.values()]
    assert len(set(rtts)) > 140
    assert 1 <= min(rtts) < 20
    assert 280 < max(rtts) <= 300
    assert {link.loss for link in first.links.values()} == {0.1}


def test_drawn_routers_have_addresses_of_their_own() -> None:
    network = drawn(2, 3, Range(1, 9), Link(9), 60, 1, False)
    met = [address for pop in ("p1", "p2", "p3") for hop in network.link("h1", pop).hops for address in hop]
    assert len(met) == len(set(met)) == 3 * (60 * 2 + 1)
    assert network.link("h1", "p2").hops[:2] == (
        ("10.100.0.2", "fd10:1::2"),
        ("10.101.0.2", "fd10:2::2", "10.160.0.2"),
    )
    assert network.link("h2", "p2").hops == network.link("h1", "p2").hops
