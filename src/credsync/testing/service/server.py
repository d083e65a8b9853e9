"""The sockets: an HTTP/1.1 server with keep-alive, a thread for each connection, none of them left behind."""

from __future__ import annotations

import socket
import struct
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from email.utils import formatdate
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock
from typing import Protocol

from typing_extensions import override

from credsync.testing.service.exchange import Answer, Request
from credsync.testing.service.faults import Ending

__all__ = ["Connection", "Serve", "Server"]

IDLE_SECONDS = 60.0
"""How long a connection may say nothing before it is closed."""

POLL_SECONDS = 0.05
"""How long a wait sleeps at a time when it cannot wait for the end of the stream."""


class Connection(Protocol):
    """The client's side, as far as it shows."""

    def is_lost_within(self, seconds: float) -> bool:
        """Wait, and return True at once if the client goes away or the server closes meanwhile."""
        ...


Serve = Callable[[Request, float, Connection], tuple[Answer, Ending]]
"""Answers a request that came at a time, and says what becomes of its connection."""


class Server(ThreadingHTTPServer):
    """Listens on loopback.

    Args:
        port: The port; 0 takes a free one.
        serve: Answers the requests.
        clock: The time in seconds since the epoch, for the Date of the answers.
        stopwatch: The monotonic clock that stamps the requests' arrival.
    """

    daemon_threads = False  # so that closing waits for them
    request_queue_size = 128

    def __init__(self, port: int, serve: Serve, *, clock: Callable[[], float], stopwatch: Callable[[], float]) -> None:
        self.serve = serve
        self.clock = clock
        self.stopwatch = stopwatch
        self.is_closing = False
        self._open: set[socket.socket] = set()
        self._lock = Lock()
        super().__init__(("127.0.0.1", port), _Handler)

    def stop(self) -> None:
        """End all connections, idle or hanging, and wait for their threads. `serve_forever` must have returned."""
        self.is_closing = True
        with self._lock:
            for connection in self._open:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
        self.server_close()

    @override
    def process_request(self, request: socket.socket | tuple[bytes, socket.socket], client_address: object) -> None:
        assert isinstance(request, socket.socket)
        with self._lock:
            self._open.add(request)
        super().process_request(request, client_address)

    @override
    def shutdown_request(self, request: socket.socket | tuple[bytes, socket.socket]) -> None:
        assert isinstance(request, socket.socket)
        with self._lock:
            self._open.discard(request)
        super().shutdown_request(request)

    @override
    def handle_error(self, request: socket.socket | tuple[bytes, socket.socket], client_address: object) -> None:
        """Let clients go away as they like; anything else is a fault of the double and shows on stderr."""
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = IDLE_SECONDS

    @property
    def _owner(self) -> Server:
        assert isinstance(self.server, Server)
        return self.server

    def is_lost_within(self, seconds: float) -> bool:
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if self._owner.is_closing or self._is_lost(left):
                return True
        return False

    def _is_lost(self, seconds: float) -> bool:
        """Wait for the end of the stream, which also comes when the server closes."""
        self.connection.settimeout(seconds)
        try:
            next_byte = self.connection.recv(1, socket.MSG_PEEK)
        except TimeoutError:
            return False
        except ConnectionError:
            return True
        finally:
            self.connection.settimeout(self.timeout)
        if next_byte:  # the next request is here already, which says nothing about this one
            time.sleep(min(seconds, POLL_SECONDS))
        return not next_byte

    def serve(self) -> None:
        """Answer one request of any method."""
        started = self._owner.stopwatch()
        headers = {name.lower(): value for name, value in self.headers.items()}
        length = headers.get("content-length", "0")
        if "transfer-encoding" in headers or not length.isdecimal():
            self.close_connection = True
            self._send(Answer(status=411))
            return
        body = self.rfile.read(int(length))
        if len(body) < int(length):
            self.close_connection = True
            return
        request = Request(method=self.command, target=self.path, headers=headers, body=body)
        answer, ending = self._owner.serve(request, started, self)
        self._end(answer, ending)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = serve

    def _end(self, answer: Answer, ending: Ending) -> None:
        if ending is Ending.ANSWERED:
            self._send(answer)
            return
        self.close_connection = True
        if ending is Ending.TRUNCATED:
            self._send(answer, len(answer.body) // 2)
        elif ending is Ending.RESET:
            self._reset()

    def _send(self, answer: Answer, length: int | None = None) -> None:
        """Send an answer in one piece, so that no client ever waits for a second packet."""
        lines = [
            f"{self.protocol_version} {answer.status} {HTTPStatus(answer.status).phrase}",
            f"Date: {formatdate(self._owner.clock(), usegmt=True)}",
            f"Content-Type: {answer.content_type}",
            f"Content-Length: {len(answer.body)}",
            *(f"{name}: {value}" for name, value in answer.headers),
            *(["Connection: close"] if self.close_connection else []),
        ]
        head = "\r\n".join([*lines, "", ""]).encode("latin-1", "replace")
        self.wfile.write(head if self.command == "HEAD" else head + answer.body[:length])

    def _reset(self) -> None:
        """Close so that the other side gets a reset, not an orderly end."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.rfile.close()
        self.connection.close()

    @override
    def log_message(self, format: str, *args: object) -> None:
        """Write nothing: the request log has it all."""
