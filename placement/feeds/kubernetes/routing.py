"""Routes of the Gateway API: which header says the model, which gateway carries the route, weights that sum up."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field

from placement.feeds.kubernetes.manifests import Manifest
from placement.feeds.kubernetes.options import DnsLabel
from probes.document import Part

GATEWAY_GROUP = "gateway.networking.k8s.io"
MOST_BACKENDS = 16
"""In one rule of an HTTPRoute."""
WHOLE = 1_000_000
"""What weights of a rule sum to here; each of them may be as large."""
MODEL_HEADER = "X-Gateway-Model-Name"
"""Where the body-based router of the inference extension puts the model that a request names in its body."""

Header = Annotated[str, Field(pattern=r"^[A-Za-z0-9!#$%&'*+.^_|~-]{1,256}$")]


class GatewayRef(Part):
    """The Gateway that a route hangs on."""

    name: DnsLabel
    namespace: DnsLabel | None = None
    section: DnsLabel | None = None

    def manifest(self) -> Manifest:
        """As a parentRef."""
        said = {"name": self.name, "namespace": self.namespace, "sectionName": self.section}
        return {"group": GATEWAY_GROUP, "kind": "Gateway"} | {k: v for k, v in said.items() if v is not None}


def header_match(headers: Mapping[str, str]) -> Manifest:
    """A match of requests that carry all of these headers, letter by letter."""
    found = [{"type": "Exact", "name": name, "value": value} for name, value in headers.items()]
    return {"path": {"type": "PathPrefix", "value": "/"}, "headers": found}


def matched(rule: Mapping[str, Any]) -> dict[str, str]:
    """The headers that a rule's one match asks for."""
    (match,) = rule["matches"]
    return {header["name"]: header["value"] for header in match["headers"]}


def weights(shares: Mapping[str, int]) -> dict[str, int]:
    """Whole weights that sum to WHOLE, nearest to the shares by largest remainders; what rounds to 0 is left out.

    Each is less than one unit from what it should be. Equal remainders: the first name comes first.
    """
    total = sum(shares.values())
    floors = {name: share * WHOLE // total for name, share in shares.items()}
    left = WHOLE - sum(floors.values())
    by_remainder = sorted(shares, key=lambda name: (-(shares[name] * WHOLE % total), name))
    for name in by_remainder[:left]:
        floors[name] += 1
    return {name: floors[name] for name in sorted(floors) if floors[name]}
