"""STAMP test packets (RFC 8762, SSID of RFC 8972) as arrays: a batch of N packets is one call, not N.

Both modes and both directions are fixed layouts of network-order fields: 44 octets unauthenticated, 112 authenticated,
of which the last 16 are HMAC-SHA-256 over the first 96, truncated (RFC 8762 section 4.4). What stands beyond the base
packet is `stamp_tlv`'s. Times go in and out as nanoseconds since 1970 UTC; on the wire they are NTP 64-bit, and
PTPv2 truncated where a peer says so by its Z bit (RFC 8762 section 4.2.1).
"""

import ctypes
import hmac
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

OPEN_BYTES: Final = 44
AUTHENTICATED_BYTES: Final = 112
SEALED_BYTES: Final = 96
"""Octets that the HMAC covers; it follows them."""
HMAC_BYTES: Final = 16


def _layout(size: int, **fields: tuple[int, str]) -> np.dtype[Any]:
    offsets, formats = zip(*fields.values(), strict=True)
    return np.dtype({"names": list(fields), "formats": formats, "offsets": offsets, "itemsize": size})


OPEN_REQUEST: Final = _layout(OPEN_BYTES, seq=(0, ">u4"), time=(4, ">u8"), error=(12, ">u2"), ssid=(14, ">u2"))
AUTHENTICATED_REQUEST: Final = _layout(
    AUTHENTICATED_BYTES, seq=(0, ">u4"), time=(16, ">u8"), error=(24, ">u2"), ssid=(26, ">u2"), hmac=(96, "V16")
)
OPEN_REPLY: Final = _layout(
    OPEN_BYTES,
    seq=(0, ">u4"),
    time=(4, ">u8"),
    error=(12, ">u2"),
    ssid=(14, ">u2"),
    received=(16, ">u8"),
    sender_seq=(24, ">u4"),
    sender_time=(28, ">u8"),
    sender_error=(36, ">u2"),
    sender_ttl=(40, "u1"),
)
AUTHENTICATED_REPLY: Final = _layout(
    AUTHENTICATED_BYTES,
    seq=(0, ">u4"),
    time=(16, ">u8"),
    error=(24, ">u2"),
    ssid=(26, ">u2"),
    received=(32, ">u8"),
    sender_seq=(48, ">u4"),
    sender_time=(64, ">u8"),
    sender_error=(72, ">u2"),
    sender_ttl=(80, "u1"),
    hmac=(96, "V16"),
)

_NTP_EPOCH_S: Final = 2_208_988_800
_ERA_S: Final = 1 << 32
_PTP_BIT: Final = 0x4000
_SYNCHRONISED_BIT: Final = 0x8000

Bytes = NDArray[np.uint8]


class Replies(NamedTuple):
    """What N datagrams say when they are read as replies; rows where `sound` is False mean nothing.

    received_ns, sent_ns: the reflector's clock when it got the request and when it answered (T2, T3). sender_time:
    the 64 bits that the request had carried, untouched.
    """

    sound: NDArray[np.bool_]
    ssid: NDArray[np.uint16]
    sender_seq: NDArray[np.uint32]
    sender_time: NDArray[np.uint64]
    received_ns: NDArray[np.int64]
    sent_ns: NDArray[np.int64]


def base_bytes(key: object | None) -> int:
    """The least size of a packet: by the mode, which is authenticated where there is a key."""
    return OPEN_BYTES if key is None else AUTHENTICATED_BYTES


def ntp(time_ns: NDArray[np.int64]) -> NDArray[np.uint64]:
    """NTP 64-bit timestamps (RFC 5905 section 6) of nanoseconds since 1970 UTC; `unix_ns` gives them back exactly."""
    seconds, rest = np.divmod(time_ns, 1_000_000_000)
    era_seconds = ((seconds + _NTP_EPOCH_S) % _ERA_S).astype(np.uint64)
    fraction = (rest.astype(np.uint64) << np.uint64(32)) // np.uint64(1_000_000_000)
    return (era_seconds << np.uint64(32)) | fraction


def unix_ns(stamp: NDArray[np.uint64], error: NDArray[np.uint16]) -> NDArray[np.int64]:
    """Nanoseconds since 1970 of timestamps in the format that the Error Estimate beside them names (Z bit).

    An NTP time without its top bit is of the era that begins in 2036. A PTP time is taken as it stands: its scale
    (TAI or UTC) is not on the wire, and cancels out of the difference of two times of one clock.
    """
    seconds = (stamp >> np.uint64(32)).astype(np.int64)
    low = stamp & np.uint64(0xFFFFFFFF)
    nanoseconds = ((low * np.uint64(1_000_000_000) + np.uint64(1 << 31)) >> np.uint64(32)).astype(np.int64)
    era = np.where(seconds < 1 << 31, _ERA_S, 0)
    from_ntp = (seconds + era - _NTP_EPOCH_S) * 1_000_000_000 + nanoseconds
    from_ptp = seconds * 1_000_000_000 + low.astype(np.int64)
    return np.where(error & np.uint16(_PTP_BIT), from_ptp, from_ntp)


def error_estimate(synchronised: bool, error_s: float) -> int:
    """The Error Estimate field: the least Multiplier × 2^(Scale−32) s not below `error_s` (RFC 4656 section 4.1.2)."""
    units = max(error_s, 0.0) * 2.0**32
    scale = 0
    while units / 2.0**scale > 255 and scale < 63:
        scale += 1
    multiplier = min(max(1, int(np.ceil(units / 2.0**scale))), 255)  # a multiplier of 0 is no valid estimate
    return (_SYNCHRONISED_BIT if synchronised else 0) | scale << 8 | multiplier


