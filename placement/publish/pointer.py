"""What several hosts agree on in etcd: which generation is current. Only one who has seen it may replace it."""

from typing import Literal

from pydantic import Field, ValidationError

from placement.canonical import canonical_json
from placement.publish.errors import StaleError, TamperedError
from placement.publish.etcd import Etcd
from placement.publish.ledger import Entry
from placement.publish.manifest import HASH, Predecessor, Value


class Pointer(Value):
    """The value of the key. `ledger` is the sha256 of the ledger's entry that asked for it.

    `number` 0 and no name: nothing was published; it is written where a first publish was cut off.
    """

    schema_: Literal["nearserve-pointer-1"] = Field(default="nearserve-pointer-1", alias="schema")
    number: int = Field(default=0, ge=0)
    name: str = ""
    manifest_sha256: str = ""
    predecessor: Predecessor | None = None
    at: str = ""
    ledger: str = Field(default="", pattern=HASH + "|^$")

    def canonical(self) -> bytes:
        """The bytes of the value."""
        return canonical_json(self.model_dump(mode="json", by_alias=True))


class Agreement:
    """The pointer in etcd as one writer sees it."""

    def __init__(self, etcd: Etcd) -> None:
        self.etcd = etcd

    def read(self) -> tuple[int, Pointer]:
        """The revision and what is agreed on; an absent key is a pointer to nothing.

        Raises UnansweredError; TamperedError where the key holds something else.
        """
        held = self.etcd.read()
        if held.value is None:
            return held.revision, Pointer()
        try:
            return held.revision, Pointer.model_validate_json(held.value)
        except ValidationError as error:
            raise TamperedError([f"etcd's key {self.etcd.key}: holds no pointer to a generation"]) from error

    def replace(self, seen: int, pointer: Pointer) -> None:
        """Agrees on another. Raises StaleError where somebody was first; UnansweredError: nobody knows."""
        if self.etcd.swap(seen, pointer.canonical()):
            return
        _, now = self.read()
        if now.ledger != pointer.ledger:  # else an answer was lost, and the swap asked for twice
            raise StaleError(f"etcd's key {self.etcd.key}: generation {now.number} was published by another meanwhile")

    def settled(self, intent: Entry, asked: int) -> bool:
        """Whether a switch that was cut off was agreed on; where it was not, it never will be any more.

        A request may still be on its way from a process that is dead. So the key is written once more as it is: then
        its revision is another one, and what comes late finds another than it asks for.
        """
        while True:
            revision, now = self.read()
            if now.ledger == intent.sha256:
                return True
            if revision != asked or self.etcd.swap(revision, now.canonical()):
                return False
