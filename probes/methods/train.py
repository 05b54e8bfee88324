"""Path capacity by packet trains: the rate of the narrowest link, from the spacing it gives to packets.

This is *capacity*, not what is free of it: with three quarters of a link taken by others a train still reads about nine
tenths of it. What TCP can have is the matter of `ndt7`. The figure is of IP packets (RFC 5136: IP-layer capacity), in
10^6 bit/s; a shaper or a port that counts Ethernet frames is a little faster in its own figures, by `overhead_bytes`.

A short train tells the scale first. Up to some 600 Mbit/s it is followed by one of 88 packets, 144 KB in all; beyond,
and where that one says nothing clear, by five of 300, and their median counts. Where even those disagree, the record
says why and holds no figure.
"""

import json
import random
import select
import socket
import time
from statistics import median
from typing import Any, Final, Literal

import numpy as np

from probes.methods.endpoint import Endpoint
from probes.record import Record
from probes.wire import train_packet as wire
from probes.wire.address import connect_address, family_of
from probes.wire.batch import SO_TIMESTAMPNS, Inbox, Outbox
from probes.wire.clock import Reading
from probes.wire.ports import PORTS
from probes.wire.received import widen
from probes.wire.stamping import await_stamps
from probes.wire.train_rate import NotMeasurableError, Rate, rate

Direction = Literal["up", "down"]

FEELER: Final = 8
SHORT: Final = 88
LONG: Final = 300
LONG_TRAINS: Final = 5
_LONG_TRIES: Final = 8
_LEAST_TRAIN: Final = 24
LONGEST_PACKET: Final = 1500
SAFE_PACKET: Final = 1280
"""What every path of IPv6 carries (RFC 8200 section 5), and nearly every one of IPv4."""
_FAST_MBPS: Final = 600.0
"""Beyond, the stretch of a short train is too near to what timestamps and schedulers are late by."""
_CLEAR: Final = 0.004
_AGREE: Final = 0.05
_LONG_FROM_MBPS: Final = 2.0
_QUIET_S: Final = 0.5
_QUEUED: Final = 0.9
"""A train that was sent within this part of the time that its arrival took has stood in a queue on its way."""
_QUEUE_BYTES: Final = 4 << 20
_LINE_LIMIT: Final = 1 << 20
_PAUSE_S: Final = 0.02


class TrainError(Exception):
    """No figure: the far end is not there, refuses, or the trains say nothing; the message is for a person."""


def measure(
    endpoint: Endpoint,
    *,
    direction: Direction,
    source: str,
    packets: int | None = None,
    key: bytes | None = None,
    overhead_bytes: int = 0,
    timeout_s: float = 20.0,
) -> Record:
    """The capacity of the path to a reflector (`up`) or from it (`down`), as one record of method "train".

    `endpoint.port` is the reflector's train port, 8862 unless given, for TCP and UDP. `packets`: a single train of so
    many, in place of the adaptive ones. `overhead_bytes` are added to each packet, where the rate is wanted as a link
    counts it (14 for Ethernet without its checksum). `bytes` of the record: IP bytes of all trains sent. What went
    wrong stands in `error`, with no `mbps`; nothing is raised but ValueError for figures out of range.
    """
    if packets is not None and not _LEAST_TRAIN <= packets <= wire.MOST_PACKETS:
        raise ValueError(f"packets = {packets}: a train has {_LEAST_TRAIN} to {wire.MOST_PACKETS}")
    if not 0 < timeout_s < float("inf"):
        raise ValueError(f"timeout_s = {timeout_s}: must be above 0 and finite")
    start, mbps, error, steady = Reading.now(), None, None, True
    session: _Session | None = None
    try:
        session = _Session(endpoint, direction, key, overhead_bytes, time.monotonic() + timeout_s)
        mbps = session.single(packets) if packets else session.adaptive()
    except (TrainError, NotMeasurableError) as failure:
        error = str(failure)
    except TimeoutError:
        error = f"no answer from the reflector's train port within {timeout_s:g} s"
    except OSError as failure:
        error = f"{failure.strerror or failure}"
    finally:
        if session is not None:
            steady = session.steady
            session.close()
    return Record(
        observed_at=start.realtime_ns,
        source=source,
        target=endpoint.name,
        target_alias=endpoint.alias,
        method="train",
        family=endpoint.family,
        mbps=mbps,
        direction=direction,
        bytes=session.sent_bytes if session else 0,
        error=error,
        clock_ok=steady and start.steady(Reading.now()),
    )


