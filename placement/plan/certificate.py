"""The certificate in the scenario's own names, so that anyone can check it without the solver's numbering."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from placement.plan.document import ShadowPrice
from placement.problem import Names
from solvers.solution import Solution

SCHEMA = "nearserve-certificate-1"


def certificate_arrays(solution: Solution, names: Names) -> dict[str, NDArray[Any]] | None:
    """The arrays of certificate.npz; None where the solver gives no certificate."""
    if solution.certificate is None:
        return None
    arrays: dict[str, NDArray[Any]] = {
        "schema": np.array(SCHEMA),
        "leaves": np.array(len(solution.certificate.leaves)),
        "demand_region": _text(d.region for d in names.demands),
        "demand_model": _text(d.model for d in names.demands),
        "demand_service": _text(d.service for d in names.demands),
        "demand_slice": _text(d.slice for d in names.demands),
        "site": _text(names.sites),
        "slice": _text(names.slices),
        "limit": _text(names.limits),
    }
    for j, leaf in enumerate(solution.certificate.leaves):
        prices = leaf.multipliers
        arrays |= {
            f"leaf{j}_demand_usd": prices.demand_usd,
            f"leaf{j}_uplink_usd": prices.uplink_usd,
            f"leaf{j}_downlink_usd": prices.downlink_usd,
            f"leaf{j}_limit_usd": prices.limit_usd,
            f"leaf{j}_budget": np.array(prices.budget),
            f"leaf{j}_closed_sites": _text(names.sites[p] for p in leaf.closed_sites),
            f"leaf{j}_open_sites": _text(names.sites[p] for p in leaf.open_sites),
        }
    return arrays


def shadow_prices(solution: Solution, names: Names) -> tuple[ShadowPrice, ...]:
    """What one unit more of each limit would be worth, where the certificate prices it above a cent."""
    if solution.certificate is None:
        return ()
    prices = solution.certificate.leaves[0].multipliers
    rows = list(zip(names.limits, prices.limit_usd, strict=True))
    for kind, per_site in (("uplink", prices.uplink_usd), ("downlink", prices.downlink_usd)):
        rows += [(f"{kind}|{site}", usd) for site, usd in zip(names.sites, per_site.sum(axis=1), strict=True)]
    return tuple(ShadowPrice(limit=name, usd_month=round(float(usd), 2)) for name, usd in rows if usd >= 0.01)


def _text(values: Any) -> NDArray[np.str_]:
    return np.array(list(values), dtype=np.str_)
