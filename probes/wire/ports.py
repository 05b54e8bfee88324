"""The port of each method where nobody names one: agents and `probe once` ask there, and a reflector listens there."""

from typing import Final

PORTS: Final = {"tcp": 443, "stamp": 862, "http": 443, "train": 8862, "ndt7": 8444}
"""icmp has none, and trace chooses by protocol. Of NDT7 it is a reflector's; other servers mostly have 443."""
