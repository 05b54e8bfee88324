"""States between runs: a folder of the user's cache for each state, named by what it was made of.

It appears whole or not at all, and is believed only while every byte is what was written. Whatever goes wrong with it
(no room, no right, no home) only costs the time to summarise anew.
"""

import hashlib
import json
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from probes.folder import StandingFile

FORMAT = 2
"""Of states: another number where their figures or their meaning change."""
UNUSED_S = 7 * 86_400.0
"""States that nobody used for so long are removed."""

_LOG = logging.getLogger(__name__)


class Cache:
    """The states made of the files of one folder of measurements."""

    def __init__(self, measurements: Path, root: Path | None = None) -> None:
        self._measurements = measurements.resolve()
        name = hashlib.sha256(str(self._measurements).encode("utf-8", "surrogateescape")).hexdigest()[:16]
        self._folder = (_user_cache() if root is None else root) / "summaries" / name

    def name(self, files: Sequence[StandingFile]) -> str:
        """The name of the states of these files, as they are now."""
        stamps = [[str(one.path.resolve()), one.size, one.modified_ns, one.changed_ns] for one in files]
        made_of = [FORMAT, pa.__version__, np.__version__, sorted(stamps)]
        return hashlib.sha256(json.dumps(made_of).encode("utf-8", "surrogatepass")).hexdigest()[:32]

    def find(self, name: str) -> list[Path] | None:
        """The folders of the states of this name; None where they are not there, or not whole."""
        folder = self._folder / name
        try:
            if not folder.exists():
                return None
            listed = json.loads((folder / "whole.json").read_bytes())
            broken = [path for path, digest in listed.items() if _digest(folder / path) != digest]
            os.utime(folder / "whole.json")
        except (OSError, ValueError, AttributeError) as error:
            broken, listed = [str(error)], {}
        if broken:
            _LOG.warning("cached summaries are made anew, in %s broken: %s", folder, ", ".join(broken))
            shutil.rmtree(folder, ignore_errors=True)
            return None
        return sorted({(folder / path).parent for path in listed})

    def keep(self, name: str, states: Sequence[Path]) -> list[Path]:
        """Moves states there; gives the folders where they lie now, which are the same where it cannot."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            temporary = Path(tempfile.mkdtemp(dir=self._folder, prefix=".", suffix=".tmp"))
        except OSError as error:
            _LOG.info("summaries are not cached: %s", error)
            return list(states)
        try:
            digests: dict[str, str] = {}
            for i, state in enumerate(states):
                shutil.copytree(state, temporary / f"{i:04}")
                digests |= {f"{i:04}/{path.name}": _digest(path) for path in (temporary / f"{i:04}").iterdir()}
            (temporary / "whole.json").write_text(json.dumps(digests), encoding="utf-8")
            temporary.rename(self._folder / name)
        except OSError as error:
            _LOG.info("summaries are not cached: %s", error)
            return list(states)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        for state in states:
            shutil.rmtree(state, ignore_errors=True)
        return [self._folder / name / f"{i:04}" for i in range(len(states))]

    def sweep(self) -> None:
        """Removes what was not used for long."""
        try:
            for entry in self._folder.iterdir():
                mark = entry / "whole.json"
                if time.time() - (mark if mark.exists() else entry).stat().st_mtime > UNUSED_S:
                    shutil.rmtree(entry, ignore_errors=True)
        except OSError:
            return


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _user_cache() -> Path:
    given = os.environ.get("XDG_CACHE_HOME", "")
    if Path(given).is_absolute():
        return Path(given) / "nearserve"
    try:
        return Path.home() / ".cache" / "nearserve"
    except RuntimeError:  # nobody's home
        return Path(tempfile.gettempdir()) / "nobody" / "nearserve"
