"""Echo requests as scapy reads them, and the matching of answers, whatever their bytes."""

import socket

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP
from scapy.layers.inet6 import ICMPv6EchoReply, ICMPv6EchoRequest, IPv6
from scapy.packet import Raw

from probes.wire.address import socket_names
from probes.wire.echo import READ_BYTES, Requests

HOSTS4 = ["192.0.2.1", "192.0.2.2", "198.51.100.255"]
HOSTS6 = ["2001:db8::1", "2001:db8::2", "::1"]
ROUNDS = 4


def _requests(family: int) -> Requests:
    return Requests.to(socket.AddressFamily(family), 0xBEEF, HOSTS4 if family == socket.AF_INET else HOSTS6, ROUNDS)


def _written(requests: Requests, payload_bytes: int) -> tuple[list[bytes], np.ndarray]:
    count = len(requests.tokens)
    data, names = np.zeros((count, 8 + payload_bytes), np.uint8), np.zeros((count, 28), np.uint8)
    half = count // 2 - 1
    requests.write(0, data[:half], names[:half])
    requests.write(half, data[half:], names[half:])
    return [row.tobytes() for row in data], names


@pytest.mark.parametrize("payload_bytes", [14, 15, 16, 33, 56])
def test_scapy_reads_the_request_and_finds_its_checksum_right(payload_bytes):
    requests = _requests(socket.AF_INET)
    packets, names = _written(requests, payload_bytes)
    for probe, packet in enumerate(packets):
        read = ICMP(packet)
        assert (read.type, read.code, read.id, read.seq) == (8, 0, 0xBEEF, probe)
        assert len(read.payload) == payload_bytes
        assert bytes(read.payload)[:4] == probe.to_bytes(4, "big")
        told = read.chksum
        del read.chksum
        assert ICMP(bytes(read)).chksum == told
        assert socket.inet_ntop(socket.AF_INET, names[probe, 4:8].tobytes()) == HOSTS4[probe % 3]


def test_all_requests_to_one_host_have_one_checksum_so_that_they_take_one_path():
    packets, _ = _written(_requests(socket.AF_INET), 16)
    again, _ = _written(_requests(socket.AF_INET), 16)
    sums = [packet[2:4] for packet in packets]
    assert sums[:3] * ROUNDS == sums == [packet[2:4] for packet in again]
    assert len(set(sums)) == 3
    assert len({packet[12:20] for packet in packets + again}) == 2 * len(packets)


def test_of_ipv6_the_kernels_checksum_over_the_addresses_is_the_same_for_one_host():
    packets, names = _written(_requests(socket.AF_INET6), 16)
    sums = []
    for probe, packet in enumerate(packets):
        read = ICMPv6EchoRequest(packet)
        assert (read.type, read.code, read.id, read.seq) == (128, 0, 0xBEEF, probe)
        assert socket.inet_ntop(socket.AF_INET6, names[probe, 8:24].tobytes()) == HOSTS6[probe % 3]
        del read.cksum
        sums.append(IPv6(bytes(IPv6(src="2001:db8::99", dst=HOSTS6[probe % 3]) / read))[ICMPv6EchoRequest].cksum)
    assert sums == sums[:3] * ROUNDS


