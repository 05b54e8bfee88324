"""HTTPS: accepts connections within limits, tells who sends, reads bodies, and hands them to `Ingest`.

aiohttp speaks HTTP. Connections are accepted here and not by asyncio's own server, so that those who never finish a
handshake are limited and counted like the others, and so that a new certificate serves the next connection.
"""

import asyncio
import errno
import json
import logging
import socket
import ssl
from collections import Counter
from dataclasses import dataclass
from typing import Any, Final

from aiohttp import web
from aiohttp.abc import AbstractAccessLogger
from aiohttp.web_protocol import RequestHandler

from probes.collector.config import Limits
from probes.collector.counters import Counters
from probes.collector.identity import Gate, Refused
from probes.collector.ingest import Answer, Ingest, refusal
from probes.transport import MEDIA_TYPE, PATH
from probes.wire.address import one_host

_WATCH_S: Final = 0.5
_SILENT: Final = logging.getLogger("nearserve.collector.http")
_SILENT.disabled = True
_BACKLOG: Final = 256
_SHORT_OF: Final = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_REFUSED_STATUS: Final = {"denied": 403, "mismatch": 403}


@dataclass
class _Peer:
    """A connection: where from, since when it has been idle (loop time), whether a request is being answered."""

    address: str
    idle_since: float
    busy: bool = False


