"""Who owns servers: anybody, and every tenant whose services are dedicated (6).

A GPU type of the Problem is a pair (owner, GPU), numbered owner by owner, so that no server carries two owners.
"""

from dataclasses import dataclass

from placement.frames import records
from placement.problem.errors import UnplannableError
from placement.scenario import Scenario


class TenantError(UnplannableError):
    """A dedicated service without a tenant."""


@dataclass(frozen=True)
class Tenants:
    """Owners in order, "" (anybody) first, and the owner of every service."""

    names: tuple[str, ...]
    of_service: dict[str, str]

    @property
    def dedicated(self) -> tuple[str, ...]:
        return self.names[1:]


def owners(scenario: Scenario) -> Tenants:
    """The owners that a scenario has.

    Raises:
        TenantError: a service is dedicated to nobody.
    """
    of_service: dict[str, str] = {}
    for row in records(scenario.table("services")):
        if row["dedicated"] == "yes" and not row["tenant"]:
            raise TenantError(f"service {row['service']!r} is dedicated and names no tenant: fill the column tenant")
        of_service[row["service"]] = row["tenant"] if row["dedicated"] == "yes" else ""
    return Tenants(("", *sorted(set(of_service.values()) - {""})), of_service)
