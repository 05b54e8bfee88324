"""Giving up root: open what needs it, become another user, keep at most CAP_NET_RAW, and prove it.

Where the kernel allows datagram ICMP to the user's groups (net.ipv4.ping_group_range) not even that is kept. All is
done before the first thread starts, since capabilities belong to threads; `verify` reads every thread from /proc.
"""

import contextlib
import ctypes
import grp
import os
import pwd
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Final

CAP_NET_RAW: Final = 13
_PR_SET_KEEPCAPS: Final = 8
_PR_CAPBSET_DROP: Final = 24
_PR_SET_NO_NEW_PRIVS: Final = 38
_PR_CAP_AMBIENT: Final = 47
_PR_CAP_AMBIENT_CLEAR_ALL: Final = 4
_CAPABILITY_VERSION_3: Final = 0x20080522
_PING_GROUPS: Final = Path("/proc/sys/net/ipv4/ping_group_range")
_TASKS: Final = Path("/proc/self/task")
_UID_MAP: Final = Path("/proc/self/uid_map")
_SETUID_SETGID: Final = 1 << 7 | 1 << 6


class PrivilegeError(RuntimeError):
    """Privileges could not be given up, or not all of them; the program must not run."""


@dataclass(frozen=True, slots=True)
class User:
    """Whom an agent or a reflector becomes."""

    name: str
    uid: int
    gid: int
    groups: tuple[int, ...]


def find_user(name: str) -> User:
    """The user of that name and its groups; raises PrivilegeError where there is none, or where it is root."""
    try:
        entry = pwd.getpwnam(name)
    except KeyError as error:
        raise PrivilegeError(f"user {name!r} is not known here; create it (useradd --system {name})") from error
    if entry.pw_uid == 0:
        raise PrivilegeError(f"user {name!r} is root; name one without privileges")
    groups = {group.gr_gid for group in grp.getgrall() if name in group.gr_mem} | {entry.pw_gid}
    return User(name, entry.pw_uid, entry.pw_gid, tuple(sorted(groups)))


def can_become_another() -> bool:
    """Whether this process is root and can become another user.

    Not so where its user namespace has nobody else (a lab without root), nor in a container that took CAP_SETUID or
    CAP_SETGID: there root stays who it is, and `shed` takes what else it may do.
    """
    if os.geteuid() != 0:
        return False
    users = sum(int(line.split()[2]) for line in _UID_MAP.read_text().splitlines())
    held = int(_status(_TASKS / str(os.getpid()))["CapEff"], 16)
    return users > 1 and held & _SETUID_SETGID == _SETUID_SETGID


def datagram_icmp_allowed(groups: tuple[int, ...]) -> bool:
    """Whether members of these groups may open datagram ICMP sockets."""
    try:
        low, high = map(int, _PING_GROUPS.read_text().split())
    except (OSError, ValueError):
        return False
    return any(low <= group <= high for group in groups)


def drop(user: User, keep_net_raw: bool) -> None:
    """Becomes `user` for good, with CAP_NET_RAW or with nothing; raises PrivilegeError unless it is proven so.

    Call it as root, with a single thread.
    """
    try:
        _prctl(_PR_SET_KEEPCAPS, 1)
        with contextlib.suppress(OSError):  # kernels without ambient capabilities have none to clear
            _prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL)
        for capability in range(_last_capability() + 1):
            if not (keep_net_raw and capability == CAP_NET_RAW):
                _prctl(_PR_CAPBSET_DROP, capability)
        os.setgroups(user.groups)
        os.setresgid(user.gid, user.gid, user.gid)
        os.setresuid(user.uid, user.uid, user.uid)
        _capset(_mask(keep_net_raw))
        _prctl(_PR_SET_KEEPCAPS, 0)
        _prctl(_PR_SET_NO_NEW_PRIVS, 1)
    except OSError as error:
        raise PrivilegeError(f"root could not be given up: {error}; start it as {user.name}") from error
    verify(user, keep_net_raw)


