"""The one who writes: makes generations, switches to them and back, and takes old ones away.

    make:    .new-NNNNNN filled ─► manifest, signature ─► read-only ─► on the disk ─► its name
    switch:  intent in the ledger ─► agreed in etcd ─► `current` replaced ─► committed in the ledger

Each step is on the disk before the next begins. So whatever ends the process or the machine, and wherever, it leaves
one of the few states that `recovery` knows.
"""

import errno
import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from placement.publish.durable import READ_ONLY_FILE, freeze, move, remove, sync_tree, write
from placement.publish.errors import (
    CannotWriteError,
    ClockError,
    ContentError,
    SigningError,
    StaleError,
    TamperedError,
    UnknownGenerationError,
    WithdrawnError,
)
from placement.publish.generation import Generation, open_generation
from placement.publish.layout import Layout, name_of
from placement.publish.ledger import Event, Intent
from placement.publish.manifest import (
    MANIFEST,
    OURS,
    PROVENANCE,
    SIGNATURE,
    File,
    Manifest,
    Predecessor,
    content_hash,
    files_of,
    written,
)
from placement.publish.pointer import Agreement, Pointer
from placement.publish.provenance import Builder, provenance
from placement.publish.reading import unread
from placement.publish.recovery import recovered
from placement.publish.retention import Retention, expired
from placement.publish.signature import Signer, Trust
from placement.publish.state import Standing, State, state_of
from placement.publish.verify import findings_of

CLOCK_SLACK = timedelta(minutes=5)
"""How far clocks may step back between two nights, as they are set right."""

OF_DISK = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG, errno.EIO})
"""Errors that a disk is the cause of, and not what was to be written."""

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """The clock of this machine."""
    return datetime.now(UTC)


@dataclass(frozen=True)
class Tools:
    """What a store signs, trusts and agrees with; each may be absent."""

    signer: Signer | None = None
    trust: Trust | None = None
    agreement: Agreement | None = None
    builder: Builder = field(default_factory=Builder)


