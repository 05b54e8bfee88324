"""Which servers can stand where: kinds of sites, kW, racks."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from placement.scenario.draft import Draft, at_rows
from placement.scenario.findings import Finding

Bool = NDArray[np.bool_]
ANY = "any"
ROUNDING = 1 + 1e-12


def kinds_match(draft: Draft) -> Bool:
    """Whether a server may stand at a site by their kinds, sites × servers."""
    sites, servers = draft.frame("sites")["kind"].to_numpy(), draft.frame("servers")["stands_at"].to_numpy()
    return np.asarray((sites[:, None] == servers[None, :]) | (servers == ANY)[None, :], np.bool_)


def could_stand(draft: Draft) -> Bool:
    """Whether a site by itself could hold one of the servers: kind, kW, rack units, kW per rack; sites × servers."""
    sites, servers = draft.frame("sites"), draft.frame("servers")
    power, units = (servers[column].to_numpy(np.float64)[None, :] for column in ("power_kw", "rack_units"))
    room, racks, per_rack = (
        sites[column].to_numpy(np.float64)[:, None] * ROUNDING
        for column in ("power_kw", "rack_units", "max_kw_per_rack")
    )
    return np.asarray(kinds_match(draft) & (power <= room) & (units <= racks) & ~(power > per_rack), np.bool_)


def check_kinds_meet(draft: Draft) -> Iterator[Finding]:
    """A server for one kind of site has such a site; a cloud site has a server that may stand there."""
    if not {"sites", "servers"} <= set(draft.tables):
        return
    match = kinds_match(draft)
    sites, servers = draft.frame("sites"), draft.frame("servers")
    if draft.own("servers"):
        rows = servers.index[np.nonzero(~match.any(axis=0))[0]]
        message = "no site of this kind: the server can stand nowhere"
        mend = "Set kind in sites, or stands_at to edge, cloud or any."
        yield from at_rows(draft, "servers", rows, "stands_at", "server-nowhere", message, mend, "warning")
    rows = sites.index[np.nonzero(~match.any(axis=1))[0]]
    message, mend = "no server may stand at a site of this kind", "Set stands_at of a server to this kind, or to any."
    yield from at_rows(draft, "sites", rows, "kind", "site-without-server", message, mend, "warning")


def check_fleet_stands_where_it_may(draft: Draft) -> Iterator[Finding]:
    """What stands at a site today may stand at a site of its kind."""
    fleet = draft.frame("fleet")
    kind = fleet["site"].map(draft.frame("sites").drop_duplicates("site").set_index("site")["kind"])
    stands = fleet["server"].map(draft.frame("servers").drop_duplicates("server").set_index("server")["stands_at"])
    rows = fleet.index[kind.notna() & stands.notna() & (stands != ANY) & (kind != stands)]
    message, mend = "the server may not stand at a site of this kind", "Correct stands_at in servers, or kind in sites."
    yield from at_rows(draft, "fleet", rows, "server", "fleet-kind", message, mend)


CHECKS = (check_kinds_meet, check_fleet_stands_where_it_may)
