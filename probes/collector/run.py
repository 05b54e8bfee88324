"""A collector's life: one lock, one loop; SIGHUP renews certificates and tokens, SIGTERM drains and ends."""

import asyncio
import fcntl
import os
import signal
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import structlog
from aiohttp import web

from probes.collector.certificates import expiry
from probes.collector.config import Config, ledger_path, load
from probes.collector.counters import Counters
from probes.collector.identity import Gate, TokenFile, load_tokens
from probes.collector.ingest import Ingest
from probes.collector.ledger import Ledger
from probes.collector.server import HttpsServer, server_context
from probes.collector.status import STATES, agent_states
from probes.collector.writer import Writer
from probes.document import DocumentError
from probes.reading import BadRecord

_LOG: Final = structlog.get_logger("nearserve.collector")
_DRAIN_S: Final = 20.0
_EXPIRY_WARNING_S: Final = 7 * 86_400


class LockedError(RuntimeError):
    """Another collector works on the same folder."""


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """The folder for one collector; the lock ends with the process, however that ends. Raises LockedError."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "lock"
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read().strip()
            raise LockedError(f"{folder} is in use by another collector (process {holder})") from None
        file.seek(0)
        file.truncate()
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield


def run(path: Path, ready: Callable[[str, int], None] = lambda _address, _port: None) -> None:
    """Serves until SIGTERM or SIGINT; `ready` is told where. `path` is the TOML file, read again on SIGHUP.

    Raises DocumentError when the configuration is bad, LockedError when another collector runs, ledger.LedgerError
    when the ledger is damaged, OSError when the address cannot be had.
    """
    config = load(path)
    gate, context, tokens = credentials(config, str(path))
    with locked(ledger_path(config).parent):
        ledger = Ledger(ledger_path(config))
        try:
            asyncio.run(_Collector(path, config, ledger, tokens).serve(gate, context, ready))
        finally:
            ledger.close()


def credentials(config: Config, file: str) -> tuple[Gate, ssl.SSLContext, TokenFile]:
    """What is needed to tell friend from foe; raises DocumentError for any file that cannot be used."""
    asked = config.authentication
    tokens = load_tokens(asked.tokens if asked.require != "certificate" else None)
    client_ca = asked.client_ca if asked.require != "token" else None
    required = asked.require in ("certificate", "both")
    try:
        context = server_context(config.server.certificate, config.server.key, client_ca, required=required)
    except (OSError, ssl.SSLError) as error:
        mend = "name readable PEM files: certificate and key that belong together, and the agents' CA"
        where = f"{config.server.certificate}, {config.server.key}, {client_ca}"
        raise DocumentError([BadRecord(file, 0, "server", where, str(error), mend)]) from error
    return Gate(asked, tokens), context, tokens


class _Collector:
    def __init__(self, path: Path, config: Config, ledger: Ledger, tokens: TokenFile) -> None:
        self._path, self._config, self._ledger, self._tokens = path, config, ledger, tokens
        self._counters = Counters()
        for gauge, place in ((self._counters.inbox_rows, 0), (self._counters.inbox_bytes, 1)):
            gauge.set_function(lambda place=place: ledger.waiting()[place])  # type: ignore[misc]

    async def serve(self, gate: Gate, context: ssl.SSLContext, ready: Callable[[str, int], None]) -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(self._unhandled)
        end = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, end.set)
        config = self._config
        writer = Writer(self._ledger, config.store, self._counters)
        ingest = Ingest(self._ledger, config.limits, self._counters, Path(config.store.folder), writer.press)
        server = HttpsServer(ingest, config.limits, self._counters, gate, context)
        loop.add_signal_handler(signal.SIGHUP, self._renew, server)
        try:
            port = server.start(config.server.address, config.server.port)
            self._watch_certificate()
            metrics = await self._serve_metrics()
            telling = loop.create_task(self._tell())
            _LOG.info("ready", address=config.server.address, port=port, folder=config.store.folder)
            ready(config.server.address, port)
            await end.wait()
            _LOG.info("ending")
            telling.cancel()
            if metrics is not None:
                await metrics.cleanup()
        finally:
            await server.close(_DRAIN_S)
            await asyncio.to_thread(ingest.close)
            await asyncio.to_thread(writer.close)
        self._write_textfile()

    def _renew(self, server: HttpsServer) -> None:
        """SIGHUP: certificates, tokens and who is expected, from the files; the old ones stay where the new are bad."""
        try:
            config = load(self._path)
            gate, context, self._tokens = credentials(config, str(self._path))
        except DocumentError as error:
            self._counters.failed("renew", error)
            return
        server.renew(gate, context)
        self._config = self._config.model_copy(update={"agents": config.agents, "server": config.server})
        self._watch_certificate()
        _LOG.info("renewed")

    def _watch_certificate(self) -> None:
        ends = expiry(self._config.server.certificate)
        self._counters.certificate.set(ends.timestamp())
        if ends.timestamp() - time.time() < _EXPIRY_WARNING_S:
            _LOG.warning("certificate ends soon", file=self._config.server.certificate, ends=str(ends))

    def _unhandled(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception") or RuntimeError(context["message"])
        self._counters.failed("loop", error, what=context["message"])

    async def _serve_metrics(self) -> web.AppRunner | None:
        metrics = self._config.metrics
        if metrics.port is None:
            return None

        async def text(_request: web.Request) -> web.Response:
            await asyncio.to_thread(self._measure)
            return web.Response(body=self._counters.text(), headers={"Content-Type": "text/plain; version=0.0.4"})

        app = web.Application()
        app.router.add_get("/metrics", text)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, metrics.address, metrics.port).start()
        return runner

    async def _tell(self) -> None:
        while True:
            await asyncio.to_thread(self._write_textfile)
            await asyncio.sleep(self._config.metrics.every_s)

    def _write_textfile(self) -> None:
        if self._config.metrics.textfile is None:
            return
        try:
            self._measure()
            self._counters.write(Path(self._config.metrics.textfile))
        except OSError as error:
            self._counters.failed("textfile", error)

    def _measure(self) -> None:
        """The gauges that are told of agents."""
        for agent in agent_states(self._ledger.agents(), self._config.agents, self._tokens, time.time_ns()):
            if agent.last_seen_ns is not None:
                self._counters.last_seen.labels(agent.name).set(agent.last_seen_ns / 1e9)
            for state in STATES:
                self._counters.agent_state.labels(agent.name, state).set(agent.state == state)
