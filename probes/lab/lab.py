"""The lab as its user sees it: made with `with`, gone afterwards."""

import os
import pickle
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn, TypeVar

from probes.lab import control, enter, namespaces
from probes.lab.network import Host, LabError, Link, Network, Pop
from probes.lab.truth import Truth

Result = TypeVar("Result")
PATIENCE_S = 2.0
ENDED = "the emulator has ended; its own message is on stderr"


class Lab:
    """Hosts and PoPs, each reachable from each other over their links.

    `links` by pair of names, in either order; a pair's link comes before the PoP's own, that before `default`.
    `seed` decides every loss and every jitter, by path. `offload`: TCP packets travel merged, up to ten at once, as
    with TSO and GRO: bulk transfers at 1 Gbit/s want that; without, every packet travels alone, and is lost or dropped
    alone. Raises LabError where the system lets no lab be made, ValueError for places that cannot be.
    """

    def __init__(
        self,
        hosts: Iterable[Host],
        pops: Iterable[Pop] = (),
        links: Mapping[tuple[str, str], Link] | None = None,
        *,
        default: Link | None = None,
        seed: int = 0,
        offload: bool = False,
    ) -> None:
        self._prepare(Network(tuple(hosts), tuple(pops), dict(links or {}), default or Link(), seed, offload))

    @classmethod
    def of(cls, network: Network) -> "Lab":
        """The lab of a network that was read or drawn."""
        lab = cls.__new__(cls)
        lab._prepare(network)
        return lab

    def _prepare(self, network: Network) -> None:
        self.network = network
        self._places = {place.name: number for number, place in enumerate(self.network.hosts)}
        self._places.update({pop.name: len(self.network.hosts) for pop in self.network.pops})
        self._control: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._fds: list[int] = []
        self._user_fd = -1
        self._programs: list[subprocess.Popen[Any]] = []
        self._one_at_a_time = threading.Lock()

    def __enter__(self) -> "Lab":
        ours, theirs = socket.socketpair()
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path or str(Path.cwd()) for path in sys.path)}
        self._control = ours
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "probes.lab.emulator", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                env=environment,
                start_new_session=True,  # Ctrl-C is for the programs; this one ends with the lab
            )
        try:
            control.send(ours, self.network)
            in_user_namespace = _answer(control.receive(ours))
            _, self._fds, _, _ = socket.recv_fds(ours, 1, len(self.network.hosts) + 2)
        except ConnectionError as error:
            self.close()
            raise LabError(ENDED) from error
        except BaseException:
            self.close()
            raise
        if in_user_namespace:
            self._user_fd = self._fds.pop()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def as_root(self) -> bool:
        """Whether the lab stands on root's rights, and not on a user namespace."""
        return self._user_fd < 0

    def run(self, place: str, argv: Sequence[str], **popen: Any) -> "subprocess.Popen[Any]":
        """Start a program in the namespace of a host, or in that of the PoPs; ended with the lab at the latest."""
        net_fd = self._net_fd(place)
        way_in = [sys.executable, "-I", "-S", enter.__file__, str(self._user_fd), str(net_fd), "--", *argv]
        fds = [net_fd] if self.as_root else [net_fd, self._user_fd]
        program = subprocess.Popen(way_in, pass_fds=(*popen.pop("pass_fds", ()), *fds), **popen)
        self._programs.append(program)
        return program

    def call(self, place: str, function: Callable[..., Result], *arguments: Any) -> Result:
        """The result of a function that runs in a copy of this process, within a place; its errors are raised here.

        What it gives must be able to be pickled. For tests: a program with threads had better use `run`.
        """
        net_fd = self._net_fd(place)
        sys.stdout.flush(), sys.stderr.flush()
        read, write = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(read)
            if self._control:
                self._control.close()  # whoever holds it keeps the lab alive
            _tell(write, self._user_fd, net_fd, lambda: function(*arguments))
        os.close(write)
        with os.fdopen(read, "rb") as pipe:
            data = pipe.read()
        os.waitpid(pid, 0)
        if not data:
            raise LabError(f"{function.__name__} in {place} ended without a result")
        fine, value = pickle.loads(data)
        if not fine:
            raise value
        return value  # type: ignore[no-any-return]

    def open_socket(self, place: str, family: int, kind: int, protocol: int = 0) -> socket.socket:
        """A socket that stays in a place while this process binds it, sends and reads."""
        ours, theirs = socket.socketpair()
        with ours, theirs:
            self.call(place, _open_and_pass, theirs, family, kind, protocol)
            _, fds, _, _ = socket.recv_fds(ours, 1, 1)
        return socket.socket(fileno=fds[0])

    def set_link(self, first: str, second: str, link: Link) -> None:
        """From now on another link between two places; packets on their way arrive as they were to."""
        self._net_fd(first), self._net_fd(second)
        self._ask("link", first, second, link)

    def down(self, place: str) -> None:
        """Nothing comes or goes at a place, as if its cable was cut behind the first switch."""
        self._net_fd(place)
        self._ask("down", place, True)

    def up(self, place: str) -> None:
        """The cable is whole again."""
        self._net_fd(place)
        self._ask("down", place, False)

    def link(self, first: str, second: str) -> Link:
        """What the lab was made with, from the first place to the second; `set_link` and `down` do not show here."""
        return self.network.link(first, second)

    def truth(self) -> Truth:
        """What the emulator did until now."""
        truth: Truth = self._ask("truth")
        return truth

    def close(self) -> None:
        """End the programs, then the namespaces; what a program left running in there is killed."""
        for program in self._programs:
            with suppress(ProcessLookupError):
                program.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + PATIENCE_S
        for program in self._programs:
            try:
                program.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                program.kill()
                program.wait()
        self._programs.clear()
        if self._control:
            self._control.close()
            self._control = None
        if self._process:
            self._process.wait()
            self._process = None
        if self._fds:
            namespaces.empty(self._fds)  # again, should the emulator have been killed
        for fd in (*self._fds, self._user_fd):
            if fd >= 0:
                os.close(fd)
        self._fds, self._user_fd = [], -1

    def _net_fd(self, place: str) -> int:
        if not self._fds:
            raise LabError("the lab is not there: use it within its with")
        if place not in self._places:
            raise LabError(f"there is no place {place!r} in the lab; hosts: {', '.join(self._names())}")
        return self._fds[self._places[place]]

    def _names(self) -> list[str]:
        return [host.name for host in self.network.hosts]

    def _ask(self, *message: Any) -> Any:
        if self._control is None:
            raise LabError("the lab is not there: use it within its with")
        try:
            with self._one_at_a_time:
                control.send(self._control, message)
                return control.receive(self._control)
        except ConnectionError as error:
            raise LabError(ENDED) from error


def _tell(fd: int, user_fd: int, net_fd: int, work: Callable[[], Any]) -> NoReturn:
    """Do the work of a forked process, write what came of it, and end without what the parent does at its end."""
    try:
        try:
            enter.enter(user_fd, net_fd)
            outcome: tuple[bool, Any] = True, work()
            data = pickle.dumps(outcome)
        except BaseException as error:
            data = pickle.dumps((False, error))
        sys.stdout.flush(), sys.stderr.flush()
        with os.fdopen(fd, "wb") as pipe:
            pipe.write(data)
    finally:
        os._exit(0)


def _open_and_pass(way: socket.socket, family: int, kind: int, protocol: int) -> None:
    with socket.socket(family, kind, protocol) as made:
        socket.send_fds(way, [b"!"], [made.fileno()])


def _answer(answer: bool | str) -> bool:
    """Whether the lab stands in a user namespace; or LabError with what the emulator has to say."""
    if isinstance(answer, str):
        raise LabError(answer)
    return answer
