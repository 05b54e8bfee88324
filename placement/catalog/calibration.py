"""Efficiency factors of the roofline, fitted to MLPerf Inference v5.1 results in logarithms by least squares."""

import csv
import gzip
import json
import math
import re
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

from placement.catalog.facts import MEASURED_GPU
from placement.catalog.roofline import Efficiency, Gpu, Load, Model, Replica

ACCELERATORS = {
    "NVIDIA RTX PRO 6000 Blackwell Server Edition": MEASURED_GPU,
    "NVIDIA B200-SXM-180GB": "b200",
    "NVIDIA H100-SXM-80GB": "h100",
    "NVIDIA L40S": "l40s",
}
MAX_BATCH = 2048  # the largest batch that engines are configured for
FITTED = ("Offline", "Server")  # Interactive stays out and tells how well the fit predicts
LLAMA2_VOCABULARY = 32000


@dataclass(frozen=True)
class Benchmark:
    """One MLPerf model: ours, the mean prompt length (assumed, results do not state it), limits of the scenarios."""

    model: str
    tokens_in: float
    tpot_ms: Mapping[str, float]
    gpus: Mapping[str, float]  # GPU -> GPUs of a replica (assumed: as few as hold the weights)
    fitted: bool = True


BENCHMARKS = {
    "llama2-70b-99": Benchmark("llama2-70b", 294, {"Server": 200, "Interactive": 40}, {"h100": 2}),
    "llama3.1-8b": Benchmark("llama-3.1-8b", 778, {"Server": 100, "Interactive": 30}, {}),
    "llama3.1-405b": Benchmark(
        "llama-3.1-405b", 9428, {"Server": 175, "Interactive": 80}, {"b200": 8, "h100": 8, MEASURED_GPU: 4}
    ),
    "mixtral-8x7b": Benchmark("mixtral-8x7b", 300, {"Server": 200}, {}),
    # its parameter totals are unverified: compared, not fitted
    "deepseek-r1": Benchmark("deepseek-v3.2", 800, {"Server": 80}, {"b200": 8}, fitted=False),
}
SAME_ARCHITECTURE = {"llama2-70b": "llama-3.1-70b"}  # but for the vocabulary


@dataclass(frozen=True)
class Measurement:
    """Output tokens a second and GPU, the median over submissions of one benchmark on one GPU."""

    benchmark: str
    gpu: str
    scenario: str
    precision: str
    engine: str  # trt-llm or vllm
    gpus: float
    load: Load
    tokens_per_s_gpu: float
    submissions: int
    fitted: bool


@dataclass(frozen=True)
class Comparison:
    """A measurement beside what the calibrated roofline says."""

    measurement: Measurement
    predicted: float

    @property
    def error(self) -> float:
        """predicted / measured − 1."""
        return self.predicted / self.measurement.tokens_per_s_gpu - 1


@dataclass(frozen=True)
class CalibrationReport:
    """The factors found and every measurement beside its prediction."""

    efficiency: Efficiency
    vllm_speed: float  # of the engine behind the other rows
    rows: tuple[Comparison, ...]

    def median_error(self, *, fitted: bool = True) -> float:
        """Median of |error| over the rows fitted, or over those held out."""
        return statistics.median(abs(row.error) for row in self.rows if row.measurement.fitted is fitted)

    def max_error(self, *, fitted: bool = True) -> float:
        """Largest |error| over the rows fitted, or over those held out."""
        return max(abs(row.error) for row in self.rows if row.measurement.fitted is fitted)

    def anchor(self, model: str, gpu: str, gpus: float, precision: str) -> Comparison | None:
        """The measurement that a shape's capacity is scaled to: Server before Offline, the catalog's engine only."""
        found = {
            row.measurement.scenario: row
            for row in self.rows
            if row.measurement.fitted and row.measurement.engine == "trt-llm"
            if (row.measurement.gpu, row.measurement.gpus, row.measurement.precision) == (gpu, gpus, precision)
            if (own := BENCHMARKS[row.measurement.benchmark].model) == model or SAME_ARCHITECTURE.get(own) == model
        }
        return found.get("Server") or found.get("Offline")


