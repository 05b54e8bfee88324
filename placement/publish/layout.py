"""A store on the disk:

current                 a link to generations/NNNNNN-HASH; the only thing that a switch changes
generations/            one folder a generation, read-only; what begins with a dot is being made or taken away
ledger.jsonl            what was switched, when, by whom, why
lock                    held by the one who writes
"""

import errno
import os
import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from placement.publish.durable import move, point, remove, sync
from placement.publish.errors import NotAStoreError, TamperedError
from placement.publish.ledger import LEDGER

NAME = re.compile(r"\d{6,}-[0-9a-f]{12}")
_GENERATIONS = "generations"


def name_of(number: int, manifest_sha256: str) -> str:
    """The folder's name, which binds it to its manifest."""
    return f"{number:06d}-{manifest_sha256[:12]}"


@dataclass(frozen=True)
class Layout:
    """Where everything of a store is."""

    root: Path

    @property
    def link(self) -> Path:
        """What readers follow."""
        return self.root / "current"

    @property
    def spare(self) -> Path:
        """The next link, before it takes the name of `link`."""
        return self.root / ".current.new"

    @property
    def ledger(self) -> Path:
        """The ledger's file."""
        return self.root / LEDGER

    @property
    def lock(self) -> Path:
        """The lock's file."""
        return self.root / "lock"

    @property
    def generations(self) -> Path:
        """The folder of generations."""
        return self.root / _GENERATIONS

    def folder(self, name: str) -> Path:
        """A generation's folder."""
        return self.generations / name

    def being_made(self, number: int) -> Path:
        """Where a generation is made."""
        return self.generations / f".new-{number:06d}"

    def pointed(self) -> str | None:
        """The generation that readers are led to; None: none. Raises TamperedError where the link is none of ours."""
        try:
            target = os.readlink(self.link)  # noqa: PTH115  # the text as it stands
        except FileNotFoundError:
            return None
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
            raise TamperedError([f"{self.link}: is no link"]) from error
        folder, _, name = target.rpartition("/")
        if folder != _GENERATIONS or not NAME.fullmatch(name):
            raise TamperedError([f"{self.link}: points to {target}, which is no generation of this store"])
        return name

    def point(self, name: str) -> None:
        """Leads readers to a generation."""
        point(self.link, f"{_GENERATIONS}/{name}", self.spare)

    def take_away(self, name: str) -> None:
        """A generation is gone at once, by its name, and then by its files."""
        old = self.generations / f".old-{name}"
        if self.folder(name).is_dir():
            move(self.folder(name), old)
            remove(old)

    def tidy(self, names: Collection[str]) -> tuple[str, ...]:
        """Takes away what a writer left behind half-made or half-removed; gives the names. `names` stand."""
        gone = []
        for path in sorted(self.generations.iterdir()):
            if path.name.startswith((".new-", ".old-")):
                remove(path)
            elif NAME.fullmatch(path.name) and path.name not in names:
                self.take_away(path.name)
            else:
                continue
            gone.append(path.name)
        if self.spare.is_symlink():
            self.spare.unlink()
        return tuple(gone)

    def claim(self) -> None:
        """The folder exists, and is a store or empty. Raises NotAStoreError."""
        if not self.root.exists():
            self.root.mkdir(parents=True, exist_ok=True)
            sync(self.root.parent)
        elif not self.root.is_dir():
            raise NotAStoreError(f"{self.root}: is no folder")
        ours = {"lost+found", self.link.name, self.lock.name, self.generations.name, self.ledger.name, self.spare.name}
        if not self.ledger.exists() and (others := sorted({path.name for path in self.root.iterdir()} - ours)):
            raise NotAStoreError(f"{self.root}: holds {others[0]} and no ledger; give an empty folder or a store")

    def found(self) -> None:
        """Makes what is missing of an empty store. Raises TamperedError where only the ledger is missing."""
        if self.ledger.exists():
            return
        if self.generations.is_dir() and any(NAME.fullmatch(path.name) for path in self.generations.iterdir()):
            raise TamperedError([f"{self.ledger}: is missing, though there are generations; put it back from a copy"])
        self.generations.mkdir(exist_ok=True)
        self.ledger.touch()
        sync(self.ledger)
        sync(self.root)
