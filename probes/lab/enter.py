"""Enters a namespace of the lab and becomes a program there.

Run as a file (`python -I -S enter.py USER_FD NET_FD -- PROGRAM...`): between fork and exec of a process with threads
no Python may run, so this stands between them. Standard library only.
"""

import ctypes
import os
import sys

NEW_USER, NEW_NET = 0x10000000, 0x40000000


def system(name: str, *arguments: object) -> None:
    """One call of the C library that gives 0, or raises OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    if getattr(libc, name)(*arguments) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{name}: {os.strerror(code)}")


def enter(user_fd: int, net_fd: int) -> None:
    """Join the namespaces; user_fd is -1 where the lab has none for users."""
    if user_fd >= 0:
        system("setns", user_fd, NEW_USER)
    system("setns", net_fd, NEW_NET)


def main(argv: list[str]) -> None:
    """Enter, close the way in, become the program; exits with 127 where it cannot start, as a shell does."""
    user_fd, net_fd, _, *program = argv
    enter(int(user_fd), int(net_fd))
    for fd in {int(user_fd), int(net_fd)} - {-1}:
        os.close(fd)
    try:
        os.execvp(program[0], program)
    except OSError as error:
        print(f"{program[0]}: {error.strerror}", file=sys.stderr)
        sys.exit(127)


if __name__ == "__main__":
    main(sys.argv[1:])
