"""Build datasets/catalog from the reference data."""

import csv
import gzip
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from placement.catalog.calibration import CalibrationReport, calibrate
from placement.catalog.facts import MIG_SLICES, read_gpus, read_models, read_tdp_w
from placement.catalog.roofline import Load
from placement.catalog.servers import SERVERS, Server
from placement.catalog.shapes import Row, shape_rows


@dataclass(frozen=True)
class Profile:
    """A kind of request, as in profiles.csv."""

    name: str
    load: Load
    source: str


def derive(reference: Path, out: Path) -> CalibrationReport:
    """Write gpus, servers, profiles, models, shapes and the calibration into `out`; the same input, the same bytes.

    `reference` is the folder `../shared/data`.

    Raises:
        FileNotFoundError: the reference data lacks a table.
    """
    gpus, models = read_gpus(reference), read_models(reference)
    report = calibrate(reference, gpus, models)
    profiles = read_profiles(reference)
    loads = {profile.name: profile.load for profile in profiles}
    tdp_w = read_tdp_w(reference)
    out.mkdir(parents=True, exist_ok=True)
    _write(
        out / "gpus.csv",
        ("gpu", "memory_gb", "mig_slices", "tdp_w", "source"),
        ((g.name, f"{g.memory_gb:.3f}", MIG_SLICES[g.name], tdp_w[g.name], g.source) for g in gpus.values()),
    )
    _write(
        out / "profiles.csv",
        ("profile", "tokens_in", "tokens_out", "tpot_ms", "source"),
        (
            (p.name, f"{p.load.tokens_in:g}", f"{p.load.tokens_out:g}", f"{p.load.tpot_ms:g}", p.source)
            for p in profiles
        ),
    )
    _write(out / "models.csv", ("model", "kind", "source"), ((m.name, m.kind, m.source) for m in models.values()))
    _write(out / "servers.csv", [field.name for field in fields(Server)], (_cells(s) for s in SERVERS))
    _write(
        out / "shapes.csv", [field.name for field in fields(Row)], map(_shape, shape_rows(models, gpus, loads, report))
    )
    _write(out / "calibration.csv", CALIBRATION_COLUMNS, _calibration(report))
    return report


def read_profiles(reference: Path) -> tuple[Profile, ...]:
    """Chat and code with the mean lengths of the Azure LLM inference trace 2023; the other two are assumed."""
    azure = reference / "workload" / "azure_llm_2023"
    chat = _mean_tokens(azure / "AzureLLMInferenceTrace_conv.csv.gz")
    code = _mean_tokens(azure / "AzureLLMInferenceTrace_code.csv.gz")
    means = "Azure LLM inference trace 2023: mean tokens; TPOT assumed"
    return (
        Profile("agentic", Load(8000, 400, 40), "assumed"),
        Profile("chat", Load(*chat, 50), means),
        Profile("code", Load(*code, 40), means),
        Profile("long-context", Load(32000, 500, 60), "assumed"),
    )


def _mean_tokens(path: Path) -> tuple[float, float]:
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    tokens_in = statistics.fmean(int(row["ContextTokens"]) for row in rows)
    tokens_out = statistics.fmean(int(row["GeneratedTokens"]) for row in rows)
    return round(tokens_in), round(tokens_out)


def _shape(row: Row) -> tuple[object, ...]:
    """Figures with the digits that the model can answer for."""
    digits: Mapping[str, str] = {
        "gpus_per_replica": "g",
        "requests_per_s": ".4g",
        "ttft_p95_ms": ".1f",
        "memory_gb": ".1f",
        "weights_gb": ".1f",
        "utilisation_max": ".3f",
    }
    names = [field.name for field in fields(Row)]
    return tuple(format(v, digits[n]) if n in digits else v for n, v in zip(names, astuple(row), strict=True))


def _cells(server: Server) -> tuple[object, ...]:
    return tuple("" if v is None else f"{v:g}" if isinstance(v, float) else v for v in astuple(server))


CALIBRATION_COLUMNS = (
    "benchmark", "gpu", "scenario", "precision", "engine", "gpus_per_replica", "tokens_in", "tokens_out",
    "submissions", "use", "measured_tokens_per_s_gpu", "predicted_tokens_per_s_gpu", "error_percent",
)  # fmt: skip


def _calibration(report: CalibrationReport) -> Iterable[tuple[object, ...]]:
    for row in report.rows:
        m = row.measurement
        yield (
            m.benchmark, m.gpu, m.scenario, m.precision, m.engine, f"{m.gpus:g}", f"{m.load.tokens_in:g}",
            f"{m.load.tokens_out:g}", m.submissions, "fitted" if m.fitted else "held out",
            f"{m.tokens_per_s_gpu:.1f}", f"{row.predicted:.1f}", f"{100 * row.error:.1f}",
        )  # fmt: skip


def _write(path: Path, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)