class Writer:
    """Made by `Store.writing`, which holds the lock as long as this is used. `mended` is what a kill had left."""

    def __init__(self, layout: Layout, tools: Tools, clock: Clock, *, astray: bool = False) -> None:
        self._layout, self._tools, self._clock, self._astray = layout, tools, clock, astray
        with self._writing():
            layout.found()
            self._ledger, self._state, self.mended = recovered(layout, tools.agreement, written(clock()), astray=astray)

    @property
    def state(self) -> State:
        """What the ledger comes to."""
        return self._state

    @property
    def current(self) -> Generation | None:
        """The current generation."""
        head = self._state.head
        return None if head is None else open_generation(self._layout.folder(head.name))

    def publish(
        self,
        fill: Callable[[Path], None],
        facts: Mapping[str, Any],
        content_key: str | None = None,
        *,
        by: str = "",
        reason: str = "",
        started_at: datetime | None = None,
        again: bool = False,
        take_over: bool = False,
        accept_clock: bool = False,
    ) -> Generation:
        """A new generation with what `fill` writes into the folder that it is given; readers are led to it.

        `content_key` says when two are the same: where the current one has it nothing is published, and `new` is
        false. Without a key it is a hash of the files. `facts` are JSON. `again` publishes what a rollback took away,
        `take_over` goes on where etcd knows of a generation of another store, `accept_clock` takes the clock's word
        though the ledger's last entry is from later.

        Raises, with nothing switched:
            WithdrawnError: a rollback took this content away.
            StaleError: others published meanwhile, or this store is behind what etcd knows.
            ClockError: the clock went back.
            ContentError: `fill` wrote what no generation may hold.
            TamperedError: the current one has the same key, and is not what was published.
            SigningError, UnansweredError, CannotWriteError; and whatever `fill` raises.
        """
        at = self._time(accept_clock)
        revision, agreed = self._agreed(take_over)
        if content_key is not None and (same := self._same(content_key, again)):
            return same
        number = max(self._state.highest, agreed.number if agreed else 0) + 1
        stage = self._layout.being_made(number)
        with self._made(stage):
            self._fill(stage, fill)
            files = _content(stage)
            key = content_hash(files) if content_key is None else content_key
            if content_key is None and (same := self._same(key, again)):
                return same
            with self._writing():
                proof = self._provenance(stage, files, facts, started_at, at)
                manifest = Manifest(
                    number=number,
                    predecessor=_predecessor(agreed or self._state.head),
                    created_at=written(at),
                    content_key=key,
                    facts=dict(facts),
                    files=dict(sorted({**files, PROVENANCE: proof}.items())),
                )
                name, digest = self._finished(stage, manifest)
                intent = Intent(kind="publish", content_key=key, by=by, reason=reason, asked=revision)
                self._switch(number, name, digest, intent, agreed, at)
        return open_generation(self._layout.folder(name), new=True)

    def rollback(
        self,
        to: int | None = None,
        *,
        by: str = "",
        reason: str = "",
        take_over: bool = False,
        accept_clock: bool = False,
    ) -> Generation:
        """Leads readers back to an earlier generation, the one before the current by default; gives it.

        It is a switch like any other, with its own entry. What was current since does not come back by itself:
        `publish` refuses its content key until it is told `again`.

        Raises, with nothing switched:
            UnknownGenerationError: there is none of that number, or it is current.
            TamperedError: it is not what was published any more.
            StaleError, ClockError, SigningError, UnansweredError, CannotWriteError.
        """
        at = self._time(accept_clock)
        target = self._target(to)
        folder = self._layout.folder(target.name)
        if findings := findings_of(folder, target, self._tools.trust):
            raise TamperedError(findings)
        revision, agreed = self._agreed(take_over)
        intent = Intent(kind="rollback", content_key=target.content_key, by=by, reason=reason, asked=revision)
        with self._writing():
            self._switch(target.number, target.name, target.manifest_sha256, intent, agreed, at)
        return open_generation(folder)

    def prune(self, retention: Retention) -> tuple[Standing, ...]:
        """Takes away what `retention` does not keep and nobody is `reading`; gives it, oldest first."""
        at, gone = self._time(accept=True), []
        for each in expired(self._state, retention, at):
            with self._writing(), unread(self._layout.folder(each.name)) as free:
                if free:
                    self._enter("pruned", each.number, each.name, each.manifest_sha256, at)
                    self._layout.take_away(each.name)
                    gone.append(each)
        return tuple(gone)

    def _switch(
        self, number: int, name: str, manifest_sha256: str, intent: Intent, agreed: Pointer | None, at: datetime
    ) -> None:
        """Readers are led to the generation `name`, which stands whole on the disk."""
        head = self._state.head
        self._enter("intent", number, name, manifest_sha256, at, intent)
        if self._tools.agreement is not None and intent.asked is not None:
            pointer = Pointer(
                number=number,
                name=name,
                manifest_sha256=manifest_sha256,
                predecessor=_predecessor(agreed or head),
                at=written(at),
                ledger=self._ledger.entries[-1].sha256,
            )
            try:
                self._tools.agreement.replace(intent.asked, pointer)
            except StaleError:
                self._enter("abandoned", number, name, manifest_sha256, at)
                self._layout.tidy(self._state.names)
                raise
        try:
            self._layout.point(name)
            self._enter("committed", number, name, manifest_sha256, at)
        except OSError as error:
            if self._layout.pointed() != name:
                raise
            so = f"readers are led to generation {number}, which the next writer notes in the ledger"
            raise CannotWriteError(self._layout.root, error, so) from error

    def _enter(
        self,
        event: Event,
        number: int,
        name: str,
        manifest_sha256: str,
        at: datetime,
        intent: Intent | None = None,
    ) -> None:
        ledger = self._ledger.appended(event, written(at), number, name, manifest_sha256, intent)
        self._ledger, self._state = ledger, state_of(ledger.entries)

    @contextmanager
    def _made(self, stage: Path) -> Iterator[None]:
        """The folder in which a generation is made; what did not come to be is taken away, where that can be done."""
        with self._writing():
            if stage.exists():
                remove(stage)
            stage.mkdir()
        try:
            yield
        finally:
            if stage.exists():
                with suppress(OSError):  # else the next writer does it
                    remove(stage)

    def _fill(self, stage: Path, fill: Callable[[Path], None]) -> None:
        """Calls it. Its errors are its own, but for those of the disk."""
        try:
            fill(stage)
        except OSError as error:
            if error.errno not in OF_DISK:
                raise
            raise CannotWriteError(self._layout.root, error) from error

    def _provenance(
        self,
        stage: Path,
        files: Mapping[str, File],
        facts: Mapping[str, Any],
        started_at: datetime | None,
        at: datetime,
    ) -> File:
        """Writes it."""
        data = provenance(stage, files, self._tools.builder, facts, started_at, at)
        write(stage / PROVENANCE, data)
        return File(sha256=hashlib.sha256(data).hexdigest(), bytes=len(data), mode=f"{READ_ONLY_FILE:04o}")

    def _finished(self, stage: Path, manifest: Manifest) -> tuple[str, str]:
        """Manifest, signature, read-only, on the disk, and only then its name: gives that, and the manifest's hash."""
        data = manifest.canonical()
        write(stage / MANIFEST, data)
        if self._tools.signer is not None:
            write(stage / SIGNATURE, self._tools.signer.signed(data))
        if self._tools.trust is not None and (refused := self._tools.trust.refusals(stage)):
            raise SigningError("\n".join([*refused, "readers would refuse this generation; it was not published"]))
        freeze(stage)
        sync_tree(stage)
        digest = hashlib.sha256(data).hexdigest()
        name = name_of(manifest.number, digest)
        move(stage, self._layout.folder(name))
        return name, digest

    def _same(self, key: str, again: bool) -> Generation | None:
        """The current generation where it has this key already. Raises WithdrawnError, TamperedError."""
        if again:
            return None
        head = self._state.head
        if key in self._state.withdrawn:
            raise WithdrawnError(
                f"{self._layout.root}: a rollback took this content away, and it has not changed since; "
                "publish it with --again if it is meant to come back"
            )
        if head is None or head.content_key != key:
            return None
        folder = self._layout.folder(head.name)
        if findings := findings_of(folder, head, self._tools.trust):
            raise TamperedError([*findings, "it would be published unchanged; --again publishes it anew"])
        return open_generation(folder)

    def _agreed(self, take_over: bool) -> tuple[int | None, Pointer | None]:
        """The pointer's revision, and the pointer where it is of a generation; None without etcd."""
        if self._tools.agreement is None:
            return None, None
        revision, now = self._tools.agreement.read()
        head = self._state.head
        here = head.manifest_sha256 if head else ""
        if now.number and now.manifest_sha256 != here and not take_over:
            mine = f"this store's is {head.number}" if head else "this store has none"
            raise StaleError(
                f"{self._layout.root}: in etcd generation {now.number} ({now.name}) is current, and {mine}; "
                "publish from the store that has it, or go on from here with --take-over"
            )
        return revision, now if now.number else None

    def _target(self, to: int | None) -> Standing:
        state, root = self._state, self._layout.root
        if to is None:
            if state.back is None:
                raise UnknownGenerationError(f"{root}: there is no earlier generation to go back to")
            return state.back
        if to not in state.standing:
            there = ", ".join(str(number) for number in sorted(state.standing)) or "none"
            raise UnknownGenerationError(f"{root}: there is no generation {to}; there are: {there}")
        if not self._astray and state.head is not None and to == state.head.number:
            raise UnknownGenerationError(f"{root}: generation {to} is current already")
        return state.standing[to]

    def _time(self, accept: bool) -> datetime:
        """Now. Raises ClockError where the ledger was written later than that."""
        at, last = self._clock(), self._state.last_at
        if not accept and last is not None and at < last - CLOCK_SLACK:
            raise ClockError(
                f"{self._layout.root}: the clock says {written(at)}, but the ledger was written at {written(last)}; "
                "set the clock, or say --accept-clock if it was wrong then"
            )
        return at

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise CannotWriteError(self._layout.root, error) from error


def _content(stage: Path) -> dict[str, File]:
    """What was filled in. Raises ContentError."""
    files = files_of(stage)
    if taken := sorted(name for name in OURS if (stage / name).exists()):
        raise ContentError(f"{', '.join(taken)}: this name is ours in a generation")
    if not files:
        raise ContentError("there is no file in it; a generation holds something")
    return files


def _predecessor(before: Pointer | Standing | None) -> Predecessor | None:
    return None if before is None else Predecessor(number=before.number, manifest_sha256=before.manifest_sha256)
