"""Where a probe is sent: the name that the record keeps, and the address that was checked and pinned for it."""

import ipaddress
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One target at one address.

    `name` is what the record calls the target; `address` an IP literal (a zone such as %eth0 is allowed); `port` that
    of TCP and UDP methods; `host` the name for TLS and HTTP, where the target was given by name.
    Raises ValueError for an address that is none.
    """

    name: str
    address: str
    port: int | None = None
    host: str | None = None

    def __post_init__(self) -> None:
        ipaddress.ip_address(self.address)

    @property
    def family(self) -> int:
        """4 or 6."""
        return 6 if ":" in self.address else 4  # it was parsed when it was made; a sweep asks thousands of times

    @property
    def alias(self) -> str | None:
        """The second name of the record's target: its address, where the target has a name of its own."""
        return self.address if self.address != self.name else None
