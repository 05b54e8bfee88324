"""Token buckets: how much an agent may send in all, and to one address, over all methods together."""

from typing import Final

_FULL_AGAIN: Final = 10_000


class Bucket:
    """Fills at `per_s` up to `burst`; times are seconds of one monotonic clock.

    What is known only afterwards (the bytes of a bandwidth test) is charged then, into debt where need be; nothing
    more is let through until the debt is paid.
    """

    __slots__ = ("_at_s", "_level", "burst", "per_s")

    def __init__(self, per_s: float, burst: float, now_s: float) -> None:
        self.per_s, self.burst = per_s, burst
        self._level, self._at_s = burst, now_s

    def level(self, now_s: float) -> float:
        """What may be taken now; negative where there is debt."""
        if now_s > self._at_s:
            self._level = min(self.burst, self._level + (now_s - self._at_s) * self.per_s)
            self._at_s = now_s
        return self._level

    def take(self, amount: float, now_s: float) -> bool:
        """Takes it, if it is there; a demand above the burst is let through when the bucket is full."""
        if self.level(now_s) < min(amount, self.burst):
            return False
        self._level -= amount
        return True

    def charge(self, amount: float, now_s: float) -> None:
        """Takes what was used already."""
        self.level(now_s)
        self._level -= amount


class Buckets:
    """A bucket for each address, made when it is first asked for and forgotten when it is full again."""

    def __init__(self, per_s: float, burst: float) -> None:
        self._per_s, self._burst = per_s, burst
        self._of: dict[str, Bucket] = {}
        self._look_at = _FULL_AGAIN

    def of(self, address: str, now_s: float) -> Bucket:
        """The bucket of an address."""
        bucket = self._of.get(address)
        if bucket is None:
            if len(self._of) >= self._look_at:
                self._of = {a: b for a, b in self._of.items() if b.level(now_s) < b.burst}
                self._look_at = max(_FULL_AGAIN, 2 * len(self._of))  # not all of them again with the next address
            bucket = self._of[address] = Bucket(self._per_s, self._burst, now_s)
        return bucket
