"""Echo requests of one family on one socket, and what came of them: sent and received in batches, matched in arrays.

Both ends of a round trip are the kernel's: the request's time is when it was handed to the device (it comes back by
the error queue), the answer's when it was received. Where a device does not tell (a few virtual ones), it is the user's
clock before the batch, so that the last of a burst reads some µs too much.
"""

import errno
import select
import socket
import time
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from probes.wire.address import IP_IN_NAME
from probes.wire.batch import TIMESTAMPING_BYTES, Inbox, Outbox, control_messages
from probes.wire.echo import HEADER_BYTES, READ_BYTES, Requests
from probes.wire.error_queue import SENT, error_words
from probes.wire.icmp_socket import IcmpSocket
from probes.wire.watch import Watch

_OUT_ROWS: Final = 1024
_IN_ROWS: Final = 4096
_BACK_ROWS: Final = 1024
_LEAST_ROWS: Final = 64
_LOWER_HEADERS: Final = 128
"""More than Ethernet, tags and IP take before the echo header of a packet that the error queue gives back."""
_BACK_CONTROL: Final = 160
_ORIGIN: Final = TIMESTAMPING_BYTES + 16 + 4
"""Where ee_origin stands in the control data behind the timestamps: a header, then sock_extended_err."""
_BYTES_EACH: Final = 8192
"""What a packet takes of a receive buffer, at most, with its answer and its own coming back."""
_RETRIES: Final = 3
_NO_ROOM_MS: Final = 20


