"""Threats to the reflector: malformed or forged packets, wanting more than a share, having others flooded."""

import hmac
import secrets
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import Any, Final

import numpy as np

from bench.probing.attacked_reflector import TOKEN, Attack, Control
from bench.probing.collector_process import free_port
from bench.probing.reflector_process import ReflectorProcess
from bench.probing.security_row import Cell, Row, until
from probes.wire import stamp_packet
from probes.wire.ndt7 import PATHS
from probes.wire.train_packet import HELLO, HELLO_BYTES, greeting

_KEY: Final = b"the attacked reflector's key"
_PER_SOURCE, _IN_ALL = 1000, 8000
_HOUR_BYTES: Final = 400_000
_NDT7_AT_ONCE, _NDT7_WAITING = 4, 8


def rows(folder: Path) -> Iterator[Row]:
    """Every threat of this file: to a reflector for all, and to one that wants a key."""
    for name in ("open", "locked"):
        (folder / name).mkdir()
    (folder / "token").write_text(TOKEN)
    (folder / "keys").write_bytes(_KEY + b"\n")
    ndt7_port = free_port()
    tables = {
        "stamp": f"per_source_per_s = {_PER_SOURCE}\nin_all_per_s = {_IN_ALL}",
        "train": f"bytes_per_source_hour = {_HOUR_BYTES}",
        "ndt7": f'enabled = true\ntls = false\nport = {ndt7_port}\ntoken_file = "{folder / "token"}"',
    }
    with ReflectorProcess(folder / "open", tables) as served:
        attack = Attack(served, "for all", None, ndt7_port)
        attack.up()  # from now on this source is known
        broken = served.metrics()["ndt7_broken_total"]
        idle = _ndt7_crowd(attack)
        _packets(attack)
        _trains(attack)
        _floods(attack)
        _ndt7(attack, idle, broken)
        yield from attack.finish()
    with ReflectorProcess(folder / "locked", {"": f'key_file = "{folder / "keys"}"'}) as served:
        attack = Attack(served, "with a key", _KEY)
        _forged(attack)
        yield from attack.finish()


def _packets(attack: Attack) -> None:
    port = attack.served.ports["stamp", 4]

    def exchange(datagrams: list[bytes], source: tuple[str, int], most: Callable[[bytes], int]) -> Cell:
        """No answer may be larger than `most` of its request, and none may come twice."""
        with _udp(*source) as sock:
            may_be = Counter(most(datagram) for datagram in datagrams)
            for datagram in datagrams:
                sock.sendto(datagram, ("127.0.0.1", port))
            got = Counter(len(answer) for answer in _received(sock, 0.3))
        fine = all(count <= may_be[size] for size, count in got.items()) and not got[0]
        out, back = sum(map(len, datagrams)), sum(size * count for size, count in got.items())
        return Cell(fine, f"{len(datagrams)} packets, {got.total()} answers; {out:,} bytes, {back:,} back")

    def nothing(datagrams: list[bytes], source: tuple[str, int]) -> Callable[[], Cell]:
        return lambda: exchange(datagrams, source, lambda _: -1)

    sound = _requests(200)
    attack.stamp(
        "truncated packets", "short", nothing([p[:n] for n, p in enumerate(sound[:44])], ("127.20.1.1", 0)), 44
    )
    attack.stamp("TWAMP Light of 14 octets, wants 44", "short", nothing([bytes(14)] * 9, ("127.20.1.1", 0)), 9)
    long = [packet + bytes(1429 + n) for n, packet in enumerate(sound[:100])]
    attack.stamp("oversized packets", "oversized", nothing(long, ("127.20.2.1", 0)), 100)
    attack.stamp("in another reflector's name", "loop", nothing(sound[:9], ("127.20.3.1", port)), 9)
    every = [_sized(sound[n % 200], n) for n in range(20, 1500, 2)]
    attack.stamp("answers larger than requests, any size", "short", lambda: exchange(every, ("127.20.4.1", 0), len), 12)


