"""What keeps a store from being read or switched. After every one of these `current` is what it was before."""

from collections.abc import Sequence
from pathlib import Path


class StoreError(Exception):
    """Something about a store of generations; the message says what, where, and the mend."""


class NotAStoreError(StoreError):
    """The folder holds other things, so that nothing in it is touched."""


class CannotWriteError(StoreError):
    """The disk is full, the folder may not be written, or the like; `so` is what that means."""

    def __init__(self, place: Path, error: OSError, so: str = "nothing was published") -> None:
        super().__init__(f"{place}: cannot be written ({error.strerror or error}); {so}")


class UnknownGenerationError(StoreError):
    """There is no such generation, or no earlier one to go back to."""


class ContentError(StoreError):
    """What was to be published holds something that no generation may hold."""


class SigningError(StoreError):
    """A key, or a list of those who may sign, cannot be used."""


class LockedError(StoreError):
    """Another writer works on the store."""


class StaleError(StoreError):
    """The world moved on: somebody else published first, or this store is behind."""


class WithdrawnError(StaleError):
    """A rollback took this very content away; it does not come back by itself."""


class ClockError(StaleError):
    """The clock says that it is earlier than when the store was last written."""


class UnresolvedError(StaleError):
    """A publish was cut off while etcd was asked, and only etcd knows what came of it."""


class UnansweredError(StoreError):
    """No etcd endpoint answered."""


class TamperedError(StoreError):
    """The store or a generation is not what was published; `findings` name each thing, a line each."""

    def __init__(self, findings: Sequence[str]) -> None:
        super().__init__("\n".join(findings))
        self.findings = tuple(findings)