class _Session:
    """The control connection, the socket of the trains, and what was sent so far."""

    def __init__(
        self, endpoint: Endpoint, direction: Direction, key: bytes | None, overhead_bytes: int, deadline_s: float
    ) -> None:
        self.sent_bytes = 0
        self.steady = True
        self._direction, self._overhead, self._deadline = direction, overhead_bytes, deadline_s
        self._lines, self._trains = b"", 0
        port = PORTS["train"] if endpoint.port is None else endpoint.port
        place = connect_address(endpoint.address, port)
        family = family_of(endpoint.address)
        self._tcp = socket.socket(family, socket.SOCK_STREAM)
        self._udp = socket.socket(family, socket.SOCK_DGRAM)
        try:
            self._tcp.settimeout(self._left_s())
            self._tcp.connect(place)
            self._tcp.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._udp.setblocking(False)
            self._udp.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
            widen(self._udp, receive=_QUEUE_BYTES, send=_QUEUE_BYTES)
            self._udp.connect(place)
            await_stamps()
            greeted = self._introduce(key)
            self._size, self._packet = self._sizes(greeted, wire.IP_UDP_BYTES[endpoint.family])
            self._most = min(_whole(greeted, "packets"), wire.MOST_PACKETS)
            self._cookie = self._proven() if direction == "down" else ""
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End the connection."""
        self._tcp.close()
        self._udp.close()

    def single(self, packets: int) -> float:
        """Mbit/s by one train of so many packets."""
        return self._mbps(self._train(packets))

    def adaptive(self) -> float:
        """Mbit/s by as many packets as the path needs."""
        scale = self._scale()
        in_a_second = int(scale * 1e6 / 8 / self._packet)  # a thin line is not to be filled for a minute
        short = SHORT if scale >= _LONG_FROM_MBPS else max(_LEAST_TRAIN, min(SHORT, in_a_second))
        unclear = ""
        for _ in range(2):  # a busy machine spoils one train now and then, and a second is less than five long ones
            try:
                found = self._train(short)
            except NotMeasurableError as error:
                unclear = str(error)
                continue
            mbps = self._mbps(found)
            if mbps >= _FAST_MBPS:
                break
            if found.spread < _CLEAR:
                return mbps
            scale, unclear = min(scale, mbps), f"the packets came too unevenly: {mbps:.3g} Mbit/s ± {found.spread:.1%}"
        if scale < _LONG_FROM_MBPS:
            raise NotMeasurableError(unclear)
        return self._by_many()

    def _by_many(self) -> float:
        rates: list[float] = []
        reasons: list[str] = []
        while len(rates) < LONG_TRAINS and len(rates) + len(reasons) < _LONG_TRIES:
            time.sleep(_PAUSE_S)
            try:
                rates.append(self._mbps(self._train(min(LONG, self._most))))
            except NotMeasurableError as error:
                reasons.append(str(error))
        if len(rates) <= LONG_TRAINS // 2:
            raise NotMeasurableError(f"{len(reasons)} of {_LONG_TRIES} trains said nothing: {reasons[-1]}")
        middle = median(rates)
        if sum(abs(rate / middle - 1) < _AGREE for rate in rates) <= len(rates) // 2:
            listed = ", ".join(f"{rate:.0f}" for rate in sorted(rates))
            raise NotMeasurableError(f"the trains disagree: {listed} Mbit/s")
        return middle

    def _scale(self) -> float:
        """Roughly how fast, by a few packets: too much where a bucket lets them through, never much too little."""
        for smaller in (True, False):
            arrivals, departure = self._run(FEELER)
            times = np.sort(arrivals.time_ns)
            if len(times) >= 2:
                return (len(times) - 1) * self._packet * 8e3 / max(float(times[-1] - times[0]), 1.0)
            if not smaller or self._packet <= SAFE_PACKET:
                break
            # a tunnel on the way may swallow what is too long for it
            self._size, self._packet = self._size - (self._packet - SAFE_PACKET), SAFE_PACKET
        raise TrainError(f"{len(times)} of {departure.packets} packets arrived: is UDP blocked on the way?")

    def _train(self, packets: int) -> Rate:
        arrivals, departure = self._run(packets)
        found = rate(arrivals.seq, arrivals.time_ns, departure.packets)
        span_ns = float(np.ptp(arrivals.time_ns))
        if not departure.waited and departure.span_ns > _QUEUED * span_ns:
            raise NotMeasurableError(f"the sender is no faster than the path: above {self._mbps(found):.0f} Mbit/s")
        return found

    def _mbps(self, found: Rate) -> float:
        return found.packets_per_s * (self._packet + self._overhead) * 8 / 1e6

    def _run(self, packets: int) -> tuple[wire.Arrivals, wire.Departure]:
        self._trains += 1
        before = Reading.now()
        arrivals, departure = (self._up if self._direction == "up" else self._down)(packets)
        self.sent_bytes += departure.packets * self._packet
        if not before.steady(Reading.now()):
            self.steady = False
        if not self.steady:
            raise TrainError("the wall clock was moved while the train was under way")
        return arrivals, departure

    def _up(self, packets: int) -> tuple[wire.Arrivals, wire.Departure]:
        self._command("up", packets)
        box = Outbox(packets, self._size, None)
        box.data[:] = np.random.default_rng().integers(0, 256, box.data.shape, np.uint8)  # a link may compress
        wire.cars(box, self._name, self._trains, packets)
        departure = wire.depart(self._udp, box, packets, self._left_s())
        self._say({"do": "report"})
        reported = self._heard()
        try:
            seq = np.array(reported["seq"], np.int64)
            time_ns = np.array(reported["ns"], np.int64)
            self.steady = self.steady and reported["steady"] is True
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise TrainError("the reflector's report makes no sense") from error
        if seq.ndim != 1 or seq.shape != time_ns.shape:
            raise TrainError("the reflector's report makes no sense")
        return wire.Arrivals(seq, time_ns), departure

    def _down(self, packets: int) -> tuple[wire.Arrivals, wire.Departure]:
        inbox = Inbox(2 * packets + 64, self._size)
        self._command("down", packets, answered=False)
        told: dict[str, Any] | None = None
        poll = select.poll()
        poll.register(self._udp, select.POLLIN)
        poll.register(self._tcp, select.POLLIN)
        while not inbox.full and (told is None or len(wire.arrived(inbox, self._name, self._trains).seq) < packets):
            ready = dict(poll.poll(1e3 * (self._left_s() if told is None else min(_QUIET_S, self._left_s()))))
            if not ready:
                if told is None:
                    raise TimeoutError
                break
            if self._udp.fileno() in ready:
                inbox.receive(self._udp.fileno())
            if self._tcp.fileno() in ready and told is None:
                told = self._again("down", packets)
        told = told or self._again("down", packets)
        if told.get("sent") == 0:  # the reflector's kernel knows of a link that is too small for the packets
            return wire.arrived(inbox, self._name, self._trains), wire.Departure(0, 0, False)
        departure = wire.Departure(_whole(told, "sent", packets), _whole(told, "span_ns"), told.get("waited") is True)
        return wire.arrived(inbox, self._name, self._trains), departure

    # the control connection

    def _introduce(self, key: bytes | None) -> dict[str, Any]:
        greeted = self._heard()
        if greeted.get("nearserve") != "train" or greeted.get("version") != 1:
            raise TrainError("no train reflector of this version answers there")
        if greeted.get("locked") and key is None:
            raise TrainError("the reflector wants a key, and none is given")
        nonce = wire.token()
        words = {"nonce": nonce.hex()}
        if key is not None:
            words["mac"] = wire.proof(key, _octets(greeted.get("nonce")), nonce)
        self._say(words)
        self._name = _octets(self._heard().get("session"))
        if len(self._name) != wire.TOKEN_BYTES:
            raise TrainError("the reflector names no session")
        return greeted

    def _sizes(self, greeted: dict[str, Any], headers: int) -> tuple[int, int]:
        """Octets of a packet's payload, and of all of it."""
        size = min(LONGEST_PACKET - headers, _mtu(self._udp) - headers, _whole(greeted, "size"))
        if size < wire.LEAST_BYTES:
            raise TrainError(f"the path carries packets of {size + headers} octets only")
        return size, size + headers

    def _proven(self) -> str:
        """The cookie that the reflector sent to where our hellos come from."""
        inbox = Inbox(16, wire.HELLO_BYTES)
        poll = select.poll()
        poll.register(self._udp, select.POLLIN)
        for _ in range(5):
            self._udp.send(wire.greeting(wire.HELLO, self._name))
            if not poll.poll(min(1.0, self._left_s()) * 1e3):
                continue
            inbox.receive(self._udp.fileno())
            head = wire.headers(inbox.data[: inbox.filled], inbox.lengths[: inbox.filled])
            for row in np.flatnonzero(head["kind"] == wire.CHALLENGE).tolist():
                if head["session"][row].tobytes() == self._name:
                    return inbox.data[row, wire.HEADER.itemsize : wire.HELLO_BYTES].tobytes().hex()
            inbox.clear()
        raise TrainError("the reflector's UDP port does not answer: is UDP blocked on the way?")

    def _command(self, do: Direction, packets: int, *, answered: bool = True) -> None:
        words: dict[str, Any] = {"do": do, "train": self._trains, "packets": packets, "size": self._size}
        if do == "down":
            words["cookie"] = self._cookie
        self._say(words)
        if answered:
            self._again(do, packets)

    def _again(self, do: Direction, packets: int) -> dict[str, Any]:
        """The answer to a command, which is given again while another's train is under way."""
        while (told := self._heard(busy=True)).get("refused") == "busy":
            time.sleep(min(random.uniform(0.1, 0.5), self._left_s()))
            words = {"do": do, "train": self._trains, "packets": packets, "size": self._size, "cookie": self._cookie}
            self._say(words)
        return told

    def _say(self, words: dict[str, Any]) -> None:
        self._tcp.settimeout(self._left_s())
        self._tcp.sendall(json.dumps(words).encode() + b"\n")

    def _heard(self, *, busy: bool = False) -> dict[str, Any]:
        while b"\n" not in self._lines:
            self._tcp.settimeout(self._left_s())
            data = self._tcp.recv(65_536)
            if not data:
                raise TrainError("the reflector closed the connection")
            self._lines += data
            if len(self._lines) > _LINE_LIMIT:
                raise TrainError("the reflector's answer makes no sense")
        line, _, self._lines = self._lines.partition(b"\n")
        try:
            words = json.loads(line)
        except ValueError as error:
            raise TrainError("the reflector's answer makes no sense") from error
        if not isinstance(words, dict):
            raise TrainError("the reflector's answer makes no sense")
        if "refused" in words and not (busy and words["refused"] == "busy"):
            raise TrainError(f"refused: {words.get('why', words['refused'])}")
        return words

    def _left_s(self) -> float:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left


def _whole(words: dict[str, Any], name: str, most: int = 1 << 62) -> int:
    """A whole number that the reflector says; TrainError where it is none, or none that can be."""
    value = words.get(name)
    if type(value) is not int or not 0 <= value <= most:
        raise TrainError(f"the reflector's answer makes no sense: {name} is {str(value)[:40]!r}")
    return value


def _octets(text: object) -> bytes:
    try:
        return bytes.fromhex(str(text))
    except ValueError:
        return b""


def _mtu(sock: socket.socket) -> int:
    """The path's largest packet as far as the kernel knows, of a connected socket."""
    level, option = (socket.IPPROTO_IP, 14) if sock.family == socket.AF_INET else (socket.IPPROTO_IPV6, 24)
    return sock.getsockopt(level, option)
