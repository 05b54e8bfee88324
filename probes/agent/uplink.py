"""Takes records from the spool to the collector, in a thread of its own: measuring never waits for it.

A record leaves the spool when the collector has answered 200, and not before; until then it is sent again, which the
collector recognises. After a failure the next attempt comes later and later, at a random moment, and never before the
time that the collector asks for (RFC 9110, section 10.2.3). A record that the collector refuses is counted and let go,
so that it never holds up those behind it. Certificate, key and token are read anew for every connection.
"""

import email.utils
import http.client
import json
import random
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

from probes.record import Record
from probes.transport import AGENT_NAME, MEDIA_TYPE, PATH, encode
from probes.wire.keys import read_token

FIRST_PAUSE_S: Final = 1.0
LONGEST_PAUSE_S: Final = 300.0
_LONGEST_RETRY_AFTER_S: Final = 3600.0
_LONGEST_ANSWER: Final = 8 << 20
_SPLIT: Final = ("batch", "too_large")
"""Answers of a collector after which a smaller batch may go through."""


_STRANGE: Final = "200, but not the answer of a collector: is something between here and there?"


class Spool(Protocol):
    """What the uplink needs of `probes.agent.spool.Spool`."""

    def pending(self, limit: int = ...) -> Sequence[Record]:
        """The oldest records not yet acknowledged."""

    def acknowledge(self, records: Iterable[Record]) -> None:
        """Forgets records that the collector keeps."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Where to, and who we are. `authority`: PEM of the CA of the collector's certificate; None is the system's.

    Every `look_s` the spool is looked at; where it holds nothing for `heartbeat_s`, an empty batch says that the agent
    is alive. Raises ValueError for a URL or a name that cannot be.
    """

    url: str
    agent: str
    authority: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    token_file: Path | None = None
    batch_rows: int = 1000
    look_s: float = 5.0
    heartbeat_s: float = 60.0
    timeout_s: float = 30.0

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme != "https" or not parts.hostname:
            raise ValueError(f"{self.url} is no https://HOST[:PORT][/PATH]")
        if not AGENT_NAME.fullmatch(self.agent):
            raise ValueError(f"{self.agent!r} is no name of an agent: letters, digits, . _ -, at most 63")


@dataclass(frozen=True, slots=True)
class Counts:
    """Since the start: records by the collector's answer, requests that failed, and what the last failure was.

    `foreign` records were spooled under another agent's name, which this one may not send; they are let go.
    """

    accepted: int = 0
    replayed: int = 0
    refused: int = 0
    foreign: int = 0
    requests: int = 0
    failures: int = 0
    failing: str | None = None
    last_success_ns: int | None = None


class UplinkError(Exception):
    """A request that did not get the records through. `retry_after_s`: not before; `split`: try fewer records."""

    def __init__(self, message: str, *, retry_after_s: float = 0.0, split: bool = False) -> None:
        self.retry_after_s, self.split = retry_after_s, split
        super().__init__(message)


