"""Rule 16: a limit, a price or a goal of carbon needs the figures of all that may emit."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from placement.scenario.checks.jobs import day_slices
from placement.scenario.checks.standing import could_stand
from placement.scenario.draft import Draft
from placement.scenario.findings import Finding, shortened

Bool = NDArray[np.bool_]
NAMED = 8


def asked_by(draft: Draft) -> tuple[str, ...]:
    """Keys of scenario.toml that need carbon figures."""
    if draft.document is None:
        return ()
    asked = {
        "limits.max_tco2e_month": draft.document.limits.max_tco2e_month is not None,
        "objective.usd_per_tco2e": draft.document.objective.usd_per_tco2e is not None,
        "objective.goals": "carbon" in draft.document.objective.goals,
    }
    return tuple(key for key, is_asked in asked.items() if is_asked)


def check_carbon_figures(draft: Draft) -> Iterator[Finding]:
    """Sites and servers that a plan may use have their carbon where it counts."""
    keys = asked_by(draft)
    if not keys or not {"sites", "servers", "shapes", "demand"} <= set(draft.tables):
        return
    sites, servers = draft.frame("sites"), draft.frame("servers")
    useful = could_stand(draft) & servers["gpu"].isin(_gpus(draft)).to_numpy(np.bool_)[None, :]
    why = f"{' and '.join(keys)} of scenario.toml needs it"
    dark = useful.any(axis=1) & ~_has_carbon(draft)
    if dark.any():
        names = sites["site"].to_numpy()[dark]
        message = f"no gco2_per_kwh, neither here nor in energy, of {_listed(names)}: {why}"
        mend = "Fill the column, or rows of energy for their country; a grid's figure is published for every country."
        yield Finding("carbon-energy", draft.file("sites"), message, mend, int(sites.index[dark][0]), "gco2_per_kwh")
    bare = useful.any(axis=0) & servers["embodied_kgco2e"].isna().to_numpy(np.bool_)
    if bare.any():
        names = servers["server"].to_numpy()[bare]
        message = f"no embodied_kgco2e of {_listed(names)}: {why}"
        mend = "Fill the column." if draft.own("servers") else "Write a servers.csv of your own that has it."
        line = int(servers.index[bare][0]) if draft.own("servers") else None
        yield Finding("carbon-embodied", draft.file("servers"), message, mend, line, "embodied_kgco2e")


def _gpus(draft: Draft) -> set[str]:
    """GPUs that something asked for can run on."""
    shapes = draft.frame("shapes")
    return set(shapes["gpu"][shapes["model"].isin(set(draft.frame("demand")["model"]))]) | set(
        draft.frame("jobs")["gpu"]
    )


def _has_carbon(draft: Draft) -> Bool:
    """Whether the carbon of a site's energy is known around the clock, one for each site."""
    sites, energy = draft.frame("sites"), draft.frame("energy")
    energy = energy[energy["gco2_per_kwh"].notna()]
    known = sites["gco2_per_kwh"].notna().to_numpy(np.bool_)
    slices = list(day_slices(draft))
    covered = np.ones(len(sites), np.bool_)
    for name in ["", *slices]:
        here = energy[energy["slice"] == name]
        said = sites["site"].isin(set(here["site"]) - {""}) | sites["country"].isin(set(here["country"]) - {""})
        if name == "":
            known = known | said.to_numpy(np.bool_)
        else:
            covered &= said.to_numpy(np.bool_)
    return np.asarray(known | (covered & bool(slices)), np.bool_)


def _listed(names: NDArray[np.object_]) -> str:
    shown = ", ".join(shortened(name, 30) for name in names[:NAMED])
    return f"{shown}{f' and {len(names) - NAMED} more' if len(names) > NAMED else ''}"


CHECKS = (check_carbon_figures,)
