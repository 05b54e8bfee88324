"""The outer end of a place's link: packets come with their kernel's time through a ring, and leave by `send`."""

import mmap
import socket
import struct
from typing import Final

SOL_PACKET: Final = 263
RX_RING, STATISTICS, VERSION, VNET_HDR, QDISC_BYPASS, IGNORE_OUTGOING = 5, 6, 10, 15, 20, 23
TPACKET_V2: Final = 1
HEADER: Final = struct.Struct("=IIIHHII")
"""tpacket2_hdr: status, len, snaplen, mac, net, sec, nsec. See packet_mmap in the kernel's documentation."""
VNET: Final = 10
"""virtio_net_hdr before each frame: which checksum is still missing and how a merged packet is to be cut."""
ALL_PROTOCOLS: Final = 0x0003
MOST_RING_BYTES, LEAST_RING_BYTES, ALL_RINGS_BYTES = 8 << 20, 1 << 20, 256 << 20
"""A ring of 8 MB holds 4,096 packets, 50 ms at a Gbit/s; the kernel takes the memory at once, so many share less."""
SMALL_FRAME, LARGE_FRAME = 2048, 1 << 14
"""Large enough, with the ring's own header, for a packet of 1,500 bytes, or for what the kernel may merge for TCP."""
MERGED_BYTES: Final = 15_000
ETHERNET: Final = 14
BLOCK_BYTES: Final = 1 << 17


def ring_bytes(ports: int) -> int:
    """How large each ring is where there are so many: whole blocks."""
    share = max(LEAST_RING_BYTES, min(MOST_RING_BYTES, ALL_RINGS_BYTES // ports))
    return share // BLOCK_BYTES * BLOCK_BYTES


class Port:
    """One AF_PACKET socket with a receive ring (TPACKET_V2: it wakes at each packet, V3 only at a whole block)."""

    def __init__(self, device: str, offload: bool, ring_bytes: int) -> None:
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        self.frame_bytes = LARGE_FRAME if offload else SMALL_FRAME
        self.frames = ring_bytes // self.frame_bytes
        for option, value in ((VERSION, TPACKET_V2), (VNET_HDR, 1), (IGNORE_OUTGOING, 1), (QDISC_BYPASS, 1)):
            self.socket.setsockopt(SOL_PACKET, option, value)
        ring = struct.pack("=IIII", BLOCK_BYTES, ring_bytes // BLOCK_BYTES, self.frame_bytes, self.frames)
        self.socket.setsockopt(SOL_PACKET, RX_RING, ring)
        self.ring = mmap.mmap(self.socket.fileno(), ring_bytes, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE)
        self.at = 0
        self.socket.setblocking(False)
        self.socket.bind((device, ALL_PROTOCOLS))
        self.missed = 0

    def fileno(self) -> int:
        """For select."""
        return self.socket.fileno()

    def count_missed(self) -> int:
        """Packets that found the ring full, since the port was opened."""
        _, drops = struct.unpack("=II", self.socket.getsockopt(SOL_PACKET, STATISTICS, 8))
        self.missed += drops
        return self.missed
