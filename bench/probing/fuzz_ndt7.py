"""An NDT7 server's readers under hostile input: request heads and frames, a million of them, none may do but refuse.

python -m bench.probing.fuzz_ndt7 [--inputs 1000000] [--seed 1]

Half are requests (a good one with bytes changed, cut out, doubled or put in), half are streams of frames behind the
handshake, cut anywhere. What counts as right: an answer, or the reader's own error; and no more memory than was sent.
Exit code 1 where anything else was raised.
"""

import argparse
import random
import time
import traceback
from collections import Counter

from bench.tools.machine import machine
from probes.reflector.ndt7 import RefusedError, requested
from probes.wire.http_head import NotHttpError, parse
from probes.wire.ndt7 import PATHS, SUBPROTOCOL, report
from probes.wire.websocket import BINARY, CLOSE, PING, TEXT, FrameError, FrameReader, header, masked

_REQUEST = (
    f"GET {PATHS['up']}?client_name=x&access_token=abc HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
    "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    f"Sec-WebSocket-Protocol: {SUBPROTOCOL}\r\nAuthorization: Bearer abc"
).encode()
_TEXT = b'{"AppInfo":{"ElapsedTime":404700,"NumBytes":31472},"TCPInfo":{"RTT":178239}}'


def main(argv: list[str] | None = None) -> int:
    """Counts what became of the inputs; 1 where one broke a reader."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    told = parser.parse_args(argv)
    print(machine())
    chance = random.Random(told.seed)
    came_to: Counter[str] = Counter()
    begun = time.monotonic()
    for number in range(told.inputs):
        work = _ask if number % 2 else _stream
        try:
            came_to[work(chance)] += 1
        except Exception:  # what is looked for
            came_to["BROKEN"] += 1
            if came_to["BROKEN"] <= 3:
                traceback.print_exc()
    for what, count in came_to.most_common():
        print(f"{count:10,}  {what}")
    print(f"{told.inputs:10,}  inputs in {time.monotonic() - begun:.0f} s")
    return int(came_to["BROKEN"] > 0)


def _ask(chance: random.Random) -> str:
    try:
        return f"request: {requested(parse(_spoilt(_REQUEST, chance)), 'abc')}"
    except NotHttpError:
        return "request: not HTTP"
    except RefusedError as error:
        return f"request: {error.status}"


def _stream(chance: random.Random) -> str:
    reader, sent, whole = FrameReader(from_client=True), 0, b""
    for _ in range(chance.randrange(1, 6)):
        body = chance.choice((_TEXT, chance.randbytes(chance.randrange(200))))
        mask = chance.randbytes(4)
        whole += header(chance.choice((BINARY, TEXT, PING, CLOSE)), len(body), mask) + masked(body, mask)
    whole = _spoilt(whole, chance)
    try:
        while sent < len(whole):
            piece = whole[sent : sent + chance.randrange(1, 300)]
            sent += len(piece)
            for frame in reader.feed(piece):
                if frame.opcode == TEXT:
                    report(frame.payload)
    except FrameError:
        return "frames: refused"
    if not 0 <= reader.binary_bytes <= sent:
        raise AssertionError(f"{reader.binary_bytes} bytes counted of {sent}")
    return "frames: taken"


def _spoilt(data: bytes, chance: random.Random) -> bytes:
    """The data with up to four places changed."""
    spoilt = bytearray(data)
    for _ in range(chance.randrange(5)):
        at = chance.randrange(len(spoilt) + 1)
        to = at + chance.randrange(12)
        match chance.randrange(4):
            case 0:
                spoilt[at : at + 1] = chance.randbytes(1)
            case 1:
                del spoilt[at:to]
            case 2:
                spoilt[at:at] = spoilt[at:to]
            case 3:
                spoilt[at:at] = chance.randbytes(to - at)
    return bytes(spoilt)


if __name__ == "__main__":
    raise SystemExit(main())
