"""STAMP packets against scapy's, against RFC 8762's figures written out by hand, and against the stdlib's HMAC."""

import hashlib
import hmac
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.contrib.stamp import (
    ErrorEstimate,
    STAMPSessionReflectorTestUnauthenticated,
    STAMPSessionSenderTestUnauthenticated,
    STAMPTestTLV,
)

from probes.wire import stamp_packet as sp
from probes.wire import stamp_tlv

KEY = b"a key of this test"
T1, T2, T3 = 1_700_000_000_123_456_789, 1_700_000_000_223_456_789, 1_700_000_000_223_999_999


def array(*values: int, dtype: type = np.int64) -> np.ndarray:
    return np.array(values, dtype)


def request(key: bytes | None = None, seq: int = 7, ssid: int = 513) -> np.ndarray:
    return sp.requests(array(seq, dtype=np.uint32), sp.ntp(array(T1)), ssid=ssid, error=0x8C01, key=key)


def test_ntp_time_of_a_date_that_rfc_5905_gives() -> None:
    # RFC 5905 figure 4: the first day of UNIX is 2,208,988,800 s, the first day of NTP era 1 is 2036-02-07 06:28:16
    assert sp.ntp(array(0)).tolist() == [2_208_988_800 << 32]
    era_1_ns = 2_085_978_496 * 10**9
    assert sp.ntp(array(era_1_ns, era_1_ns + 500_000_000)).tolist() == [0, 1 << 31]
    assert sp.unix_ns(array(1 << 31, dtype=np.uint64), array(0, dtype=np.uint16)).tolist() == [era_1_ns + 500_000_000]


@given(st.lists(st.integers(0, 4_100_000_000 * 10**9), min_size=1, max_size=20))
def test_every_nanosecond_survives_the_wire(times: list[int]) -> None:
    back = sp.unix_ns(sp.ntp(np.array(times, np.int64)), np.zeros(len(times), np.uint16))
    assert back.tolist() == times


def test_a_ptp_time_is_seconds_and_nanoseconds() -> None:
    stamp = array(1_700_000_000 << 32 | 123_456_789, dtype=np.uint64)
    assert sp.unix_ns(stamp, array(0x4001, dtype=np.uint16)).tolist() == [1_700_000_000_123_456_789]


@pytest.mark.parametrize(("error_s", "scale", "multiplier"), [(255 / 2**32, 0, 255), (256 / 2**32, 1, 128), (0, 0, 1)])
def test_error_estimate_is_the_least_that_covers(error_s: float, scale: int, multiplier: int) -> None:
    assert sp.error_estimate(True, error_s) == 0x8000 | scale << 8 | multiplier
    assert sp.error_estimate(False, error_s) == scale << 8 | multiplier


def test_the_estimate_of_this_clock_has_a_multiplier_and_speaks_ntp() -> None:
    assert sp.clock_error() & 0xFF > 0
    assert not sp.clock_error() & 0x4000


def test_scapy_reads_our_request() -> None:
    packet = STAMPSessionSenderTestUnauthenticated(request().tobytes())
    assert (packet.seq, packet.ssid, packet.mbz, packet.tlv_objects) == (7, 513, 0, [])
    # scapy keeps the 64 bits as seconds since 1900 in a decimal of 2^-32
    assert int(packet.ts * 2**32) == int(sp.ntp(array(T1))[0])
    assert (packet.err_estimate.S, packet.err_estimate.Z, packet.err_estimate.scale) == (1, 0, 12)
    assert packet.err_estimate.multiplier == 1


