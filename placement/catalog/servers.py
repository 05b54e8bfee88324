"""What can be bought or rented. Prices are anchors and assumptions, each said in `source`."""

from collections.abc import Iterator
from dataclasses import dataclass

HOURS_A_MONTH = 730
SUPPORT_SHARE_A_YEAR = 0.1  # assumed: of the purchase price


@dataclass(frozen=True)
class Server:
    """One row of servers.csv."""

    server: str
    gpu: str
    gpus: int
    dpus: int
    power_kw: float
    rack_units: int
    capex_usd: int
    idle_kw: float
    support_usd_month: int
    install_usd: int
    months: int
    embodied_kgco2e: float | None
    rent_usd_month: int | None
    source: str


def _server(
    name: str,
    gpu: str,
    gpus: int,
    *,
    power_kw: float,
    idle_kw: float,
    rack_units: int,
    capex_usd: int,
    source: str,
    dpus: int = 0,
    usd_gpu_hour: float | None = None,
) -> Server:
    rent = None if usd_gpu_hour is None else round(usd_gpu_hour * gpus * HOURS_A_MONTH)
    return Server(
        server=name,
        gpu=gpu,
        gpus=gpus,
        dpus=dpus,
        power_kw=power_kw,
        rack_units=rack_units,
        capex_usd=capex_usd,
        idle_kw=idle_kw,
        support_usd_month=0 if rent is not None else round(capex_usd * SUPPORT_SHARE_A_YEAR / 12),
        install_usd=1500,
        months=48,
        embodied_kgco2e=None,
        rent_usd_month=rent,
        source=source,
    )


def _all() -> Iterator[Server]:
    rtx = (
        "GPU 9,000 USD (shop price of the workstation card), BlueField-3 2,500 USD each, chassis, host power, idle "
        "power and rack units assumed; GPU 600 W each"
    )
    for gpus, dpus, host_kw, idle_kw, units, chassis in ((2, 1, 0.45, 0.4, 2, 16000), (4, 1, 0.7, 0.65, 4, 22500),
                                                        (8, 2, 1.2, 1.1, 6, 36000)):  # fmt: skip
        yield _server(
            f"rtx6000-{gpus}",
            "rtx-pro-6000-se",
            gpus,
            dpus=dpus,
            power_kw=round(gpus * 0.6 + host_kw, 3),
            idle_kw=idle_kw,
            rack_units=units,
            capex_usd=9000 * gpus + 2500 * dpus + chassis,
            source=rtx,
        )
    yield _server(
        "b200-8", "b200", 8, power_kw=14.3, idle_kw=3.0, rack_units=10, capex_usd=400000, usd_gpu_hour=5.50,
        source="rent: listed 5.50 USD a GPU-hour (Nebius, us-central1, 2026); capex from 30–35 thousand USD a board "
        "(press) and an assumed chassis; power, idle power and rack units assumed",
    )  # fmt: skip
    yield _server(
        "h100-8", "h100", 8, power_kw=10.2, idle_kw=2.2, rack_units=8, capex_usd=250000, usd_gpu_hour=2.95,
        source="rent: listed 2.95 USD a GPU-hour (Nebius, eu-north1, 2026); capex, power, idle power and rack units "
        "assumed",
    )  # fmt: skip
    yield _server(
        "l40s-4", "l40s", 4, power_kw=2.1, idle_kw=0.6, rack_units=2, capex_usd=50000, usd_gpu_hour=2.2844,
        source="rent: listed 2.2844 USD a GPU-hour (Nebius, eu-north1, 2026); capex, power, idle power and rack "
        "units assumed",
    )  # fmt: skip
    yield _server(
        "l40s-8", "l40s", 8, power_kw=4.0, idle_kw=1.1, rack_units=4, capex_usd=92000,
        source="everything but the GPU count and its 350 W assumed",
    )  # fmt: skip


SERVERS = tuple(sorted(_all(), key=lambda server: server.server))
