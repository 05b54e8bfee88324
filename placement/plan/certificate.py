"""The certificate in the scenario's own names, so that anyone can check it without the solver's numbering."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from placement.plan.document import ShadowPrice
from placement.problem.names import Names
from solvers.solution import Certificate

SCHEMA = "nearserve-certificate-2"
LEAST_USD = 0.01


def certificate_arrays(
    certificates: Sequence[Certificate | None], names: Sequence[Names]
) -> dict[str, NDArray[Any]] | None:
    """The arrays of certificate.npz, `p{h}_…` for period h; None where any period has no certificate."""
    given = [certificate for certificate in certificates if certificate is not None]
    if len(given) < len(names):
        return None
    arrays: dict[str, NDArray[Any]] = {
        "schema": np.array(SCHEMA),
        "period": _text(period.period for period in names),
        "site": _text(names[0].sites),
        "slice": _text(names[0].slices),
    }
    for h, (certificate, period) in enumerate(zip(given, names, strict=True)):
        arrays |= {f"p{h}_{name}": array for name, array in _period(certificate, period).items()}
    return arrays


def shadow_prices(certificates: Sequence[Certificate | None], names: Sequence[Names]) -> tuple[ShadowPrice, ...]:
    """What one unit more of each limit would be worth in a month of its period, where that is a cent or more.

    With several periods a limit's name begins with that of its period: `2027-H1: stock|s8|`.
    """
    found = []
    for certificate, period in zip(certificates, names, strict=bool(certificates)):
        prefix = f"{period.period}: " if len(names) > 1 else ""
        rows = [] if certificate is None else _priced(certificate, period)
        found += [ShadowPrice(limit=prefix + name, usd_month=round(usd, 2)) for name, usd in rows if usd >= LEAST_USD]
    return tuple(found)


def _period(certificate: Certificate, names: Names) -> dict[str, NDArray[Any]]:
    arrays: dict[str, NDArray[Any]] = {
        "leaves": np.array(1),
        "demand_region": _text(d.region for d in names.demands),
        "demand_model": _text(d.model for d in names.demands),
        "demand_service": _text(d.service for d in names.demands),
        "demand_slice": _text(d.slice for d in names.demands),
        "limit": _text(names.limits),
    }
    prices = certificate.multipliers
    return arrays | {
        "leaf0_demand_usd": prices.demand_usd,
        "leaf0_uplink_usd": prices.uplink_usd,
        "leaf0_downlink_usd": prices.downlink_usd,
        "leaf0_limit_usd": prices.limit_usd,
        "leaf0_budget": np.array(prices.budget),
        "leaf0_closed_sites": _text(()),
        "leaf0_open_sites": _text(()),
    }


def _priced(certificate: Certificate, names: Names) -> list[tuple[str, float]]:
    """Limits, then uplinks, then downlinks, by name, with the certificate's prices."""
    prices = certificate.multipliers
    rows = sorted(zip(names.limits, prices.limit_usd.tolist(), strict=True))
    for kind, per_site in (("uplink", prices.uplink_usd), ("downlink", prices.downlink_usd)):
        usd = per_site.sum(axis=1).tolist()
        rows += sorted((f"{kind}|{site}", price) for site, price in zip(names.sites, usd, strict=True))
    return rows


def _text(values: Iterable[str]) -> NDArray[np.str_]:
    return np.array(list(values), dtype=np.str_)
