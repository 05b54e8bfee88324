"""A plan as a folder: written beside its place, checked, and only then renamed into it."""

import io
import os
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from placement.plan.document import PlanDocument

ROUTES = pa.schema(
    [
        ("region", pa.string()),
        ("model", pa.string()),
        ("service", pa.string()),
        ("slice", pa.string()),
        ("period", pa.string()),
        ("site", pa.string()),
        ("shape", pa.string()),
        ("failure", pa.string()),
        ("share_ppb", pa.int64()),
    ]
)


class PlanExistsError(FileExistsError):
    """Something stands where the plan should go, and nobody allowed to replace it."""


@dataclass(frozen=True)
class PlanFiles:
    """The three files of a plan as values."""

    document: PlanDocument
    routes: pa.Table  # ROUTES
    certificate: dict[str, np.ndarray] | None


def write_files(folder: Path, plan: PlanFiles) -> None:
    """Write the files into an existing folder; the same plan gives the same bytes."""
    write_document(folder, plan.document)
    pq.write_table(plan.routes, folder / "routes.parquet", compression="zstd", store_schema=False)
    if plan.certificate is not None:
        _write_npz(folder / "certificate.npz", plan.certificate)


def write_document(folder: Path, document: PlanDocument) -> None:
    """Write plan.json alone."""
    (folder / "plan.json").write_bytes(document.canonical())


@contextmanager
def atomic_folder(
    target: Path,
    *,
    replace: bool,
    mark: str = "plan.json",
    kind: str = "plan",
    sync: Callable[[Path], None] | None = None,
) -> Iterator[Path]:
    """A temporary folder beside `target` that takes its place when the block ends well, and vanishes when it does not.

    What it may replace is a folder of the same kind: one that holds the file `mark`, or nothing. `sync` has the disk
    hold what was written; by default a folder of files alone.

    Raises:
        PlanExistsError: `target` exists and `replace` is false, or it is no such folder.
    """
    if target.exists() and not replace:
        raise PlanExistsError(f"{target} exists; give another folder, or --force to replace it")
    if target.exists() and not (target.is_dir() and ((target / mark).exists() or not any(target.iterdir()))):
        raise PlanExistsError(f"{target} exists and holds no {kind}; it is not replaced")
    target.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        scratch.chmod(0o755)
        yield scratch
        (sync or _sync)(scratch)
        _take_place(scratch, target)
    except BaseException:
        shutil.rmtree(scratch, ignore_errors=True)
        raise


def _take_place(scratch: Path, target: Path) -> None:
    """`scratch` under the name of `target`; what stood there comes back when this is broken off half-way."""
    old = scratch.with_name(scratch.name + ".old")
    try:
        if target.exists():
            target.rename(old)
        scratch.rename(target)
    except BaseException:
        if old.exists() and not target.exists():
            old.rename(target)
        raise
    finally:
        if target.exists():
            shutil.rmtree(old, ignore_errors=True)


def _sync(folder: Path) -> None:
    """Have the disk hold what was written before the name does."""
    for path in [*folder.iterdir(), folder]:
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _write_npz(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """np.savez_compressed with a fixed time stamp in every entry, so that equal arrays give equal bytes."""

    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(arrays):
            buffer = io.BytesIO()
            np.save(buffer, arrays[name], allow_pickle=False)
            archive.writestr(
                zipfile.ZipInfo(f"{name}.npy", (1980, 1, 1, 0, 0, 0)), buffer.getvalue(), zipfile.ZIP_DEFLATED
            )
