"""Ways to run a model: GPUs, precision and operating point, each with its capacity and TTFT."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from placement.catalog.calibration import MAX_BATCH, CalibrationReport
from placement.catalog.facts import MEASURED_GPU, PRECISIONS
from placement.catalog.roofline import Gpu, Load, Model, Replica, in_flight_for, slots_for

# operating point -> requests in flight, as a share of the most that memory and TPOT allow
OPERATING_POINTS = {"latency": 0.1, "balanced": 0.5, "throughput": 1.0}
SIZES = {MEASURED_GPU: (0.25, 0.5, 1.0, 2.0, 4.0, 8.0)}
OTHER_SIZES = (1.0, 2.0, 4.0, 8.0)
SIZES_KEPT = {MEASURED_GPU: 3}
OTHER_SIZES_KEPT = 2
LEAST_SLOTS = 4  # chat requests in flight that the smallest size must hold


@dataclass(frozen=True)
class Row:
    """One row of shapes.csv."""

    shape: str
    model: str
    gpu: str
    gpus_per_replica: float
    precision: str
    profile: str
    operating_point: str
    requests_per_s: float
    ttft_p95_ms: float
    memory_gb: float
    weights_gb: float
    concurrency: int
    utilisation_max: float
    source: str


def shape_rows(
    models: Mapping[str, Model], gpus: Mapping[str, Gpu], profiles: Mapping[str, Load], report: CalibrationReport
) -> list[Row]:
    """Every shape that makes sense, sorted by (shape, profile)."""
    rows = [
        row
        for model in models.values()
        for gpu in gpus.values()
        for precision in PRECISIONS.get(model.name, tuple(gpu.tflops))
        if precision in gpu.tflops
        for replica, source in _replicas(model, gpu, precision, profiles["chat"], report)
        for row in _rows(replica, profiles, source)
    ]
    return sorted(rows, key=lambda row: (row.shape, row.profile))


def _replicas(
    model: Model, gpu: Gpu, precision: str, chat: Load, report: CalibrationReport
) -> Iterator[tuple[Replica, str]]:
    """The few smallest sizes that hold the model, anchored on a measurement where there is one."""
    kept = 0
    for gpus in SIZES.get(gpu.name, OTHER_SIZES):
        replica = Replica(model, gpu, gpus, precision, report.efficiency)
        if replica.slots_in_memory(chat) < LEAST_SLOTS:
            continue
        kept += 1
        if kept > SIZES_KEPT.get(gpu.name, OTHER_SIZES_KEPT):
            return
        anchor = report.anchor(model.name, gpu.name, gpus, precision)
        if anchor is None:
            yield replica, "roofline"
        else:
            speed = anchor.measurement.tokens_per_s_gpu / anchor.predicted
            what = f"MLPerf v5.1 {anchor.measurement.benchmark} {anchor.measurement.scenario}"
            anchored = Replica(model, gpu, gpus, precision, report.efficiency.scaled(speed))
            yield anchored, f"measured ({what}; taken to the profile by the roofline)"


def _rows(replica: Replica, profiles: Mapping[str, Load], source: str) -> Iterator[Row]:
    """The operating points of one replica, for the profiles whose TPOT it can hold."""
    most = {
        name: replica.in_flight_within_tpot(load, in_flight_for(min(MAX_BATCH, replica.slots_in_memory(load))))
        for name, load in profiles.items()
    }
    for point, share in OPERATING_POINTS.items():
        in_flight = {name: share * count for name, count in most.items() if count > 0}
        slots = {name: slots_for(count) for name, count in in_flight.items()}
        cache_gb = max((slots[n] * replica.request_gb(profiles[n]) for n in slots), default=0.0)
        for profile, count in in_flight.items():
            load = profiles[profile]
            yield Row(
                shape=f"{replica.model.name}-{replica.gpu.name}-x{replica.gpus:g}-{replica.precision}-{point}",
                model=replica.model.name,
                gpu=replica.gpu.name,
                gpus_per_replica=replica.gpus,
                precision=replica.precision,
                profile=profile,
                operating_point=point,
                requests_per_s=replica.requests_per_s(load, count),
                ttft_p95_ms=replica.ttft_p95_s(load, count, slots[profile]) * 1e3,
                memory_gb=math.floor(10 * (replica.weights_gb + cache_gb + replica.runtime_gb))
                / 10,  # never above the GPUs'
                weights_gb=replica.weights_gb,
                concurrency=slots[profile],
                utilisation_max=count / slots[profile],
                source=source,
            )
