"""Names to addresses in threads of our own: a resolver that hangs costs a thread and a timeout, never the agent."""

import queue
import socket
import threading
import time
from collections.abc import Callable
from typing import Final, NamedTuple

Resolver = Callable[[str, int | None], list[str]]
"""(host, family or None) to addresses as IP literals, in order of preference; raises OSError, UnicodeError."""
WORKERS: Final = 8
MOST_WORKERS: Final = 32
_FAMILY: Final = {4: socket.AF_INET, 6: socket.AF_INET6, None: socket.AF_UNSPEC}


class Name(NamedTuple):
    """What is asked for: a host, at addresses of one family or of either."""

    host: str
    family: int | None


class Answer(NamedTuple):
    """What came: addresses, or none and why."""

    name: Name
    addresses: tuple[str, ...]
    error: str | None


def system_resolver(host: str, family: int | None) -> list[str]:
    """What the machine's own resolver says (getaddrinfo)."""
    found = socket.getaddrinfo(host, None, _FAMILY[family], socket.SOCK_DGRAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class Lookups:
    """Lookups under way. `ask` starts one, `collect` gives what has come or has run out of time.

    The threads are daemons: one that hangs in the resolver does not hold the process back at its end.
    """

    def __init__(self, resolver: Resolver, timeout_s: float, now: Callable[[], float] = time.monotonic) -> None:
        self._resolver, self._timeout_s, self._now = resolver, timeout_s, now
        self._todo: queue.SimpleQueue[Name] = queue.SimpleQueue()
        self._done: queue.SimpleQueue[Answer] = queue.SimpleQueue()
        self._asked_s: dict[Name, float] = {}
        self._began_s: dict[Name, float] = {}
        self._threads = self._hung = 0

    def ask(self, name: Name) -> None:
        """Starts a lookup, unless that name is being looked up."""
        if name in self._asked_s:
            return
        self._asked_s[name] = self._now()
        self._todo.put(name)
        self._hire()

    def collect(self) -> list[Answer]:
        """Answers that came since, in no order."""
        answers = []
        while not self._done.empty():
            answer = self._done.get()
            began = self._began_s.pop(answer.name, None)
            if began is None:
                self._hung -= 1  # it was given up, and came back
            elif self._asked_s.pop(answer.name, None) is not None:
                answers.append(answer)
        return answers + [self._given_up(name) for name in self._overdue()]

    def wait(self, seconds: float) -> list[Answer]:
        """Answers until none is under way or the time is over."""
        answers = self.collect()
        until = time.monotonic() + seconds
        while self._asked_s and time.monotonic() < until:
            time.sleep(0.005)
            answers += self.collect()
        return answers

    def _overdue(self) -> list[Name]:
        now = self._now()
        began = self._began_s.copy()
        return [
            name
            for name, asked in self._asked_s.items()
            if now - began.get(name, now) > self._timeout_s or (name not in began and self._starved(now - asked))
        ]

    def _starved(self, waited_s: float) -> bool:
        """Whether it waits behind threads that all hang."""
        return self._hung >= MOST_WORKERS and waited_s > self._timeout_s

    def _given_up(self, name: Name) -> Answer:
        del self._asked_s[name]
        if self._began_s.pop(name, None) is not None:
            self._hung += 1
            self._hire()
        return Answer(name, (), f"the resolver did not answer within {self._timeout_s:g} s")

    def _hire(self) -> None:
        """One more thread, while fewer than `WORKERS` are of use."""
        if self._threads - self._hung < WORKERS and self._threads < MOST_WORKERS + WORKERS:
            self._threads += 1
            threading.Thread(target=self._work, name="lookup", daemon=True).start()

    def _work(self) -> None:
        while True:
            name = self._todo.get()
            if name not in self._asked_s:
                continue  # given up before it began
            self._began_s[name] = self._now()
            self._done.put(self._looked_up(name))

    def _looked_up(self, name: Name) -> Answer:
        try:
            addresses = tuple(self._resolver(*name))
        except (OSError, UnicodeError) as error:
            return Answer(name, (), getattr(error, "strerror", None) or str(error) or type(error).__name__)
        return Answer(name, addresses, None if addresses else "no address")
