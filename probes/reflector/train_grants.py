"""Which train may run: well asked, within the hour's bytes of its source and of all, and the only one."""

import time
from collections import OrderedDict
from typing import Any, Final

from probes.reflector.limits import Bucket
from probes.reflector.train_session import LARGEST_CAR, RefusalError, Session, TrainLimits
from probes.wire.train_packet import LEAST_BYTES, MOST_PACKETS

_LEASE_NS: Final = 3_000_000_000
_BOUNDS: Final = {"train": (0, 2**32 - 1), "packets": (1, MOST_PACKETS), "size": (LEAST_BYTES, LARGEST_CAR)}


class Grants:
    """The bytes left, and the lease of who has the line now."""

    def __init__(self, limits: TrainLimits) -> None:
        self._limits = limits
        self._budgets: OrderedDict[str, Bucket] = OrderedDict()
        self._total = _hourly(limits.bytes_in_all_hour)
        self._lease: tuple[Session, int] | None = None

    def take(self, session: Session, command: dict[str, Any]) -> None:
        """Takes the bytes of a train and the lease; RefusalError where it may not run."""
        for name, (least, most) in _BOUNDS.items():
            value = command.get(name)
            if type(value) is not int or not least <= value <= most:
                raise RefusalError("malformed", f"{name} must be a whole number from {least} to {most}")
        now_ns = time.monotonic_ns()
        if self._lease and self._lease[0] is not session and self._lease[1] > now_ns:
            raise RefusalError("busy", "another train is under way; try again")
        budget = self._budgets.pop(session.source, None) or _hourly(self._limits.bytes_per_source_hour)
        self._budgets[session.source] = budget
        while len(self._budgets) > self._limits.sources:
            self._budgets.popitem(last=False)
        wanted = command["packets"] * command["size"]
        for own, whose in ((budget, "this source"), (self._total, "all sources together")):
            own.refill(now_ns)
            if own.tokens < wanted:
                raise RefusalError("over_budget", f"the hour's bytes of {whose} are used up")
        budget.tokens -= wanted
        self._total.tokens -= wanted
        self._lease = (session, now_ns + _LEASE_NS)

    def extend(self, session: Session, now_ns: int) -> None:
        """The session's train is still moving."""
        if self._lease and self._lease[0] is session:
            self._lease = (session, now_ns + _LEASE_NS)

    def give_back(self, session: Session) -> None:
        """The session has ended."""
        if self._lease and self._lease[0] is session:
            self._lease = None


def _hourly(size: int) -> Bucket:
    return Bucket(size / 3600, float(size), float(size), time.monotonic_ns(), time.monotonic_ns())