class HttpsServer:
    """The server of one collector, in a running event loop."""

    def __init__(self, ingest: Ingest, limits: Limits, counters: Counters, gate: Gate, context: ssl.SSLContext) -> None:
        self._gate, self._context = gate, context
        self._ingest, self._limits, self._counters = ingest, limits, counters
        self._peers: dict[RequestHandler, _Peer] = {}
        self._shaking: Counter[str] = Counter()  # connections before the end of their handshake, by address
        self._tasks: set[asyncio.Task[None]] = set()
        self._socket: socket.socket | None = None
        self._reading = 0  # bytes of bodies that have not come to their end
        self._http = web.Server(
            self._answer,
            logger=_SILENT,  # it would tell every line of garbage; they are counted
            access_log_class=_status_counter(counters),
            keepalive_timeout=2 * limits.idle_s + 10,  # `_watch` comes first, and counts
            max_line_size=limits.header_bytes,
            max_field_size=limits.header_bytes,
            max_headers=limits.headers,
            lingering_time=1.0,
            auto_decompress=False,
        )

    def start(self, address: str, port: int) -> int:
        """Listens; gives the port. Raises OSError when the address is not there or taken."""
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        dual = family == socket.AF_INET6 and address == "::"
        self._socket = socket.create_server(
            (address, port), family=family, backlog=_BACKLOG, dualstack_ipv6=dual and socket.has_dualstack_ipv6()
        )
        self._socket.setblocking(False)
        self._spawn(self._accept(self._socket))
        self._spawn(self._watch())
        return int(self._socket.getsockname()[1])

    async def close(self, drain_s: float) -> None:
        """Accepts nobody any more, lets requests end for so long, then closes every connection."""
        for task in list(self._tasks):
            task.cancel()
        if self._socket is not None:
            self._socket.close()
        self._http.pre_shutdown()
        await self._http.shutdown(drain_s)

    def renew(self, gate: Gate, context: ssl.SSLContext) -> None:
        """From now on these certificates and tokens; whoever is connected must show theirs anew."""
        self._gate, self._context = gate, context
        self._http.pre_shutdown()

    def _spawn(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _accept(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, peer = await loop.sock_accept(listening)
            except OSError as error:
                self._counters.failed("accept_connection", error)
                if error.errno in _SHORT_OF:  # those who hold them must first go
                    await asyncio.sleep(_WATCH_S)
                continue
            source = one_host(peer[0])
            reason = self._no_room(source)
            if reason is None:
                self._shaking[source] += 1
                self._spawn(self._shake(connection, source))
            else:
                self._counters.refuse(reason, address=source)
                connection.close()

    def _no_room(self, address: str) -> str | None:
        if len(self._peers) + self._shaking.total() >= self._limits.connections:
            return "connections"
        here = self._shaking[address] + sum(peer.address == address for peer in self._peers.values())
        return "connections_per_address" if here >= self._limits.connections_per_address else None

    async def _shake(self, connection: socket.socket, address: str) -> None:
        """TLS, or a counted refusal."""
        loop = asyncio.get_running_loop()
        context = self._context
        try:
            _, handler = await loop.connect_accepted_socket(
                self._http, connection, ssl=context, ssl_handshake_timeout=self._limits.handshake_s,
                ssl_shutdown_timeout=2.0,
            )  # fmt: skip
        except ssl.SSLCertVerificationError as error:
            self._counters.refuse("certificate", address=address, why=error.verify_message)
        except (OSError, TimeoutError) as error:
            self._counters.refuse("handshake", address=address, why=str(error) or type(error).__name__)
        except Exception as error:
            self._counters.failed("handshake", error, address=address)
        else:
            self._peers.setdefault(handler, _Peer(address, loop.time()))
            if context is not self._context and handler.transport is not None:
                handler.transport.abort()  # renewed meanwhile
        finally:
            self._shaking[address] -= 1
            if not self._shaking[address]:
                del self._shaking[address]

    async def _watch(self) -> None:
        """Ends connections that send no whole request in time, and forgets those that are gone."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(_WATCH_S)
            live = set(self._http.connections)
            for handler, peer in list(self._peers.items()):
                if handler not in live or handler.transport is None:
                    del self._peers[handler]
                elif not peer.busy and loop.time() - peer.idle_since > self._limits.idle_s:
                    self._counters.refuse("idle", address=peer.address)
                    handler.transport.abort()
            self._counters.connections.set(len(self._peers))

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        peer = self._peers.setdefault(request.protocol, _Peer(one_host(request.remote or ""), 0.0))
        peer.busy = True
        try:
            answer = await self._settle(request)
        except Exception as error:
            self._counters.failed("request", error, address=request.remote)
            answer = refusal(500, "crash", "the collector's log says why")
        finally:
            peer.busy = False
            peer.idle_since = asyncio.get_running_loop().time()
        headers = {} if answer.retry_after_s is None else {"Retry-After": str(answer.retry_after_s)}
        response = web.Response(
            status=answer.status, headers=headers, content_type="application/json", text=json.dumps(answer.body)
        )
        # What is left of a body is not worth reading, and whoever failed to say who they are may start anew.
        if answer.status in (401, 403, 404, 405, 408, 413, 415) or not request.content.is_eof():
            response.force_close()
        return response

    async def _settle(self, request: web.BaseRequest) -> Answer:
        names = self._names(request)
        if isinstance(names, Answer):
            return names
        unfit = self._unfit(request)
        if unfit is not None:
            return unfit
        full = self._ingest.full()
        if full is not None:
            self._counters.refuse(str(full.body["error"]))
            return full
        body = await self._body(request)
        if isinstance(body, Answer):
            return body
        return await asyncio.wrap_future(self._ingest.submit(body, names))

    def _names(self, request: web.BaseRequest) -> frozenset[str] | Answer:
        transport = request.transport
        certificate = transport.get_extra_info("peercert") if transport is not None else None
        admitted = self._gate.admit(certificate, request.headers.get("Authorization"))
        if isinstance(admitted, Refused):
            self._counters.refuse(admitted.code, address=request.remote)
            return refusal(_REFUSED_STATUS.get(admitted.code, 401), admitted.code, admitted.message)
        return admitted

    def _unfit(self, request: web.BaseRequest) -> Answer | None:
        """The answer to a request that is not for here, before its body is read."""
        found = None
        if request.path != PATH:
            found = refusal(404, "path", f"records are sent to {PATH}")
        elif request.method != "POST":
            found = refusal(405, "method", "records are sent by POST")
        elif request.content_type != MEDIA_TYPE or "Content-Encoding" in request.headers:
            found = refusal(415, "media_type", f"send Content-Type: {MEDIA_TYPE} and no Content-Encoding")
        elif (request.content_length or 0) > self._limits.body_bytes:
            found = self._too_large()
        if found is not None:
            self._counters.refuse(str(found.body["error"]), address=request.remote)
        return found

    def _too_large(self) -> Answer:
        return refusal(413, "too_large", f"a body may have {self._limits.body_bytes} bytes")

    async def _body(self, request: web.BaseRequest) -> bytes | Answer:
        parts = bytearray()
        try:
            async with asyncio.timeout(self._limits.body_s):
                async for part in request.content.iter_any():
                    parts += part
                    self._reading += len(part)
                    if len(parts) > self._limits.body_bytes:
                        self._counters.refuse("too_large", address=request.remote)
                        return self._too_large()
                    if self._reading > self._limits.queued_bytes:
                        self._counters.refuse("busy", address=request.remote)
                        return refusal(429, "busy", "too many bodies at once", self._limits.retry_after_s)
        except TimeoutError:
            self._counters.refuse("slow_body", address=request.remote)
            return refusal(408, "slow_body", f"a body may take {self._limits.body_s:g} s")
        except (web.RequestPayloadError, ValueError, OSError) as error:  # broken chunks, a peer that went away
            self._counters.refuse("broken_body", address=request.remote, why=str(error))
            return refusal(400, "broken_body", "the body ended before its end")
        finally:
            self._reading -= len(parts)
        return bytes(parts)


def server_context(certificate: str, key: str, client_ca: str | None, *, required: bool) -> ssl.SSLContext:
    """TLS 1.2 or later; with `client_ca` clients are asked for a certificate of it. Raises OSError, ssl.SSLError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(certificate, key)
    context.set_alpn_protocols(["http/1.1"])
    # No tickets: a resumed session would not show its certificate again, however long ago that ended.
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION | ssl.OP_NO_TICKET
    context.num_tickets = 0
    if client_ca is not None:
        context.load_verify_locations(client_ca)
        context.verify_mode = ssl.CERT_REQUIRED if required else ssl.CERT_OPTIONAL
    return context


def _status_counter(counters: Counters) -> type[AbstractAccessLogger]:
    """aiohttp tells its access log of every response, also of those to what was no HTTP at all."""

    class StatusCounter(AbstractAccessLogger):
        def log(self, request: web.BaseRequest, response: web.StreamResponse, time: float) -> None:
            counters.responses.labels(str(response.status)).inc()
            if response.content_type != "application/json":  # none of ours: aiohttp could not read the request
                counters.refuse("no_http", address=request.remote)

    return StatusCounter
