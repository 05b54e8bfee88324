"""The ready scenario `atlas-2025`: the world's Internet users, real PoP cities, RIPE Atlas round-trip times."""

from pathlib import Path

from placement.worlds import atlas_demand, atlas_regions, atlas_rules, atlas_sites
from placement.worlds.reading import write_csv

GPU = "rtx-pro-6000-se"
SCENARIO = f"""\
# The world in spring 2025: where do some 4,000 GPUs go? SOURCE.md says where every figure comes from.
name = "atlas-2025"
currency = "USD"
planning_date = 2025-06-01
seed = {atlas_demand.SEED}

[money]
wacc = 0.08
latency_usd_per_million_request_ms = 0.0

[limits]
# No bandwidth was measured between countries. The largest request (130 kB) is let through without a known bandwidth,
# and its transfer time is left out: plan with measured bandwidth before long documents are promised to anyone.
bandwidth_free_kbyte = 140
default_residency = "{atlas_rules.ANYWHERE}"

[shapes]
gpus = ["{GPU}"]
precisions = ["fp4"]
operating_points = ["latency", "balanced", "throughput"]
"""


def build(reference: Path, out: Path) -> None:
    """Write the scenario under `out` from the reference folder; the same input gives the same bytes.

    Raises:
        MissingReferenceError: a raw table is not in `reference`.
    """
    regions, sites = atlas_regions.regions(reference), atlas_sites.sites(reference)
    write_csv(regions, out / "regions.csv")
    write_csv(sites, out / "sites.csv")
    write_csv(atlas_demand.services(), out / "services.csv")
    write_csv(atlas_demand.demand(reference, regions, sites), out / "demand.csv")
    write_csv(atlas_demand.deliveries(), out / "deliveries.csv")
    write_csv(atlas_rules.residency(reference), out / "residency.csv")
    write_csv(atlas_rules.export(GPU), out / "export.csv")
    write_csv(atlas_rules.endpoints(regions, sites), out / "endpoints.csv")
    records = atlas_rules.measurements(reference, regions, sites)
    write_csv(records, out / "measurements" / "ripe-country-2025.csv")
    (out / "scenario.toml").write_text(SCENARIO, encoding="utf-8", newline="\n")