def test_scapy_reads_our_reply_to_scapys_request() -> None:
    built = STAMPSessionSenderTestUnauthenticated(
        seq=0xFFFFFFFF, ts=3_900_000_000.5, err_estimate=ErrorEstimate(S=1, scale=3, multiplier=9), ssid=99
    )
    asked = np.frombuffer(bytes(built), np.uint8)[None, :]
    packets = sp.reflect(asked, received_ns=array(T2), ttl=array(61, dtype=np.uint8), error=0x0305)
    sp.stamp_times(packets, T3)
    reply = STAMPSessionReflectorTestUnauthenticated(packets.tobytes())
    assert (reply.seq, reply.seq_sender, reply.ssid, reply.ttl_sender) == (0xFFFFFFFF, 0xFFFFFFFF, 99, 61)
    assert reply.ts_sender == 3_900_000_000.5
    assert int(reply.ts_rx * 2**32) == int(sp.ntp(array(T2))[0])
    assert int(reply.ts * 2**32) == int(sp.ntp(array(T3))[0])
    assert bytes(reply.err_estimate_sender) == bytes(ErrorEstimate(S=1, scale=3, multiplier=9))
    assert bytes(reply.err_estimate) == bytes(ErrorEstimate(S=0, scale=3, multiplier=5))
    assert (reply.mbz1, reply.mbz2, reply.tlv_objects) == (0, 0, [])


def test_we_read_scapys_reply() -> None:
    times = {"ts": 3_900_000_002.25, "ts_rx": 3_900_000_002, "ts_sender": 3_900_000_000.5}
    built = bytes(STAMPSessionReflectorTestUnauthenticated(seq=5, ssid=99, seq_sender=77, ttl_sender=3, **times))
    read = sp.replies(np.frombuffer(built, np.uint8)[None, :], array(len(built)))
    assert read.sound.tolist() == [True]
    assert (read.ssid.tolist(), read.sender_seq.tolist()) == ([99], [77])
    assert read.sender_time.tolist() == [3_900_000_000 << 32 | 1 << 31]
    assert read.received_ns.tolist() == [(3_900_000_002 - 2_208_988_800) * 10**9]
    assert (read.sent_ns - read.received_ns).tolist() == [250_000_000]


def test_an_authenticated_exchange_written_out_by_hand() -> None:
    """Figures 4 and 7 of RFC 8762, octet by octet; the HMAC as RFC 2104 over the first six blocks."""
    ntp1, ntp2, ntp3 = (int(sp.ntp(array(t))[0]) for t in (T1, T2, T3))
    body = struct.pack(">I12xQHH68x", 7, ntp1, 0x8C01, 513)
    by_hand = body + hmac.new(KEY, body, hashlib.sha256).digest()[:16]
    asked = request(KEY)
    assert asked.tobytes() == by_hand
    assert len(by_hand) == 112
    packets = sp.reflect(
        asked, received_ns=array(T2), ttl=array(64, dtype=np.uint8), error=0x0305, seq=None, authenticated=True
    )
    sp.stamp_times(packets, T3, [KEY])
    body = struct.pack(">I12xQHH4xQ8xI12xQH6xB15x", 7, ntp3, 0x0305, 513, ntp2, 7, ntp1, 0x8C01, 64)
    assert packets.tobytes() == body + hmac.new(KEY, body, hashlib.sha256).digest()[:16]


