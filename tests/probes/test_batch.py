"""Datagrams in batches: what the kernel writes, against the standard library's reading of the same."""

import errno
import socket
import struct
import time
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probes.wire.address import connect_address, socket_names
from probes.wire.batch import SO_TIMESTAMPING, SO_TIMESTAMPNS, Inbox, Outbox, control_messages, stamps_ns
from probes.wire.error_queue import error_words
from probes.wire.stamping import LEFT, RECEIVED, await_stamps

IP_PKTINFO = 8


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ours,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as theirs,
    ):
        theirs.bind(("127.0.0.1", 0))
        theirs.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        await_stamps()
        yield ours, theirs


def _to(outbox: Outbox, receiver: socket.socket) -> None:
    outbox.names[:] = socket_names(socket.AF_INET, ["127.0.0.1"], receiver.getsockname()[1])


def test_a_batch_arrives_whole_in_order_from_its_sender_with_rising_stamps(pair):
    ours, theirs = pair
    outbox, inbox = Outbox(40, 8, socket.AF_INET), Inbox(64, 16)
    _to(outbox, theirs)
    outbox.data[:] = np.arange(40)[:, None] + np.arange(8)
    outbox.lengths[:] = np.arange(40) % 8 + 1
    before = time.time_ns()
    assert outbox.send(ours.fileno(), 0, 40) == 40
    assert inbox.receive(theirs.fileno()) == 40
    after = time.time_ns()
    assert inbox.lengths[:40].tolist() == [i % 8 + 1 for i in range(40)]
    for i in range(40):
        assert inbox.data[i, : i % 8 + 1].tolist() == [i + j for j in range(i % 8 + 1)]
    port = ours.getsockname()[1]
    expected = struct.pack("=H", socket.AF_INET) + struct.pack("!H", port) + bytes([127, 0, 0, 1])
    assert all(inbox.names[i, :8].tobytes() == expected for i in range(40))
    stamps = inbox.stamps_ns()
    assert before <= stamps[0] and stamps[-1] <= after and (np.diff(stamps) >= 0).all()


def test_rows_run_out_and_come_back_and_nothing_is_lost_between(pair):
    ours, theirs = pair
    outbox, inbox = Outbox(30, 4, socket.AF_INET), Inbox(8, 4)
    _to(outbox, theirs)
    outbox.data[:, 0] = np.arange(30)
    outbox.send(ours.fileno(), 0, 30)
    seen: list[int] = []
    while inbox.receive(theirs.fileno()):
        assert inbox.full == (inbox.filled == 8)
        assert (inbox.stamps_ns() > 0).all()
        seen += inbox.data[: inbox.filled, 0].tolist()
        inbox.clear()
    assert seen == list(range(30))
    assert inbox.receive(theirs.fileno()) == 0


def test_what_is_longer_than_a_row_is_cut_and_flagged(pair):
    ours, theirs = pair
    ours.sendto(b"0123456789", theirs.getsockname())
    inbox = Inbox(1, 4)
    inbox.receive(theirs.fileno())
    assert inbox.data[0].tobytes() == b"0123"
    assert inbox.lengths[0] == 4
    assert inbox.flags[0] & socket.MSG_TRUNC


def test_the_stamp_is_found_behind_other_control_data_and_where_control_data_is_cut(pair):
    ours, theirs = pair
    theirs.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)
    theirs.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPING, RECEIVED)  # another 64 bytes, between stamp and address
    ours.sendto(b"a", theirs.getsockname())
    ours.sendto(b"b", theirs.getsockname())
    wide, narrow = Inbox(1, 4, 256), Inbox(1, 4, 32)
    wide.receive(theirs.fileno())
    narrow.receive(theirs.fileno())
    assert narrow.flags[0] & socket.MSG_CTRUNC
    assert 0 < wide.stamps_ns()[0] <= narrow.stamps_ns()[0] <= time.time_ns()
    raw = wide.control[0, : int(wide.control_lengths[0])].tobytes()
    messages = list(control_messages(raw))
    assert {(level, kind) for level, kind, _ in messages} == {
        (socket.SOL_SOCKET, SO_TIMESTAMPNS),
        (socket.SOL_SOCKET, SO_TIMESTAMPING),
        (socket.IPPROTO_IP, IP_PKTINFO),
    }
    turned = b"".join(_control(*message) for message in reversed(messages))
    rows = np.frombuffer(turned.ljust(256, b"\0"), np.uint8)[None, :]
    assert stamps_ns(rows, np.array([len(turned)], np.uint64)) == wide.stamps_ns()


def test_a_packet_that_left_comes_back_by_the_error_queue_with_its_time(pair):
    ours, theirs = pair
    ours.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPING, LEFT | RECEIVED)
    before = time.time_ns()
    ours.sendto(b"tell me when", theirs.getsockname())
    back, there = Inbox(4, 200, 160), Inbox(4, 200)
    assert back.receive(ours.fileno(), socket.MSG_ERRQUEUE | socket.MSG_DONTWAIT) == 1
    assert there.receive(theirs.fileno()) == 1
    assert back.data[0, : int(back.lengths[0])].tobytes().endswith(b"tell me when")
    assert before <= back.stamps_ns()[0] <= there.stamps_ns()[0]


def test_the_first_row_that_the_kernel_refuses_raises_and_a_later_one_ends_the_batch(pair):
    ours, theirs = pair
    outbox = Outbox(3, 4, socket.AF_INET)
    _to(outbox, theirs)
    outbox.names[1, :2] = 255  # no such family
    assert outbox.send(ours.fileno(), 0, 3) == 1
    with pytest.raises(OSError) as refused:
        outbox.send(ours.fileno(), 1, 3)
    assert refused.value.errno in {errno.EAFNOSUPPORT, errno.EINVAL}
    assert outbox.send(ours.fileno(), 2, 3) == 1


