"""HAProxy: requests are sent to sites by the shares of their class, drawn exactly."""

from placement.feeds.haproxy.feed import Haproxy
from placement.feeds.haproxy.options import HaproxyOptions

__all__ = ["Haproxy", "HaproxyOptions"]
