"""A store of generations: one folder that programs read through `current`, whole or not at all.

store = Store(Path("/srv/nearserve"))
with store.writing() as writer:
    generation = writer.publish(fill, {"scenario": "edge"}, content_key)
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from placement.publish.errors import (
    CannotWriteError,
    NotAStoreError,
    StoreError,
    TamperedError,
    UnknownGenerationError,
)
from placement.publish.etcd import Etcd
from placement.publish.generation import Generation, open_generation
from placement.publish.layout import Layout
from placement.publish.ledger import Entry, read_ledger
from placement.publish.lock import locked
from placement.publish.pointer import Agreement
from placement.publish.provenance import Builder
from placement.publish.recovery import check_link
from placement.publish.signature import Signer, Trust
from placement.publish.state import State, state_of
from placement.publish.verify import findings_of, strangers
from placement.publish.writer import Clock, Tools, Writer, utc_now

_LOOKS = 100


class Store:
    """Generations below `root`. Reading needs no lock and changes nothing.

    `signer` signs what is published, `trust` refuses what is not signed by it, `etcd` is asked before every switch.
    """

    def __init__(
        self,
        root: Path,
        *,
        signer: Signer | None = None,
        trust: Trust | None = None,
        etcd: Etcd | None = None,
        builder: Builder = Builder(),  # noqa: B008  # frozen
    ) -> None:
        self.root = root
        self._layout = Layout(root)
        self._tools = Tools(signer, trust, None if etcd is None else Agreement(etcd), builder)

    @contextmanager
    def writing(self, clock: Clock = utc_now, *, astray: bool = False) -> Iterator[Writer]:
        """The store for one writer, after what an earlier one left half-done is in order.

        `astray`: readers may be led elsewhere than the ledger says, since a rollback is to set that right.

        Raises:
            LockedError: another is writing.
            TamperedError: the store is not what a writer left.
            NotAStoreError: the folder holds other things.
            UnresolvedError, UnansweredError: only etcd knows whether the last switch came to be.
            CannotWriteError: the folder cannot be written.
        """
        with ExitStack() as held:
            try:
                self._layout.claim()
                held.enter_context(locked(self._layout.lock))
            except OSError as error:
                raise CannotWriteError(self.root, error) from error
            yield Writer(self._layout, self._tools, clock, astray=astray)

    @property
    def trusts(self) -> bool:
        """Whether signatures are asked for."""
        return self._tools.trust is not None

    def entries(self) -> tuple[Entry, ...]:
        """The ledger's whole lines. Raises TamperedError; NotAStoreError where there is none."""
        if not self._layout.ledger.is_file():
            raise NotAStoreError(f"{self.root}: is no store of generations; `nearserve publish plan` makes one")
        return read_ledger(self._layout.ledger).entries

    def state(self) -> State:
        """What the ledger comes to. Raises as `entries` does."""
        return state_of(self.entries())

    def current(self) -> Generation | None:
        """The generation that readers are led to now; None before the first. Raises TamperedError."""
        for look in range(_LOOKS):
            name = self._layout.pointed()
            if name is None:
                return None
            try:
                return open_generation(self._layout.folder(name))
            except TamperedError:
                if self._layout.pointed() == name or look == _LOOKS - 1:
                    raise
        raise AssertionError("unreachable")

    def generations(self) -> tuple[Generation, ...]:
        """Those that stand, oldest first. Raises TamperedError where one cannot be read."""
        found = []
        for number, each in sorted(self.state().standing.items()):
            try:
                found.append(open_generation(self._layout.folder(each.name)))
            except TamperedError:
                if number in self.state().standing:  # else it was taken away meanwhile
                    raise
        return tuple(found)

    def verify(self, numbers: tuple[int, ...] | None = None) -> tuple[str, ...]:
        """What is not as it was published, a line each: of the generations of these numbers, by default of all.

        Besides, whether the ledger is whole, readers are led where it says, and etcd agrees, if it is asked.
        """
        try:
            state = self.state()
        except TamperedError as error:
            return error.findings
        chosen = tuple(sorted(state.standing)) if numbers is None else numbers
        if unknown := [number for number in chosen if number not in state.standing]:
            raise UnknownGenerationError(f"{self.root}: there is no generation {unknown[0]}")
        found = self._led(state)
        if numbers is None:
            found += strangers(self._layout, state)
        for number in chosen:
            each = state.standing[number]
            wrong = findings_of(self._layout.folder(each.name), each, self._tools.trust)
            if wrong and number in self.state().standing:  # else it was taken away meanwhile
                found += wrong
        return tuple(found)

    def _led(self, state: State) -> list[str]:
        """Whether readers are led where the ledger says; while a switch is on its way it may be either."""
        if state.opened is not None:
            return []
        try:
            check_link(self._layout, state)
        except TamperedError as error:
            return list(error.findings)
        if self._tools.agreement is None or state.head is None:
            return []
        _, now = self._tools.agreement.read()
        if now.manifest_sha256 == state.head.manifest_sha256:
            return []
        agreed = f"generation {now.number} ({now.name})" if now.number else "none"
        return [f"{self._layout.link}: leads to generation {state.head.number}; in etcd current is {agreed}"]


__all__ = ["Generation", "Store", "StoreError"]
