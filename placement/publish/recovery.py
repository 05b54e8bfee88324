"""What a writer that ended half-way left behind, put in order by the next one. It never changes what readers see,

but in one case: etcd had agreed on a generation, and only the link here had not followed yet.

    on the disk                                    what is done
    a folder being made, or not in the ledger      taken away: nobody was ever led to it
    a last line without its end                    cut off
    intent, and the link leads there               committed: readers have seen it
    intent, and the link leads elsewhere           abandoned; or, where etcd agreed on it, linked and committed
    pruned, and the folder is still there          taken away
    anything else that does not fit                no kill leaves that: refused
"""

from placement.publish.durable import cut, sync
from placement.publish.errors import TamperedError, UnresolvedError
from placement.publish.layout import Layout
from placement.publish.ledger import Entry, Ledger, read_ledger
from placement.publish.pointer import Agreement
from placement.publish.state import State, state_of


def recovered(
    layout: Layout, agreement: Agreement | None, at: str, *, astray: bool
) -> tuple[Ledger, State, tuple[str, ...]]:
    """The ledger and its state, after everything was put in order, and what was done, a line each.

    The caller holds the lock. `astray`: the link may lead elsewhere than the ledger says, as a switch is to mend that.

    Raises:
        TamperedError: the store is not what a writer left.
        UnresolvedError, UnansweredError: only etcd knows whether a switch came to be.
    """
    ledger = read_ledger(layout.ledger)
    done = []
    if ledger.torn:
        cut(layout.ledger, ledger.length)
        done.append(f"cut a torn line of {ledger.torn} bytes off the ledger")
    state = state_of(ledger.entries)
    if state.opened is not None:
        event = "committed" if _happened(layout, agreement, state.opened) else "abandoned"
        opened = state.opened
        # What readers are led to is on the disk before the ledger says so.
        sync(layout.root)
        ledger = ledger.appended(event, at, opened.number, opened.name, opened.manifest_sha256)  # type: ignore[arg-type]
        state = state_of(ledger.entries)
        done.append(f"{event} generation {opened.number}, whose switch was cut off")
    if not astray:
        check_link(layout, state)
    done += [f"took away generations/{name}, which nobody was led to" for name in layout.tidy(state.names)]
    return ledger, state, tuple(done)


def check_link(layout: Layout, state: State) -> None:
    """Raises TamperedError unless readers are led where the ledger says, to a folder that is there."""
    pointed, head = layout.pointed(), state.head
    if pointed != (head and head.name):
        led = f"leads to {pointed}" if pointed else "is missing"
        said = f"generation {head.number} ({head.name}) is current" if head else "nothing was published"
        raise TamperedError(
            [f"{layout.link}: {led}, but by the ledger {said}; `nearserve publish rollback --to N` sets it right"]
        )
    if head and not layout.folder(head.name).is_dir():
        raise TamperedError([f"{layout.folder(head.name)}: is missing, and is the current generation"])


def _happened(layout: Layout, agreement: Agreement | None, opened: Entry) -> bool:
    """Whether the switch came to be; where etcd agreed, it does now."""
    if layout.pointed() == opened.name:
        return True
    asked = None if opened.intent is None else opened.intent.asked
    if asked is None:
        return False
    if agreement is None:
        raise UnresolvedError(
            f"{layout.root}: a switch to generation {opened.number} was cut off while etcd was asked; "
            "name the endpoints and the key, so that it can be settled"
        )
    if not agreement.settled(opened, asked):
        return False
    layout.point(opened.name)
    return True