class Exchange:
    """Probe j goes to host j mod T, in the order of j. All arrays are (N,), N = T × rounds.

    `sent_at_ns` nanoseconds since 1970 UTC, 0 where it did not leave; `rtt_ms` NaN where no usable time is known;
    `answered`; `said` what the network or the kernel said, by host.
    """

    def __init__(
        self, opened: IcmpSocket, addresses: Sequence[str], rounds: int, payload_bytes: int, timeout_s: float
    ) -> None:
        self.requests = Requests.to(opened.family, opened.ident, addresses, rounds)
        self.said: dict[int, list[str]] = {}
        count = len(addresses) * rounds
        self.sent_at_ns: NDArray[np.int64] = np.zeros(count, np.int64)
        self.rtt_ms: NDArray[np.float64] = np.full(count, np.nan)
        self.answered: NDArray[np.bool_] = np.zeros(count, np.bool_)
        self.uncollected = 0
        self.patience = min(max(opened.receive_bytes // _BYTES_EACH, 1), _BACK_ROWS)
        """So many may be sent before `collect` is called: more might not fit into the receive buffer."""
        self._opened = opened
        self._fd = opened.socket.fileno()
        self._hosts = len(addresses)
        self._payload_bytes = payload_bytes
        self._timeout_ms = timeout_s * 1e3
        self._epochs: NDArray[np.int64] = np.zeros(count, np.int64)
        self._batches: list[tuple[int, int, int, int]] = []
        self._outbox = Outbox(min(_OUT_ROWS, count), HEADER_BYTES + payload_bytes, opened.family)
        rows = max(2 * count, _LEAST_ROWS)
        self._inbox = Inbox(min(_IN_ROWS, rows), READ_BYTES, TIMESTAMPING_BYTES)
        self._back = Inbox(min(_BACK_ROWS, rows), _LOWER_HEADERS + payload_bytes, _BACK_CONTROL)
        self._ip_header = opened.kind == "raw" and opened.family == socket.AF_INET
        self._next = 0
        self._may_wait = True

    def send(self, count: int, epoch: int) -> None:
        """Let the next `count` probes leave; what the kernel refuses for good is not sent, and told."""
        end, tries, rows = self._next + count, 0, len(self._outbox.data)
        self._may_wait = True
        while self._next < end:
            start = self._next % rows
            if start == 0 and tries == 0:
                fill = min(rows, len(self.sent_at_ns) - self._next)
                self.requests.write(self._next, self._outbox.data[:fill], self._outbox.names[:fill])
            before_ns = time.time_ns()
            try:
                taken = self._outbox.send(self._fd, start, min(start + end - self._next, rows))
            except OSError as error:
                tries += 1
                if tries <= _RETRIES and self._may_pass(error):
                    continue
                self._tell(self._next % self._hosts, f"not sent: {error.strerror}")
                taken = 1
            else:
                self._batches.append((self._next, taken, before_ns, epoch))
            self._next += taken
            tries = 0
        self.uncollected += count

    def collect(self, watch: Watch) -> None:
        """Take every answer that waits, and then the times of the requests, so that none is missing."""
        self.uncollected = 0
        for _ in range(64):
            try:
                if not self._inbox.receive(self._fd):
                    break
            except OSError:  # of an earlier packet: it waits in the error queue
                continue
            if not self._inbox.full:
                break
            self.settle(watch)
        self._take_back()

    def settle(self, watch: Watch) -> None:
        """Match what was collected; the watch is looked at first, after the last of it was stamped."""
        self._note_sent()
        self._take_back()
        self._hear()
        filled = self._inbox.filled
        if not filled:
            return
        epoch, inbox = watch.look(), self._inbox
        probes = self.requests.answered(
            inbox.data[:filled], inbox.lengths[:filled], inbox.names[:filled], ip_header=self._ip_header
        )
        stamps = inbox.stamps_ns()
        inbox.clear()
        ours = np.flatnonzero(probes >= 0)
        found, first = np.unique(probes[ours], return_index=True)
        stamps = stamps[ours[first]]
        rtt_ms = (stamps - self.sent_at_ns[found]) / 1e6
        rtt_ms[(stamps == 0) | (self._epochs[found] != epoch) | (rtt_ms <= 0)] = np.nan
        counts = ~self.answered[found] & (self.sent_at_ns[found] > 0) & ~(rtt_ms > self._timeout_ms)
        self.answered[found[counts]] = True
        self.rtt_ms[found[counts]] = rtt_ms[counts]

    @property
    def waiting(self) -> bool:
        """Whether any probe that left is unanswered."""
        return bool(((self.sent_at_ns > 0) & ~self.answered).any())

    def finish(self) -> None:
        """Say of every host that misses answers how many packets were dropped here."""
        dropped = self._opened.dropped()
        if not dropped:
            return
        missing = ((self.sent_at_ns > 0) & ~self.answered).reshape(-1, self._hosts).any(axis=0)
        words = f"{dropped} packets of this sweep were dropped here, the receive buffer was full: lower the rate"
        for host in np.flatnonzero(missing).tolist():
            self._tell(host, words)

    def _note_sent(self) -> None:
        """The user's clock at each batch since the last call, until the kernel's times are known."""
        if not self._batches:
            return
        firsts, counts, befores, epochs = np.array(self._batches, np.int64).T
        sent = np.repeat(firsts - counts.cumsum() + counts, counts) + np.arange(counts.sum())
        self.sent_at_ns[sent] = np.repeat(befores, counts)
        self._epochs[sent] = np.repeat(epochs, counts)
        self._batches.clear()

    def _take_back(self) -> bool:
        """Take what waits in the error queue: times of requests, and errors; whether there was anything."""
        any_came = False
        for _ in range(64):
            if not self._back.receive(self._fd, socket.MSG_ERRQUEUE | socket.MSG_DONTWAIT):
                break
            any_came = True
            if not self._back.full:
                break
            self._hear()
        return any_came

    def _hear(self) -> None:
        """Read what came back: when each request left, and what the network has to say."""
        filled, back = self._back.filled, self._back
        if not filled:
            return
        self._note_sent()
        control = back.control[:filled]
        left = (control[:, _ORIGIN] == SENT) & (back.control_lengths[:filled] > _ORIGIN)
        probes = self.requests.left(back.data[:filled], back.lengths[:filled], self._payload_bytes)
        stamps = back.stamps_ns()
        known = left & (probes >= 0) & (stamps > 0)
        known &= self.sent_at_ns[np.where(known, probes, 0)] > 0
        self.sent_at_ns[probes[known]] = stamps[known]
        for row in np.flatnonzero(~left).tolist():
            self._hear_error(row)
        back.clear()

    def _hear_error(self, row: int) -> None:
        back, family = self._back, self._opened.family
        host = socket.inet_ntop(family, back.names[row, IP_IN_NAME[family]].tobytes())
        quoted = back.data[row, : int(back.lengths[row])].tobytes()
        hosts = self.requests.quoted(quoted, host)
        if hosts:
            words = error_words(control_messages(back.control[row, : int(back.control_lengths[row])].tobytes()))
            for number in hosts:
                self._tell(number, words)

    def _may_pass(self, error: OSError) -> bool:
        """Whether to try again: there was no room, or the error was of an earlier packet (IP_RECVERR reports it so)."""
        if isinstance(error, BlockingIOError):
            waited, self._may_wait = self._may_wait, False  # once a burst: a device may be stuck
            poll = select.poll()
            poll.register(self._fd, select.POLLOUT)
            return bool(waited and poll.poll(_NO_ROOM_MS))
        if self._take_back():
            self._hear()
            return True
        return error.errno not in {errno.ENOBUFS, errno.EPERM}

    def _tell(self, host: int, words: str) -> None:
        """Keep what is to be said of a host, once."""
        said = self.said.setdefault(host, [])
        if words not in said:
            said.append(words)