def test_a_reply_with_one_bit_changed_or_another_key_is_not_sound() -> None:
    packets = sp.reflect(
        request(KEY), received_ns=array(T2), ttl=array(64, dtype=np.uint8), error=1, authenticated=True
    )
    sp.stamp_times(packets, T3, [KEY])
    every_bit = np.repeat(packets, 112 * 8, axis=0)
    for bit in range(112 * 8):
        every_bit[bit, bit // 8] ^= 1 << bit % 8
    assert not sp.replies(every_bit, np.full(112 * 8, 112), KEY).sound.any()
    assert sp.replies(packets, array(112), KEY).sound.tolist() == [True]
    assert sp.replies(packets, array(112), b"another").sound.tolist() == [False]
    assert sp.replies(packets, array(111), KEY).sound.tolist() == [False]


def test_short_datagrams_are_not_sound_in_buffers_of_any_width() -> None:
    for width in (0, 1, 43, 44, 200):
        read = sp.replies(np.zeros((1, width), np.uint8), array(width))
        assert read.sound.tolist() == [width >= 44]


UNKNOWN, MALFORMED, NOT_INTACT = 0x80, 0x40, 0x20
"""RFC 8972 figure 3: bit 0 is the first, so the highest; scapy 2.6 and 2.7 name them from the other end."""


def tlv(kind: int, value: bytes = b"", flags: int = UNKNOWN, length: int | None = None) -> bytes:
    return bytes(STAMPTestTLV(flags=flags, type=kind, len=len(value) if length is None else length, value=value))


def test_unknown_tlvs_go_back_marked_and_padding_clean() -> None:
    trailer = tlv(1, b"pad") + tlv(4, b"\x01\x02\x03\x04") + tlv(200)
    back = stamp_tlv.reflected(trailer, b"seq1", b"seq1", None)
    assert back == tlv(1, b"pad", 0) + tlv(4, b"\x01\x02\x03\x04", UNKNOWN) + tlv(200, b"", UNKNOWN)


def test_a_malformed_tlv_is_marked_and_the_rest_copied() -> None:
    trailer = tlv(1, b"ok") + tlv(1, b"cut", length=9) + b""
    back = stamp_tlv.reflected(trailer, b"seq1", b"seq1", None)
    assert back == tlv(1, b"ok", 0) + tlv(1, b"cut", MALFORMED, length=9)
    assert stamp_tlv.reflected(b"\x80\x01\x00", b"seq1", b"seq1", None) == b"\x40\x01\x00"


def test_zeros_are_padding() -> None:
    assert stamp_tlv.reflected(bytes(1000), b"seq1", b"seq1", None) == bytes(1000)
    assert stamp_tlv.reflected(tlv(1, b"x") + bytes(9), b"seq1", b"seq1", KEY) == tlv(1, b"x", 0) + bytes(9)


def sealed(seq: bytes, before: bytes, flags: int = UNKNOWN) -> bytes:
    return before + tlv(8, hmac.new(KEY, seq + before, hashlib.sha256).digest()[:16], flags)


def test_extensions_of_an_authenticated_packet_are_verified_and_sealed_again() -> None:
    trailer = sealed(b"seq1", tlv(4, b"abcd")) + tlv(1, b"pad")
    back = stamp_tlv.reflected(trailer, b"seq1", b"seq2", KEY)
    assert back == sealed(b"seq2", tlv(4, b"abcd", UNKNOWN), 0) + tlv(1, b"pad", 0)


@pytest.mark.parametrize(
    "trailer",
    [
        sealed(b"seq1", tlv(4, b"abcd")) + tlv(5, b"late"),
        sealed(b"seqX", tlv(4, b"abcd")),
        tlv(4, b"abcd"),
        tlv(8, b"short"),
    ],
    ids=["misplaced", "foreign", "missing", "malformed"],
)
def test_extensions_without_a_right_hmac_are_marked_in_every_tlv(trailer: bytes) -> None:
    back = stamp_tlv.reflected(trailer, b"seq1", b"seq1", KEY)
    flags = STAMPSessionSenderTestUnauthenticated(bytes(44) + back).tlv_objects
    assert flags
    assert all(int(t.flags) & NOT_INTACT for t in flags)
    assert len(back) == len(trailer)


@given(
    st.lists(st.tuples(st.sampled_from([0, 1, 2, 5, 200, 255]), st.binary(max_size=9)), max_size=6),
    st.binary(max_size=3),
)
def test_well_formed_tlvs_keep_everything_but_their_flags(pieces: list[tuple[int, bytes]], tail: bytes) -> None:
    trailer = b"".join(tlv(kind, value) for kind, value in pieces) + tail
    back = stamp_tlv.reflected(trailer, b"seq1", b"seq2", None)
    expected = b"".join(tlv(kind, value, 0 if kind == 1 else UNKNOWN) for kind, value in pieces)
    assert back[: len(expected)] == expected
    assert back[len(expected) + 1 :] == tail[1:]
    assert len(back) == len(trailer)


@given(st.binary(max_size=300), st.booleans())
def test_any_trailer_keeps_its_length(trailer: bytes, authenticated: bool) -> None:
    assert len(stamp_tlv.reflected(trailer, b"seq1", b"seq2", KEY if authenticated else None)) == len(trailer)