def calibrate(reference: Path, gpus: Mapping[str, Gpu], models: Mapping[str, Model]) -> CalibrationReport:
    """Fit four factors: the share of the peaks, time per request, routing to experts, and vLLM against TensorRT-LLM.

    One share serves both peaks: fitted apart, arithmetic and memory trade against each other along a flat ridge.
    """
    measurements = read_measurements(reference)
    with_llama2 = {**models, "llama2-70b": _llama2(models["llama-3.1-70b"])}
    fitted = [m for m in measurements if m.fitted]

    def residuals(x: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.array([math.log1p(row.error) for row in _compare(_factors(x), fitted, gpus, with_llama2)])

    start, lower, upper = [0.6, 2.0, 0.8, 0.8], [0.05, 0.0, 0.2, 0.2], [1.0, 20.0, 1.0, 2.0]
    found = least_squares(residuals, start, bounds=(lower, upper), diff_step=[1e-3] * len(start))
    # few digits: the same on every machine
    factors = _factors([round(float(value), digits) for value, digits in zip(found.x, (3, 2, 3, 3), strict=True)])
    return CalibrationReport(*factors, _compare(factors, measurements, gpus, with_llama2))


def read_measurements(reference: Path) -> tuple[Measurement, ...]:
    """The MLPerf rows that the roofline can be held against, sorted.

    Closed division, available systems; output lengths are those of the accuracy runs, prompts as in `BENCHMARKS`.
    """
    lengths = _output_lengths(reference / "mlperf" / "v5.1_summary_results.json.gz")
    groups: dict[tuple[str, str, str, str, str], list[float]] = {}
    with (reference / "mlperf" / "mlperf_v5.1_nvidia.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            usable = row["Category"] == "closed" and row["Availability"] == "available"
            if usable and row["Model"] in BENCHMARKS and row["Accelerator"] in ACCELERATORS:
                engine = "vllm" if "vllm" in row["Software"].lower() else "trt-llm"
                gpu = ACCELERATORS[row["Accelerator"]]
                key = (row["Model"], gpu, row["Scenario"], row["weight_data_types"], engine)
                groups.setdefault(key, []).append(float(row["per_gpu"]))
    return tuple(_measurement(key, values, lengths) for key, values in sorted(groups.items()))


def _measurement(
    key: tuple[str, str, str, str, str], values: Sequence[float], lengths: Mapping[tuple[str, str], float]
) -> Measurement:
    name, gpu, scenario, precision, engine = key
    benchmark = BENCHMARKS[name]
    return Measurement(
        benchmark=name,
        gpu=gpu,
        scenario=scenario,
        precision=precision,
        engine=engine,
        gpus=benchmark.gpus.get(gpu, 1.0),
        load=Load(benchmark.tokens_in, lengths[name, gpu], benchmark.tpot_ms.get(scenario, math.inf)),
        tokens_per_s_gpu=statistics.median(values),
        submissions=len(values),
        fitted=benchmark.fitted and scenario in FITTED,
    )


def _output_lengths(path: Path) -> dict[tuple[str, str], float]:
    """Mean output tokens by (benchmark, GPU); llama3.1-8b is stopped at 128 and reports characters instead."""
    found: dict[tuple[str, str], list[float]] = {}
    for result in json.loads(gzip.decompress(path.read_bytes())):
        gpu = ACCELERATORS.get(result.get("Accelerator") or "")
        stated = re.search(r"TOKENS_PER_SAMPLE: ([\d.]+)", result.get("Accuracy") or "")
        if gpu and stated and result["Category"] == "closed":
            found.setdefault((result["Model"], gpu), []).append(float(stated[1]))
    lengths = {key: round(statistics.median(values), 1) for key, values in found.items()}
    return lengths | {("llama3.1-8b", gpu): 128.0 for gpu in ACCELERATORS.values()}


def _llama2(model: Model) -> Model:
    """Llama 2 70B: the layers of Llama 3.1 70B with a vocabulary of 32,000."""
    params = model.total_params - 2.0 * (model.vocabulary - LLAMA2_VOCABULARY) * model.hidden
    return replace(model, vocabulary=LLAMA2_VOCABULARY, total_params=params, active_params=params)


def _factors(x: Sequence[float] | NDArray[np.float64]) -> tuple[Efficiency, float]:
    """The efficiency, and the speed of vLLM against it."""
    share, request_ms, experts, vllm = (float(value) for value in x)
    return Efficiency(compute=share, memory=share, request_ms=request_ms, experts=experts), vllm


def _compare(
    factors: tuple[Efficiency, float],
    measurements: Iterable[Measurement],
    gpus: Mapping[str, Gpu],
    models: Mapping[str, Model],
) -> tuple[Comparison, ...]:
    return tuple(
        Comparison(m, _predict(factors, m, gpus[m.gpu], models[BENCHMARKS[m.benchmark].model])) for m in measurements
    )


def _predict(factors: tuple[Efficiency, float], measurement: Measurement, gpu: Gpu, model: Model) -> float:
    """Output tokens a second and GPU at the largest batch that memory and the scenario's TPOT allow."""
    efficiency, vllm = factors
    speed = vllm if measurement.engine == "vllm" else 1.0
    replica = Replica(model, gpu, measurement.gpus, measurement.precision, efficiency.scaled(speed))
    load = measurement.load
    batch = replica.in_flight_within_tpot(load, min(MAX_BATCH, replica.slots_in_memory(load)))
    return replica.requests_per_s(load, max(batch, 1.0)) * load.tokens_out / measurement.gpus
