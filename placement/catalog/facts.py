"""Facts about GPUs and models, read from the reference data or stated with their source."""

import csv
from pathlib import Path

from placement.catalog.roofline import LATENT_ATTENTION_DIM, Gpu, Model

MEASURED_GPU = "rtx-pro-6000-se"
MEASURED_TFLOPS = {"bf16": 436.0, "fp8": 818.0, "fp4": 1400.0}  # dense, measured on the RTX PRO 6000
MEASURED_TBPS = 1.49
NVLINK_ALLREDUCE_US = 6.0  # assumed: latency of one all-reduce between two GPUs
PCIE_ALLREDUCE_US = 12.0

SYSTEMS = {MEASURED_GPU: "rtx_pro_6000_server", "b200": "b200_sxm", "h100": "h100_sxm", "l40s": "l40s"}
NVLINK = frozenset({"b200", "h100"})
MIG_SLICES = {MEASURED_GPU: 4, "b200": 7, "h100": 7, "l40s": 1}

# short name -> (row of the configurations, kind)
MODELS: dict[str, tuple[str, str]] = {
    "deepseek-v3.2": ("deepseek-ai/DeepSeek-V3.2", "chat"),
    "gemma-4-31b": ("nvidia/Gemma-4-31B-IT-NVFP4", "chat"),
    "gpt-oss-120b": ("openai/gpt-oss-120b", "chat"),
    "gpt-oss-20b": ("openai/gpt-oss-20b", "chat"),
    "llama-3.1-405b": ("meta-llama/Meta-Llama-3.1-405B", "chat"),
    "llama-3.1-70b": ("meta-llama/Meta-Llama-3.1-70B", "chat"),
    "llama-3.1-8b": ("meta-llama/Meta-Llama-3.1-8B", "chat"),
    "mimo-v2-flash": ("XiaomiMiMo/MiMo-V2-Flash", "chat"),
    "minimax-m2.7": ("MiniMaxAI/MiniMax-M2.7", "chat"),
    "mixtral-8x7b": ("mistralai/Mixtral-8x7B-v0.1", "chat"),
    "qwen3-1.7b": ("Qwen/Qwen3-1.7B", "chat"),
    "qwen3-235b-a22b": ("Qwen/Qwen3-235B-A22B", "chat"),
    "qwen3-30b-a3b": ("Qwen/Qwen3-30B-A3B", "chat"),
    "qwen3-32b": ("Qwen/Qwen3-32B", "chat"),
    "qwen3-8b": ("Qwen/Qwen3-8B", "chat"),
    "qwen3-coder-480b-a35b": ("Qwen/Qwen3-Coder-480B-A35B-Instruct", "code"),
    "qwen3-vl-30b-a3b": ("Qwen/Qwen3-VL-30B-A3B-Instruct", "vision"),
    "qwen3-vl-4b": ("Qwen/Qwen3-VL-4B-Instruct", "vision"),
    "qwen3-vl-8b": ("Qwen/Qwen3-VL-8B-Instruct", "vision"),
    "qwen3.5-122b-a10b": ("Qwen/Qwen3.5-122B-A10B", "chat"),
    "qwen3.5-35b-a3b": ("Qwen/Qwen3.5-35B-A3B", "chat"),
    "qwen3.5-397b-a17b": ("Qwen/Qwen3.5-397B-A17B", "chat"),
    "step-3.7-flash": ("stepfun-ai/Step-3.7-Flash", "chat"),
}

# where the weights are published in a low precision, there is no higher one to serve
PRECISIONS: dict[str, tuple[str, ...]] = {
    "deepseek-v3.2": ("fp8", "fp4"),
    "gpt-oss-120b": ("fp4",),
    "gpt-oss-20b": ("fp4",),
    "mimo-v2-flash": ("fp8", "fp4"),
    "minimax-m2.7": ("fp8", "fp4"),
}

# totals that the configurations do not give: from memory, not verified
RECALLED_PARAMS_B = {"deepseek-ai/DeepSeek-V3.2": (671.0, 37.0)}


def read_gpus(reference: Path) -> dict[str, Gpu]:
    """The four GPUs: the RTX PRO 6000 with measured peaks, the others with their data sheets' peaks
    scaled by what the RTX PRO 6000 reaches of its own, and 80 % of their memory bandwidth."""
    rows = {row["system"]: row for row in _rows(reference / "gpu" / "gpu_systems_aiconfigurator.csv")}
    own = rows[SYSTEMS[MEASURED_GPU]]
    reached = {p: MEASURED_TFLOPS[p] / float(own[f"{p}_TF"]) for p in MEASURED_TFLOPS}
    gpus = {}
    for name, system in SYSTEMS.items():
        row = rows[system]
        measured = name == MEASURED_GPU
        gpus[name] = Gpu(
            name=name,
            memory_gib=float(row["mem_GiB"]),
            tflops={p: float(row[f"{p}_TF"]) * reached[p] for p in reached if float(row[f"{p}_TF"]) > 0},
            memory_tbps=MEASURED_TBPS if measured else float(row["mem_bw_GBps"]) * float(row["bw_eff"]) / 1e3,
            link_gbps=float(row["intra_GBps"]),
            allreduce_us=NVLINK_ALLREDUCE_US if name in NVLINK else PCIE_ALLREDUCE_US,
            source=f"usable {row['mem_GiB']} GiB" + (" (marketed as 96 GB)" if measured else " (data sheet)"),
        )
    return gpus


def read_tdp_w(reference: Path) -> dict[str, int]:
    """Board power of each GPU in W."""
    rows = {row["system"]: row for row in _rows(reference / "gpu" / "gpu_systems_aiconfigurator.csv")}
    return {name: int(float(rows[system]["power_W"])) for name, system in SYSTEMS.items()}


def read_models(reference: Path) -> dict[str, Model]:
    """The catalog's models by short name."""
    rows = {row["model"]: row for row in _rows(reference / "gpu" / "model_facts_from_configs.csv")}
    return {short: _model(short, kind, rows[config]) for short, (config, kind) in sorted(MODELS.items())}


def _model(short: str, kind: str, row: dict[str, str]) -> Model:
    config = row["model"]
    recalled = RECALLED_PARAMS_B.get(config)
    total_b, active_b = recalled or (float(row["calc_total_B"]), float(row["calc_active_B"]))
    latent = bool(row["kv_lora_rank"])
    return Model(
        name=short,
        kind=kind,
        layers=int(float(row["layers"])),
        hidden=int(row["hidden"]),
        heads=int(row["heads"]),
        head_dim=LATENT_ATTENTION_DIM if latent else int(row["head_dim"]),
        vocabulary=int(row["vocab"]),
        tied=row["tie"] == "True",
        total_params=total_b * 1e9,
        active_params=active_b * 1e9,
        experts=int(float(row["experts"] or 0)),
        experts_per_token=int(float(row["topk"] or 0)),
        kv_values_per_token=float(row["kv_bytes_per_token_bf16"]) / 2,
        source=f"{config} configuration" + ("; parameter totals from memory, unverified" if recalled else ""),
    )


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
