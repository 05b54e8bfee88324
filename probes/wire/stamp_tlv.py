"""What follows the base packet of STAMP: extensions (RFC 8972 section 4) or plain padding, reflected at their length.

Only Extra Padding and the HMAC TLV are understood; every other TLV goes back as it came, marked as not understood.
Packets that bear TLVs are rare, so this works on one packet at a time.
"""

import hmac
from typing import Final, NamedTuple

EXTRA_PADDING: Final = 1
HMAC: Final = 8
UNKNOWN: Final = 0x80
MALFORMED: Final = 0x40
NOT_INTACT: Final = 0x20
_HEADER: Final = 4
_DIGEST: Final = 16


class _Tlv(NamedTuple):
    start: int
    end: int
    type: int | None
    malformed: bool


def reflected(trailer: bytes, seq: bytes, reply_seq: bytes, key: bytes | None) -> bytes:
    """The trailer of a reply: as long as that of the request, with the flags that section 4 prescribes.

    `seq`, `reply_seq`: the four octets of the Sequence Number in request and reply, which the HMAC TLV covers. With
    a key, TLVs other than padding without a right HMAC go back marked as not intact; without one that TLV is unknown.
    A remainder of zeros is the padding of a TWAMP Light sender and goes back untouched (RFC 8762 section 4.6).
    """
    out = bytearray(trailer)
    found = _walk(trailer)
    for tlv in found:
        out[tlv.start] = MALFORMED if tlv.malformed else 0
        if tlv.type is not None and not _understood(tlv.type, key):
            out[tlv.start] |= UNKNOWN
    if key is None or all(tlv.type == EXTRA_PADDING for tlv in found):
        return bytes(out)
    if not _intact(trailer, found, seq, key):
        for tlv in found:
            out[tlv.start] |= NOT_INTACT
    else:
        seal = next(tlv for tlv in found if tlv.type == HMAC)
        out[seal.start + _HEADER : seal.end] = _digest(key, reply_seq + bytes(out[: seal.start]))
    return bytes(out)


def _walk(trailer: bytes) -> list[_Tlv]:
    """The TLVs up to the end, to zeros, or to the first malformed one, which takes in all that is left."""
    found = []
    at = 0
    while at < len(trailer) and trailer[at:].strip(b"\0"):
        if len(trailer) - at < _HEADER:
            found.append(_Tlv(at, len(trailer), None, malformed=True))
            break
        kind = trailer[at + 1]
        end = at + _HEADER + int.from_bytes(trailer[at + 2 : at + 4], "big")
        malformed = end > len(trailer) or (kind == HMAC and end - at - _HEADER != _DIGEST)
        found.append(_Tlv(at, len(trailer) if malformed else end, kind, malformed))
        if malformed:
            break
        at = end
    return found


def _understood(kind: int, key: bytes | None) -> bool:
    return kind == EXTRA_PADDING or (kind == HMAC and key is not None)


def _intact(trailer: bytes, found: list[_Tlv], seq: bytes, key: bytes) -> bool:
    """Whether one HMAC TLV stands behind all others but padding, and is right (section 4.8)."""
    seals = [n for n, tlv in enumerate(found) if tlv.type == HMAC and not tlv.malformed]
    if len(seals) != 1 or any(tlv.type != EXTRA_PADDING for tlv in found[seals[0] + 1 :]):
        return False
    seal = found[seals[0]]
    expected = _digest(key, seq + trailer[: seal.start])
    return hmac.compare_digest(expected, trailer[seal.start + _HEADER : seal.end])


def _digest(key: bytes, data: bytes) -> bytes:
    return hmac.digest(key, data, "sha256")[:_DIGEST]