def verify(user: User, keep_net_raw: bool) -> None:
    """Raises PrivilegeError unless every thread is `user`, cannot gain anything, and holds no capability too many."""
    _check(user, _mask(keep_net_raw), bounded=True)


def _check(user: User, wanted: int, bounded: bool) -> None:
    wrong = [finding for task in sorted(_TASKS.iterdir()) for finding in _too_much(task, user, wanted, bounded)]
    if user.uid != 0:
        with contextlib.suppress(OSError):
            os.setresuid(0, 0, 0)
            wrong.append("root can be taken back")
    if wrong:
        raise PrivilegeError("privileges remain, it does not run: " + "; ".join(wrong))


def _too_much(task: Path, user: User, wanted: int, bounded: bool) -> list[str]:
    status = _status(task)
    wrong = []
    if {*status["Uid"].split()} != {str(user.uid)}:
        wrong.append(f"thread {task.name} has uids {status['Uid'].split()}")
    if {*status["Gid"].split()} != {str(user.gid)}:
        wrong.append(f"thread {task.name} has gids {status['Gid'].split()}")
    if {*map(int, status["Groups"].split())} - {*user.groups}:
        wrong.append(f"thread {task.name} has groups {status['Groups'].split()}")
    wrong += [
        f"thread {task.name} has {name} {status[name].strip()}"
        for name in ("CapInh", "CapPrm", "CapEff", "CapAmb", *(("CapBnd",) if bounded else ()))
        if int(status.get(name, "0"), 16) & ~wanted
    ]
    if status.get("NoNewPrivs", "1").strip() != "1":
        wrong.append(f"thread {task.name} may gain privileges")
    return wrong


def shed(keep_net_raw: bool) -> None:
    """For a process that cannot become another user: no capability but CAP_NET_RAW, where it is needed and there."""
    held = int(_status(_TASKS / str(os.getpid()))["CapPrm"], 16)
    user = User("", os.getuid(), os.getgid(), tuple(os.getgroups()))
    try:
        with contextlib.suppress(OSError):
            _prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL)
        _capset(held & _mask(keep_net_raw))
        _prctl(_PR_SET_NO_NEW_PRIVS, 1)
    except OSError as error:
        raise PrivilegeError(f"capabilities could not be given up: {error}") from error
    _check(user, _mask(keep_net_raw), bounded=False)


def _status(task: Path) -> dict[str, str]:
    return dict(line.split(":", 1) for line in (task / "status").read_text().splitlines() if ":" in line)


def _mask(keep_net_raw: bool) -> int:
    return 1 << CAP_NET_RAW if keep_net_raw else 0


def own_folder(folder: Path, user: User | None) -> None:
    """Makes a folder for the files of `user`, or of this process; one that stands is left as it is."""
    if not folder.exists():
        folder.mkdir(mode=0o750)
        if user is not None:
            os.chown(folder, user.uid, user.gid, follow_symlinks=False)


def may_echo() -> bool:
    """Whether this process can open an ICMP socket of either kind, datagram or raw."""
    for kind in (socket.SOCK_DGRAM, socket.SOCK_RAW):
        try:
            socket.socket(socket.AF_INET, kind, socket.IPPROTO_ICMP).close()
        except OSError:
            continue
        return True
    return False


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Data(ctypes.Structure):
    _fields_ = (("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32))


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _prctl(option: int, argument: int) -> None:
    nothing = ctypes.c_ulong(0)
    if _libc().prctl(option, ctypes.c_ulong(argument), nothing, nothing, nothing) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def _capset(mask: int) -> None:
    """Effective and permitted become `mask` (of the lower 32 capabilities), inheritable nothing."""
    header = _Header(_CAPABILITY_VERSION_3, 0)
    data = (_Data * 2)(_Data(mask, mask, 0), _Data(0, 0, 0))
    if _libc().capset(ctypes.byref(header), data) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def _last_capability() -> int:
    return int(Path("/proc/sys/kernel/cap_last_cap").read_text())