def clock_error() -> int:
    """The Error Estimate of this machine's clock, as the kernel and its NTP daemon tell it (adjtimex)."""
    timex = ctypes.create_string_buffer(512)  # struct timex is 208 octets; modes = 0 only reads
    state = ctypes.CDLL(None, use_errno=True).adjtimex(timex)
    unsynchronised = state < 0 or bool(int.from_bytes(timex.raw[40:44], "little") & 0x40)
    error_us = int.from_bytes(timex.raw[32:40], "little", signed=True)
    return error_estimate(not unsynchronised, 1.0 if unsynchronised else max(error_us, 1) / 1e6)


def requests(
    seq: NDArray[np.uint32], time: NDArray[np.uint64] | np.uint64, *, ssid: int, error: int, key: bytes | None = None
) -> Bytes:
    """(N, 44) or (N, 112) octets: one request a sequence number; `time` is NTP 64-bit, as `ntp` gives it."""
    size = base_bytes(key)
    packets = np.zeros((len(seq), size), np.uint8)
    fields = packets.view(OPEN_REQUEST if key is None else AUTHENTICATED_REQUEST)[:, 0]
    fields["seq"], fields["time"], fields["error"], fields["ssid"] = seq, time, error, ssid
    if key is not None:
        seal(packets, [key] * len(packets))
    return packets


def reflect(
    requests: Bytes,
    *,
    received_ns: NDArray[np.int64],
    ttl: NDArray[np.uint8],
    error: int,
    seq: NDArray[np.uint32] | None = None,
    authenticated: bool = False,
) -> Bytes:
    """The base replies (N, 44 or 112) to N requests, without time of sending and HMAC: `stamp_times` adds those.

    `requests` (N, at least the base). `seq` counts the replies of each session in stateful mode; None copies the
    request's number (RFC 8762 section 4.3.1). The SSID is copied (RFC 8972 section 3).
    """
    size = AUTHENTICATED_BYTES if authenticated else OPEN_BYTES
    asked = requests[:, :size].view(AUTHENTICATED_REQUEST if authenticated else OPEN_REQUEST)[:, 0]
    packets = np.zeros((len(requests), size), np.uint8)
    fields = packets.view(AUTHENTICATED_REPLY if authenticated else OPEN_REPLY)[:, 0]
    fields["seq"] = asked["seq"] if seq is None else seq
    fields["error"], fields["ssid"] = error, asked["ssid"]
    fields["received"] = ntp(received_ns)
    fields["sender_seq"], fields["sender_time"] = asked["seq"], asked["time"]
    fields["sender_error"], fields["sender_ttl"] = asked["error"], ttl
    return packets


def stamp_times(packets: Bytes, sent_ns: int, keys: Sequence[bytes] | None = None) -> None:
    """Write the time of sending into replies (N, W) that are about to leave, and seal each with its key, if any."""
    fields = packets[:, : base_bytes(keys)].view(OPEN_REPLY if keys is None else AUTHENTICATED_REPLY)[:, 0]
    fields["time"] = ntp(np.array([sent_ns], np.int64))[0]
    if keys is not None:
        seal(packets, keys)


def seal(packets: Bytes, keys: Sequence[bytes]) -> None:
    """Write into each authenticated packet (N, at least 112) the HMAC by its own of the N keys."""
    for packet, key in zip(packets, keys, strict=True):
        packet[SEALED_BYTES:AUTHENTICATED_BYTES] = np.frombuffer(_hmac(key, packet), np.uint8)


def sealed_by(packets: Bytes, keys: Sequence[bytes]) -> list[bytes | None]:
    """By which of the keys each authenticated packet (N, at least 112) is sealed; None where by none of them."""
    found = [packet[SEALED_BYTES:AUTHENTICATED_BYTES].tobytes() for packet in packets]
    return [
        next((key for key in keys if hmac.compare_digest(_hmac(key, packet), mac)), None)
        for packet, mac in zip(packets, found, strict=True)
    ]


def _hmac(key: bytes, packet: Bytes) -> bytes:
    return hmac.digest(key, packet[:SEALED_BYTES].tobytes(), "sha256")[:HMAC_BYTES]


def replies(packets: Bytes, lengths: NDArray[np.int64], key: bytes | None = None) -> Replies:
    """Datagrams (N, W) of the given lengths read as replies; too short, or without the key's HMAC, is not sound."""
    size = base_bytes(key)
    sound = np.asarray(lengths) >= size
    if packets.shape[1] < size:
        packets = np.pad(packets, ((0, 0), (0, size - packets.shape[1])))
    if key is not None:
        sound[sound] = [by is not None for by in sealed_by(packets[sound], (key,))]
    fields = packets[:, :size].view(OPEN_REPLY if key is None else AUTHENTICATED_REPLY)[:, 0]
    error = fields["error"].astype(np.uint16)
    return Replies(
        sound,
        fields["ssid"].astype(np.uint16),
        fields["sender_seq"].astype(np.uint32),
        fields["sender_time"].astype(np.uint64),
        unix_ns(fields["received"].astype(np.uint64), error),
        unix_ns(fields["time"].astype(np.uint64), error),
    )