def _trains(attack: Attack) -> None:
    attack.train("line that is no JSON", "malformed", lambda: _refused(attack, b"\xff{["))
    attack.train("line of 5,000 octets", "malformed", lambda: _refused(attack, b"{" + b" " * 5000))
    attack.train("more packets than may be", "malformed", lambda: _refused(
        attack, {"do": "up", "train": 1, "packets": 10**6, "size": 1472}, first=True))  # fmt: skip
    down = {"do": "down", "train": 1, "packets": 1000, "size": 1472, "cookie": "00" * 16}
    attack.train("train without a hello", "unproven", lambda: _refused(attack, down, first=True))
    attack.train("train to a third party", "unproven", lambda: _third_party(attack, down))

    def spend() -> Cell:
        """Up to the budget, and then some."""
        ask, got = {"do": "up", "train": 1, "packets": 100, "size": 1000}, 0
        with Control(attack, "127.21.9.1") as control:
            control.introduce(None)
            while control.say(ask).get("ready"):
                got += 100 * 1000
                if got > 10 * _HOUR_BYTES:
                    break
        return Cell(got <= _HOUR_BYTES, f"{got:,} of {_HOUR_BYTES:,} bytes given")

    attack.train("trains above the byte budget", "over_budget", spend)

    def strays() -> Cell:
        with _udp("127.21.8.1") as sock:
            for n in range(50):
                hello = greeting(HELLO, secrets.token_bytes(16))
                sock.sendto(
                    hello if n % 2 else secrets.token_bytes(n * 20), ("127.0.0.1", attack.served.ports["train", 4])
                )
            got = len(_received(sock, 0.2))
        return Cell(got == 0, f"50 packets, {got} answers")

    attack.dropped("malformed packets, hellos of nobody", "train_stray_packets_total", "stray", strays, 50)

    def crowd() -> Cell:
        with ExitStack() as stack:
            every = [stack.enter_context(Control(attack, f"127.21.7.{n}")) for n in range(1, 13)]
            let_in = sum(bool(control.greeting) for control in every)
        return Cell(let_in == 8, f"{let_in} of 12 let in")

    attack.dropped("a crowd from one network", 'train_refused_total{reason="busy"}', "busy", crowd, 4)


def _refused(attack: Attack, message: dict[str, Any] | bytes, first: bool = False, key: bytes | None = None) -> Cell:
    """What a control connection is told; `first`: it introduces itself before."""
    with Control(attack, "127.21.1.1") as control:
        if first:
            control.introduce(key)
        answer = control.say(message)
        hung_up = _hung_up(control.sock, 2)
    return Cell("refused" in answer and hung_up, f"refused: {answer.get('refused')}, hung up")


def _third_party(attack: Attack, down: dict[str, Any]) -> Cell:
    """A hello in the name of a victim, who gets its challenge; without what is in it no train comes."""
    hellos = 40
    with Control(attack, "127.21.2.1") as control, _udp("127.99.9.9") as victim:
        control.introduce(None)
        for _ in range(hellos):
            victim.sendto(greeting(HELLO, control.session), ("127.0.0.1", attack.served.ports["train", 4]))
        until(lambda: bool(_waits(victim)), 2)
        answer = control.say(down)
        got = _received(victim, 0.3)
    size = sum(map(len, got))
    fine = answer.get("refused") == "unproven" and 0 < size <= hellos * HELLO_BYTES and len(got) <= hellos
    fine &= all(len(packet) == HELLO_BYTES for packet in got)
    return Cell(fine, f"the victim got {size:,} bytes for {hellos * HELLO_BYTES:,} in its name, no train")


