"""What a ledger comes to: which generations stand, which is current, what a rollback goes back to."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from placement.publish.errors import TamperedError
from placement.publish.ledger import Entry, Intent
from placement.publish.manifest import moment_of


@dataclass(frozen=True)
class Standing:
    """A generation that became current once and was not pruned. `left_at`: when it last ceased to be current."""

    number: int
    name: str
    manifest_sha256: str
    content_key: str
    published_at: datetime
    left_at: datetime | None = None


@dataclass(frozen=True)
class State:
    """`line` are the generations that led to the current one, which is its last: a rollback takes the one before it.

    `opened` is an intent that has no end yet, `withdrawn` are the content keys that rollbacks took away, `highest` is
    the greatest number ever given.
    """

    standing: dict[int, Standing] = field(default_factory=dict)
    line: tuple[int, ...] = ()
    opened: Entry | None = None
    withdrawn: frozenset[str] = frozenset()
    highest: int = 0
    last_at: datetime | None = None

    @property
    def head(self) -> Standing | None:
        """The current generation."""
        return self.standing[self.line[-1]] if self.line else None

    @property
    def back(self) -> Standing | None:
        """What a rollback goes to unless it is told."""
        return self.standing[self.line[-2]] if len(self.line) > 1 else None

    @property
    def names(self) -> frozenset[str]:
        """The folders that must stand."""
        opened = {self.opened.name} if self.opened else set()
        return frozenset(each.name for each in self.standing.values()) | opened


def state_of(entries: Sequence[Entry]) -> State:
    """The ledger's lines, played again. Raises TamperedError where they make no sense in this order."""
    state = State()
    for entry in entries:
        state = _after(state, entry)
    return state


def _after(state: State, entry: Entry) -> State:
    moved = replace(state, highest=max(state.highest, entry.number), last_at=moment_of(entry.at))
    if entry.event == "intent" and state.opened is None and entry.intent is not None:
        known = entry.number in state.standing
        if known == (entry.intent.kind == "rollback"):
            return replace(moved, opened=entry)
    elif entry.event == "pruned" and entry.number in state.standing and entry.number != state.line[-1]:
        standing = {number: each for number, each in state.standing.items() if number != entry.number}
        return replace(moved, standing=standing, line=tuple(n for n in state.line if n != entry.number))
    elif state.opened is not None and state.opened.name == entry.name:
        if entry.event == "abandoned":
            return replace(moved, opened=None)
        if entry.event == "committed" and state.opened.intent is not None:
            return _switched(moved, entry, state.opened.intent)
    raise TamperedError([f"ledger: entry {entry.entry} ({entry.event} of {entry.number}) cannot follow the one before"])


def _switched(state: State, entry: Entry, intent: Intent) -> State:
    at, number = moment_of(entry.at), entry.number
    standing, line, withdrawn = dict(state.standing), state.line, state.withdrawn
    if line:
        standing[line[-1]] = replace(standing[line[-1]], left_at=at)
    if intent.kind == "publish":
        standing[number] = Standing(number, entry.name, entry.manifest_sha256, intent.content_key, at)
        line = (*line, number)
    else:
        kept = line.index(number) + 1 if number in line else len(line) - 1
        withdrawn |= {standing[gone].content_key for gone in line[kept:]}
        line = line[:kept] if number in line else (*line, number)
    withdrawn -= {intent.content_key}
    return replace(state, standing=standing, line=line, withdrawn=withdrawn, opened=None)