def _answers(family: int, requests: Requests, ip_header: bool, options: bytes = b"") -> list[bytes]:
    """As a host would answer each request, by scapy."""
    packets, _ = _written(requests, 16)
    found = []
    for probe, packet in enumerate(packets):
        if family == socket.AF_INET6:
            asked = ICMPv6EchoRequest(packet)
            found.append(bytes(ICMPv6EchoReply(id=asked.id, seq=asked.seq, data=asked.data)))
            continue
        asked = ICMP(packet)
        answer = ICMP(type=0, id=asked.id, seq=asked.seq) / Raw(bytes(asked.payload))
        whole = bytes(IP(src=HOSTS4[probe % 3], dst="192.0.2.99") / answer)
        if options:
            whole = bytes([0x40 + 5 + len(options) // 4]) + whole[1:20] + options + whole[20:]
        found.append(whole if ip_header else bytes(answer))
    return found


def _match(requests: Requests, messages: list[bytes], senders: list[str], ip_header: bool) -> list[int]:
    data = np.zeros((len(messages), READ_BYTES), np.uint8)
    for row, message in enumerate(messages):
        data[row, : len(message)] = np.frombuffer(message[:READ_BYTES], np.uint8)
    lengths = np.array([min(len(message), READ_BYTES) for message in messages], np.uint32)
    names = socket_names(requests.family, senders)
    return requests.answered(data, lengths, names, ip_header=ip_header).tolist()


@pytest.mark.parametrize(
    ("family", "ip_header", "options"),
    [
        (socket.AF_INET, False, b""),
        (socket.AF_INET, True, b""),
        (socket.AF_INET, True, b"\x01" * 4),
        (socket.AF_INET, True, b"\x01" * 40),
        (socket.AF_INET6, False, b""),
    ],
)
def test_every_answer_is_matched_and_only_from_the_host_that_was_asked(family, ip_header, options):
    requests = _requests(family)
    hosts = HOSTS4 if family == socket.AF_INET else HOSTS6
    answers = _answers(family, requests, ip_header, options)
    right = [hosts[probe % 3] for probe in range(len(answers))]
    wrong = [hosts[(probe + 1) % 3] for probe in range(len(answers))]
    assert _match(requests, answers, right, ip_header) == list(range(len(answers)))
    assert _match(requests, answers, wrong, ip_header) == [-1] * len(answers)
    assert _match(_requests(family), answers, right, ip_header) == [-1] * len(answers)


def test_a_mixture_of_header_lengths_is_read_row_by_row():
    requests = _requests(socket.AF_INET)
    plain = _answers(socket.AF_INET, requests, True)
    options = _answers(socket.AF_INET, requests, True, b"\x01" * 12)
    mixed = [plain[0], options[1], plain[2], options[3]]
    assert _match(requests, mixed, [HOSTS4[i % 3] for i in range(4)], True) == [0, 1, 2, 3]


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_an_answer_with_any_bit_of_index_or_token_or_type_changed_is_no_answer(data):
    family = data.draw(st.sampled_from([socket.AF_INET, socket.AF_INET6]))
    requests = _requests(family)
    ip_header = family == socket.AF_INET and data.draw(st.booleans())
    answers = _answers(family, requests, ip_header)
    probe = data.draw(st.integers(0, len(answers) - 1))
    changed = bytearray(answers[probe])
    body = 20 if ip_header else 0
    at = data.draw(st.integers(0, len(changed) - 1))
    changed[at] ^= data.draw(st.integers(1, 255))
    told = _match(requests, [bytes(changed)], [(HOSTS4 if family == socket.AF_INET else HOSTS6)[probe % 3]], ip_header)
    decisive = at in {body, body + 1} or body + 8 <= at < body + 20 or (ip_header and at == 0)
    assert told == [-1 if decisive else probe]


@given(st.lists(st.binary(max_size=120), min_size=1, max_size=8), st.sampled_from(["4", "4 raw", "6"]))
@settings(max_examples=500, deadline=None)
def test_no_bytes_crash_the_matching_and_none_is_taken_for_an_answer(messages, kind):
    family = socket.AF_INET6 if kind == "6" else socket.AF_INET
    host = "::1" if kind == "6" else "192.0.2.1"
    assert _match(_requests(family), messages, [host] * len(messages), kind == "4 raw") == [-1] * len(messages)


@given(st.integers(0, 28))
@settings(deadline=None)
def test_an_answer_cut_anywhere_before_its_token_ends_is_no_answer(length):
    requests = _requests(socket.AF_INET)
    answer = _answers(socket.AF_INET, requests, False)[1][:length]
    assert _match(requests, [answer], [HOSTS4[1]], False) == [1 if length >= 20 else -1]


@given(st.lists(st.binary(max_size=90), min_size=1, max_size=6), st.integers(14, 40))
@settings(deadline=None)
def test_no_bytes_crash_the_reading_of_what_left(messages, payload_bytes):
    data = np.zeros((len(messages), 90), np.uint8)
    for row, message in enumerate(messages):
        data[row, : len(message)] = np.frombuffer(message, np.uint8)
    lengths = np.array([len(message) for message in messages], np.uint32)
    assert _requests(socket.AF_INET).left(data, lengths, payload_bytes).tolist() == [-1] * len(messages)


def test_what_left_is_known_behind_any_lower_headers():
    requests = _requests(socket.AF_INET)
    packets, _ = _written(requests, 16)
    data, lengths = np.zeros((len(packets), 100), np.uint8), np.zeros(len(packets), np.uint32)
    for row, packet in enumerate(packets):
        whole = bytes(14 * (row % 3)) + bytes(IP(dst=HOSTS4[row % 3])) + packet
        data[row, : len(whole)], lengths[row] = np.frombuffer(whole, np.uint8), len(whole)
    assert requests.left(data, lengths, 16).tolist() == list(range(len(packets)))


def test_an_error_names_the_host_by_token_or_by_address_where_only_eight_bytes_are_quoted():
    requests = _requests(socket.AF_INET)
    packets, _ = _written(requests, 16)
    assert requests.quoted(packets[4], HOSTS4[1]) == [1]
    assert requests.quoted(packets[4][:8], HOSTS4[1]) == [1]
    assert requests.quoted(packets[4], HOSTS4[2]) == []
    assert requests.quoted(packets[4][:7], HOSTS4[1]) == []
    forged = bytearray(packets[4])
    forged[12] ^= 1
    assert requests.quoted(bytes(forged), HOSTS4[1]) == []
    foreign = bytearray(packets[4][:8])
    foreign[4] ^= 1
    assert requests.quoted(bytes(foreign), HOSTS4[1]) == []
    six = _requests(socket.AF_INET6)
    packets, _ = _written(six, 16)
    assert six.quoted(bytes(IPv6(dst=HOSTS6[1])) + packets[1], HOSTS6[1]) == [1]


@given(st.binary(max_size=100), st.sampled_from([socket.AF_INET, socket.AF_INET6]))
@settings(deadline=None)
def test_no_quotation_crashes(message, family):
    assert _requests(family).quoted(message, HOSTS4[0] if family == socket.AF_INET else HOSTS6[0]) == []
