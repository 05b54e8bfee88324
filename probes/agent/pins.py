"""The address of each target's name: resolved, checked against the allowlist, then kept until it is checked anew.

What was checked is what is used: a probe never goes to an address that came from DNS later than its check. Where an
answer holds several allowed addresses, the one in use stays, so that a series stays one series. A change is told. A
name that no longer resolves keeps its address for `keep_s`; one that now leads only to refused addresses loses it.
"""

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any, Final

from probes.agent.allow import Policy, Refusal, refusal_of, screened
from probes.agent.lookups import Answer, Lookups, Name
from probes.agent.spool import Tell
from probes.agent.targets import Target
from probes.methods.endpoint import Endpoint

FIRST_RETRY_S: Final = 5.0


@dataclass(slots=True)
class _Pin:
    """What is known of one name."""

    answer: tuple[str, ...] = ()
    address: str | None = None
    refusals: tuple[Refusal, ...] = ()
    error: str = ""
    due_s: float = 0.0
    good_s: float = 0.0
    failures: int = 0


class Unresolved(str):
    """Why a target has no address: what the resolver said; empty while its first lookup is under way."""

    __slots__ = ()


class Pins:
    """The names of all targets and the address of each."""

    def __init__(
        self,
        lookups: Lookups,
        policy: Policy,
        refresh_s: float,
        keep_s: float,
        tell: Tell,
        count: Callable[[Refusal], None] = lambda _: None,
    ) -> None:
        self._lookups, self._policy, self._refresh_s, self._keep_s = lookups, policy, refresh_s, keep_s
        self._tell, self._count = tell, count
        self._pins: dict[Name, _Pin] = {}
        self._random = random.Random()

    def watch(self, targets: Iterable[Target]) -> None:
        """Keeps the names of these targets and no others; addresses need no lookup."""
        names = {Name(target.host, target.family) for target in targets}
        self._pins = {name: pin for name, pin in self._pins.items() if name in names}
        for name in sorted(names - self._pins.keys(), key=str):
            fresh = self._pins[name] = _Pin()
            literal = _literal(name)
            if literal is not None:
                fresh.due_s = float("inf")
                self._settle(name, fresh, literal)

    def enforce(self, policy: Policy) -> None:
        """Another allowlist: every address is checked against it now."""
        self._policy = policy
        for name, pin in self._pins.items():
            if pin.answer:
                self._settle(name, pin, pin.answer)

    def refresh(self, now_s: float, wait_s: float = 0.0) -> int:
        """Starts the lookups that are due and takes in those that came; how many failed."""
        for name, pin in self._pins.items():
            if now_s >= pin.due_s:
                self._lookups.ask(name)
        answers = self._lookups.wait(wait_s) if wait_s else self._lookups.collect()
        for answer in answers:
            watched = self._pins.get(answer.name)
            if watched is not None:
                self._take(watched, answer, now_s)
        return sum(answer.error is not None for answer in answers)

    def endpoint(self, target: Target, port: int | None) -> Endpoint | Refusal | Unresolved:
        """Where to send for a target and a port, or why not."""
        pin = self._pins[Name(target.host, target.family)]
        if pin.address is None:
            return pin.refusals[0] if pin.refusals else Unresolved(pin.error)
        refusal = refusal_of(pin.address, port, self._policy)
        if refusal is not None:
            return refusal
        named = target.host if _literal(Name(target.host, None)) is None else None
        return Endpoint(target.name, pin.address, port, named)

    def _take(self, pin: _Pin, answer: Answer, now_s: float) -> None:
        spread = self._random.uniform(0.9, 1.1)
        if answer.error is None:
            pin.failures, pin.good_s = 0, now_s
            pin.due_s = now_s + self._refresh_s * spread
            self._settle(answer.name, pin, answer.addresses)
            return
        pin.due_s = now_s + min(self._refresh_s, FIRST_RETRY_S * 2 ** min(pin.failures, 20)) * spread
        pin.failures += 1
        pin.error = answer.error or ""
        self._tell("dns_failed", host=answer.name.host, error=answer.error, address_kept=pin.address)
        if pin.address is not None and now_s - pin.good_s > self._keep_s:
            self._tell("address_given_up", host=answer.name.host, address=pin.address)
            pin.address, pin.answer = None, ()

    def _settle(self, name: Name, pin: _Pin, answer: tuple[str, ...]) -> None:
        sound, nothing = _literals(answer)
        allowed, refused = screened(sound, None, self._policy)
        before = pin.address
        pin.answer, pin.refusals = tuple(sound), tuple(refused)
        pin.error = "no address that can be used" if nothing else ""
        pin.address = before if before in allowed else next(iter(allowed), None)
        for refusal in refused:
            self._count(refusal)
            self._tell("address_refused", host=name.host, address=refusal.address, why=str(refusal))
        if before is not None and pin.address != before:
            self._tell("address_changed", host=name.host, before=before, now=pin.address)


def _literal(name: Name) -> tuple[str, ...] | None:
    """The address that a host already is; none of it where its family is another. None for a name."""
    try:
        address = ip_address(name.host)
    except ValueError:
        return None
    return (name.host,) if name.family in (None, address.version) else ()


def _literals(answer: Iterable[Any]) -> tuple[list[str], bool]:
    """The addresses of an answer, and whether there is none."""
    sound = [text for text in answer if _is_address(text)]
    return sound, not sound


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