def test_an_error_of_the_socket_itself_is_raised_once(pair):
    ours, _ = pair
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as nobody:
        nobody.bind(("127.0.0.1", 0))
        port = nobody.getsockname()[1]
    ours.connect(("127.0.0.1", port))
    outbox, inbox = Outbox(1, 4, None), Inbox(1, 4)
    outbox.send(ours.fileno(), 0, 1)
    with pytest.raises(ConnectionRefusedError):
        inbox.receive(ours.fileno())
    assert inbox.receive(ours.fileno()) == 0


def _control(level: int, kind: int, data: bytes) -> bytes:
    length = 16 + len(data)
    return struct.pack("=Qii", length, level, kind) + data.ljust(-(-len(data) // 8) * 8, b"\0")


MESSAGE = st.tuples(st.integers(-(2**31), 2**31 - 1), st.integers(-(2**31), 2**31 - 1), st.binary(max_size=40))


@given(st.lists(MESSAGE, max_size=5), st.integers(0, 60))
@settings(deadline=None)
def test_control_data_are_read_as_far_as_they_are_whole(messages, cut):
    ends = np.cumsum([0, *(len(_control(*message)) for message in messages)])
    data = b"".join(_control(*message) for message in messages)
    kept = data[: max(len(data) - cut, 0)]
    whole = [
        message
        for message, begins in zip(messages, ends[:-1], strict=True)
        if begins + 16 + len(message[2]) <= len(kept)
    ]
    assert list(control_messages(kept)) == whole


@given(st.binary(max_size=200))
@settings(deadline=None)
def test_any_control_data_give_messages_within_them_and_no_crash(data):
    assert sum(16 + len(value) for _, _, value in control_messages(data)) <= len(data)


@given(st.sampled_from([(0, 11), (41, 25)]), st.binary(max_size=60))
@settings(deadline=None)
def test_any_error_of_the_error_queue_has_words(kind, data):
    assert error_words([(*kind, data)])
    assert error_words(control_messages(_control(*kind, data) + data))


def test_an_error_is_told_with_its_reason_its_numbers_and_who_said_it():
    error = struct.pack("=IBBBBII", errno.EHOSTUNREACH, 2, 3, 1, 0, 0, 0)
    router = struct.pack("=H", socket.AF_INET) + b"\0\0" + bytes([192, 0, 2, 9]) + bytes(8)
    assert error_words([(0, 11, error + router)]) == "No route to host (ICMP 3/1 from 192.0.2.9)"
    router6 = struct.pack("=H", socket.AF_INET6) + bytes(6) + socket.inet_pton(socket.AF_INET6, "2001:db8::9")
    assert error_words([(41, 25, error + router6)]) == "No route to host (ICMP 3/1 from 2001:db8::9)"
    local = struct.pack("=IBBBBII", errno.EMSGSIZE, 1, 0, 0, 0, 1500, 0)
    assert error_words([(0, 11, local)]) == "Message too long (this machine)"


@given(st.lists(st.binary(min_size=64, max_size=64), min_size=1, max_size=6), st.data())
@settings(deadline=None)
def test_any_control_data_give_a_stamp_or_none(rows, data):
    control = np.frombuffer(b"".join(rows), np.uint8).reshape(-1, 64)
    lengths = np.array([data.draw(st.integers(0, 64)) for _ in rows], np.uint64)
    stamps = stamps_ns(control, lengths)
    for row, length, stamp in zip(rows, lengths.tolist(), stamps.tolist(), strict=True):
        wanted = [
            seconds * 10**9 + nanoseconds
            for level, kind, value in control_messages(row[:length])
            if level == 1 and (kind, len(value)) in {(35, 16), (37, 48)}
            for seconds, nanoseconds in [struct.unpack_from("=qq", value)]
            if 0 < seconds < 2**33 and 0 <= nanoseconds < 10**9
        ]
        assert stamp == (wanted[0] if wanted else 0)


@given(st.integers(1, 2**33 - 1), st.integers(0, 10**9 - 1), st.sampled_from([(35, 16), (37, 48)]))
@settings(deadline=None)
def test_a_stamp_is_read_to_the_nanosecond(seconds, nanoseconds, kind):
    data = _control(1, kind[0], struct.pack("=qq", seconds, nanoseconds).ljust(kind[1], b"\0")).ljust(64, b"\0")
    control = np.frombuffer(data, np.uint8)[None, :]
    assert stamps_ns(control, np.array([16 + kind[1]], np.uint64)).tolist() == [seconds * 10**9 + nanoseconds]


def test_zones_are_numbers_of_interfaces_and_none_is_looked_up():
    assert connect_address("fe80::1%lo", 80) == ("fe80::1", 80, 0, socket.if_nametoindex("lo"))
    assert connect_address("fe80::1%7", 80) == ("fe80::1", 80, 0, 7)
    assert connect_address("fe80::1%no-such", 80) == ("fe80::1", 80, 0, 0)
    assert connect_address("192.0.2.1", 80) == ("192.0.2.1", 80)
    name = socket_names(socket.AF_INET6, ["fe80::1%lo"], 0x1234)[0].tobytes()
    assert name[:2] == struct.pack("=H", socket.AF_INET6)
    assert name[2:4] == b"\x12\x34"
    assert name[8:24] == socket.inet_pton(socket.AF_INET6, "fe80::1")
    assert name[24:28] == struct.pack("=I", socket.if_nametoindex("lo"))