def _floods(attack: Attack) -> None:
    port = attack.served.ports["stamp", 4]

    def flood(sources: list[str], each: int, most: int) -> Cell:
        packet = _requests(1)[0]
        with ExitStack() as stack:
            socks = [stack.enter_context(_udp(source)) for source in sources]
            began = time.monotonic()
            for n in range(each * len(sources)):
                socks[n % len(socks)].sendto(packet, ("127.0.0.1", port))
                if n % 500 == 499:  # no faster than it reads
                    until(lambda: attack.served.queue("stamp", 4)[0] < 1 << 20, 1)
            seconds = time.monotonic() - began + 0.3
            got = sum(len(_received(sock, 0.3 if sock is socks[0] else 0.0)) for sock in socks)
            may = most * (1 + seconds)
        return Cell(0 < got <= may, f"{got:,} of {each * len(sources):,} answered, {may:,.0f} at most")

    one = [f"127.22.1.{n}" for n in range(1, 11)]
    attack.stamp("flood from one network, 10 addresses", "limited", lambda: flood(one, 400, _PER_SOURCE), 1000)
    many = [f"127.23.{n}.1" for n in range(60)]
    attack.stamp("flood from 60 forged networks", "limited", lambda: flood(many, 250, _IN_ALL // 2), 1000)


def _ndt7_crowd(attack: Attack) -> list[socket.socket]:
    """Idle connections; those that are let in are given, to see them end."""
    assert attack.ndt7_port is not None
    address = ("127.0.0.1", attack.ndt7_port)
    every = [socket.create_connection(address, 5, source_address=("127.24.1.1", 0)) for _ in range(20)]

    def closed() -> Cell:
        out = [sock for sock in every if _hung_up(sock, 0.05)]
        return Cell(len(out) == 20 - _NDT7_WAITING - 1, f"{len(out)} of 20 closed at once")

    attack.ndt7("NDT7: a crowd from one address", "refused", closed, 20 - _NDT7_WAITING - 1)
    return [sock for sock in every if sock.fileno() >= 0 and not _hung_up(sock, 0.01)]


def _ndt7(attack: Attack, idle: list[socket.socket], broken: float) -> None:
    def answered(status: str, sock: socket.socket) -> Cell:
        with closing(sock):
            line = sock.recv(4096).split(b"\r\n")[0].decode()
        return Cell(f" {status} " in line, line.removeprefix("HTTP/1.1 "))

    def raw(data: bytes) -> socket.socket:
        assert attack.ndt7_port is not None
        sock = socket.create_connection(("127.0.0.1", attack.ndt7_port), 5, source_address=("127.24.2.1", 0))
        sock.sendall(data)
        return sock

    attack.ndt7("NDT7: wrong token", "refused", lambda: answered("401", attack.ask("127.24.2.1", token="none")))
    attack.ndt7("NDT7: garbage for HTTP", "refused", lambda: answered("400", raw(b"\x00\xff\r\nx\r\n\r\n")))
    attack.ndt7("NDT7: oversized head", "refused", lambda: answered("400", raw(b"GET / HTTP/1.1\r\na: " + b"a" * 8192)))
    attack.ndt7("NDT7: no upgrade", "refused", lambda: answered(
        "426", raw(f"GET {PATHS['down']} HTTP/1.1\r\nHost: x\r\n\r\n".encode())))  # fmt: skip

    def beside(status: str, holders: list[str], source: str) -> Cell:
        """One more test than may run."""
        with ExitStack() as stack:
            held = [stack.enter_context(closing(attack.ask(holder))) for holder in holders]
            if not all(sock.recv(20).startswith(b"HTTP/1.1 101") for sock in held):
                return Cell(False, "a test that may run was refused")
            cell = answered(status, attack.ask(source))
        time.sleep(0.2)  # their places become free
        return cell

    attack.ndt7("NDT7: two tests of one source at once", "refused", lambda: beside("429", ["127.24.3.1"], "127.24.3.1"))
    four = [f"127.24.4.{n}" for n in range(1, _NDT7_AT_ONCE + 1)]
    attack.ndt7("NDT7: more tests than may run", "refused", lambda: beside("503", four, "127.24.4.9"))

    def ended() -> Cell:
        out = sum(_hung_up(sock, 6) for sock in idle)
        return Cell(out == len(idle), f"{out} of {len(idle)} idle connections ended")

    attack.ndt7("NDT7: connections that ask for nothing", "broken", ended, len(idle), broken)


def _forged(attack: Attack) -> None:
    port = attack.served.ports["stamp", 4]

    def nothing(packets: list[bytes]) -> Cell:
        with _udp("127.25.1.1") as sock:
            for packet in packets:
                sock.sendto(packet, ("127.0.0.1", port))
            got = len(_received(sock, 0.3))
        return Cell(got == 0, f"{len(packets)} packets, {got} answers")

    sealed = _requests(50, _KEY)
    flipped = [packet[:n] + bytes([packet[n] ^ 1]) + packet[n + 1 :] for n, packet in enumerate(sealed)]
    attack.stamp("wrong key", "forged", lambda: nothing(_requests(50, b"some other shared key")), 50)
    attack.stamp("one bit changed", "forged", lambda: nothing(flipped), 50)
    attack.stamp("unauthenticated packets", "short", lambda: nothing(_requests(50)), 50)
    mac = hmac.digest(b"x", b"y", "sha256").hex()
    attack.train("train without the key", "unauthorised", lambda: _refused(attack, {"nonce": "00" * 16, "mac": mac}))


def _requests(count: int, key: bytes | None = None) -> list[bytes]:
    numbers = np.arange(count, dtype=np.uint32)
    packets = stamp_packet.requests(numbers, np.uint64(secrets.randbits(63)), ssid=7, error=0x101, key=key)
    return [packet.tobytes() for packet in packets]


def _sized(packet: bytes, size: int) -> bytes:
    return packet[:size] + bytes(max(size - len(packet), 0))


def _udp(address: str, port: int = 0) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    sock.bind((address, port))
    return sock


def _received(sock: socket.socket, quiet_s: float) -> list[bytes]:
    """All that comes until nothing has come for so long."""
    found = []
    sock.settimeout(quiet_s)
    with suppress(TimeoutError, BlockingIOError):
        while True:
            found.append(sock.recv(65536))
    return found


def _waits(sock: socket.socket) -> bool:
    """Whether something waits in a socket."""
    sock.settimeout(0)
    with suppress(BlockingIOError):
        return bool(sock.recv(1, socket.MSG_PEEK))
    return False


def _hung_up(sock: socket.socket, within_s: float) -> bool:
    sock.settimeout(within_s)
    try:
        ended = not sock.recv(4096)
    except TimeoutError:
        return False
    except OSError:
        ended = True
    if ended:
        sock.close()
    return ended