class Uplink:
    """The way to one collector. `tell(event, **facts)` hears of trouble and of its end."""

    def __init__(self, settings: Settings, spool: Spool, tell: Callable[..., None] = lambda *_, **__: None) -> None:
        self._settings, self._spool, self._tell = settings, spool, tell
        self._connection: http.client.HTTPSConnection | None = None
        self._headers: dict[str, str] = {}
        self._rows = settings.batch_rows
        self._failures = 0
        self._sent_at = -float("inf")
        self._counts = Counts()
        self._wake = threading.Event()
        self._ending = False
        self._thread = threading.Thread(target=self._work, name="uplink", daemon=True)

    @property
    def counts(self) -> Counts:
        """What it did so far."""
        return self._counts

    def start(self) -> None:
        """Begins to send."""
        self._thread.start()

    def close(self, drain_s: float = 5.0) -> None:
        """Sends what waits, if the collector answers, and ends; after `drain_s` it is left behind."""
        self._ending = True
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(drain_s)
        else:
            self._disconnect()

    def _work(self) -> None:
        pause_s = 0.0
        while True:
            self._wake.wait(pause_s)
            ending = self._ending  # before the spool is looked at: what it held when `close` was called is sent
            if ending and self._failures:
                break  # it did not answer a moment ago
            try:
                pause_s = self.send()
            except Exception as error:  # of the spool; records stay where they are
                pause_s = self._failed(UplinkError(f"{type(error).__name__}: {error}"))
            if ending:
                break
        self._disconnect()

    def send(self) -> float:
        """Sends what waits, batch by batch, until nothing does or a request fails; gives the seconds to pause."""
        while True:
            waiting = self._spool.pending(self._rows)
            more = len(waiting) >= self._rows
            records = self._own(waiting)
            if not records and time.monotonic() - self._sent_at < self._settings.heartbeat_s:
                return self._settings.look_s
            try:
                self._deliver(records)
            except UplinkError as error:
                if error.split and len(records) > 1:
                    self._rows = max(1, len(records) // 2)
                    continue
                if not (error.split and records):
                    return self._failed(error)
                self._let_go(records, str(error))
            self._rows = min(self._settings.batch_rows, self._rows * 2)
            if not more:
                return self._settings.look_s

    def _own(self, records: Sequence[Record]) -> Sequence[Record]:
        foreign = [record for record in records if record.agent != self._settings.agent]
        if not foreign:
            return records
        self._spool.acknowledge(foreign)
        self._counts = replace(self._counts, foreign=self._counts.foreign + len(foreign))
        self._tell("records_of_another_agent", records=len(foreign), agent=foreign[0].agent)
        return [record for record in records if record.agent == self._settings.agent]

    def _deliver(self, records: Sequence[Record]) -> None:
        answer = self._post(encode(records, self._settings.agent, self._settings.heartbeat_s))
        accepted, replayed, refused = _settled(answer, len(records))
        self._spool.acknowledge(records)
        self._sent_at = time.monotonic()
        if self._counts.failing is not None:
            self._tell("collector_answers_again", after_failures=self._failures)
        self._failures = 0
        counts = self._counts
        self._counts = replace(
            counts, accepted=counts.accepted + accepted, replayed=counts.replayed + replayed,
            refused=counts.refused + len(refused), requests=counts.requests + 1, failing=None,
            last_success_ns=time.time_ns(),
        )  # fmt: skip
        if refused:
            self._tell("records_refused", records=len(refused), first=refused[0])

    def _let_go(self, records: Sequence[Record], why: str) -> None:
        """A record that no batch gets through with."""
        self._spool.acknowledge(records)
        self._counts = replace(self._counts, refused=self._counts.refused + len(records))
        self._tell("records_refused", records=len(records), first=why)

    def _failed(self, error: UplinkError) -> float:
        """Counts a failure; gives the seconds until the next attempt."""
        message = str(error)
        if self._counts.failing != message:
            self._tell("collector_fails", why=message)
        self._counts = replace(self._counts, failures=self._counts.failures + 1, failing=message)
        pause_s = pause(self._failures, error.retry_after_s, random.random())
        self._failures += 1
        return pause_s

    def _post(self, body: bytes) -> dict[str, Any]:
        """The collector's answer to a body; raises UplinkError for everything else."""
        for again in (True, False):
            kept = self._connection is not None
            try:
                return self._exchange(body)
            except (OSError, http.client.HTTPException) as error:
                self._disconnect()
                if kept and again and not isinstance(error, TimeoutError):
                    continue  # the collector closed a connection that stood idle; that is no failure yet
                raise UplinkError(f"{type(error).__name__}: {error}") from error
            except BaseException:
                self._disconnect()
                raise
        raise AssertionError("unreachable")

    def _exchange(self, body: bytes) -> dict[str, Any]:
        connection = self._connection or self._connect()
        self._connection = connection
        path = urlsplit(self._settings.url).path.rstrip("/") + PATH
        connection.request("POST", path, body, self._headers)
        response = connection.getresponse()
        text = response.read(_LONGEST_ANSWER)
        answer = _object(text)
        if response.status == HTTPStatus.OK and answer is not None:
            return answer
        self._disconnect()
        code = answer.get("error") if answer else None
        shown = f"{response.status} {response.reason}: {(answer or {}).get('message', text[:200])}"
        raise UplinkError(
            shown, retry_after_s=retry_after(response.getheader("Retry-After"), time.time()), split=code in _SPLIT
        )

    def _connect(self) -> http.client.HTTPSConnection:
        settings = self._settings
        context = ssl.create_default_context(cafile=settings.authority)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if settings.certificate is not None:
            context.load_cert_chain(settings.certificate, settings.key)
        self._headers = {"Content-Type": MEDIA_TYPE}
        if settings.token_file is not None:
            self._headers["Authorization"] = f"Bearer {read_token(settings.token_file)}"
        parts = urlsplit(settings.url)
        return http.client.HTTPSConnection(
            parts.hostname or "", parts.port or 443, timeout=settings.timeout_s, context=context
        )

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def pause(failures: int, retry_after_s: float, chance: float) -> float:
    """Seconds to wait after so many failures in a row; `chance` in [0, 1) spreads the agents.

    The longest pause doubles with each failure up to LONGEST_PAUSE_S, the pause itself is anywhere in its upper half,
    and after the time that the collector asked for by up to a quarter of that.
    """
    longest_s = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * float(1 << min(failures, 30)))
    return max(longest_s * (0.5 + chance / 2), retry_after_s * (1 + chance / 4))


def retry_after(text: str | None, now_s: float) -> float:
    """Seconds that a Retry-After header asks for, as a number or a date; 0 where it does not or makes no sense."""
    if text is None:
        return 0.0
    if text.strip().isdecimal():
        seconds = float(text[:10])
    else:
        try:
            seconds = email.utils.parsedate_to_datetime(text).timestamp() - now_s
        except (ValueError, OverflowError):
            return 0.0
    return min(max(seconds, 0.0), _LONGEST_RETRY_AFTER_S)


def _object(text: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _settled(answer: dict[str, Any], rows: int) -> tuple[int, int, list[Any]]:
    """(accepted, replayed, refused) of an answer; UplinkError where it does not account for every row sent."""
    accepted, replayed, refused = answer.get("accepted"), answer.get("replayed"), answer.get("refused")
    if type(accepted) is not int or type(replayed) is not int or type(refused) is not list:
        raise UplinkError(_STRANGE)
    if min(accepted, replayed) < 0 or accepted + replayed + len(refused) != rows:
        raise UplinkError(_STRANGE)
    return accepted, replayed, refused
