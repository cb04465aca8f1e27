"""Runs the server: its socket, its life from start to Ctrl-C, the browser."""

import errno
import os
import socket
import sys
import threading
import webbrowser
from collections.abc import Callable
from contextlib import suppress

import uvicorn
from starlette.applications import Starlette

from clothseg.errors import ClothsegError

_MOST_CONNECTIONS = 256
_HIGHEST_PORT = 65_535
_GRACE = 5  # seconds for requests in progress after Ctrl-C


def bind(host: str, port: int) -> socket.socket:
    """A socket that listens at `host` and `port`; 0 takes any free port.

    Raises:
        ClothsegError: the port is taken or not allowed, or `host` is not an address of this machine.
    """
    if not 0 <= port <= _HIGHEST_PORT:
        raise ClothsegError(f"--port {port}: a port is a number from 0 to {_HIGHEST_PORT}")
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0][0]
        return socket.create_server((host, port), family=family, backlog=128)
    except OSError as error:
        raise ClothsegError(_bind_failure(host, port, error)) from error


def _bind_failure(host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} is taken by another program; choose another: --port {port + 1}, or --port 0 for a free one"
    if error.errno == errno.EACCES:
        return f"port {port} needs special rights; choose one from 1024 on, such as --port 8000"
    if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
        return f"--host {host}: not an address of this machine; --host 0.0.0.0 listens on all of them"
    return f"--host {host} --port {port}: cannot listen there ({error.strerror or error})"


_ALL_ADDRESSES = frozenset({"0.0.0.0", "::", ""})


def address_of(listening: socket.socket, host: str, token: str | None = None) -> str:
    """The address for a browser on this machine; with a token it sets the cookie at the first visit."""
    name = "127.0.0.1" if host in _ALL_ADDRESSES else host
    place = f"[{name}]" if ":" in name else name
    return f"http://{place}:{listening.getsockname()[1]}/" + (f"?token={token}" if token else "")


def address_elsewhere(listening: socket.socket, host: str, token: str | None = None) -> str | None:
    """The address for a browser on another machine of the network, such as a phone; None if it is not known.

    It is that of the interface which leads to other networks. Finding it sends nothing.
    """
    if host not in _ALL_ADDRESSES:
        return None
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        try:
            asked.connect(("192.0.2.1", 9))  # an address for documentation: RFC 5737
            own = asked.getsockname()[0]
        except OSError:
            return None
    return None if own.startswith("127.") or own == "0.0.0.0" else address_of(listening, own, token)


def make_server(app: Starlette, on_start: Callable[[], None] | None = None) -> uvicorn.Server:
    """A server for the application. `on_start` is called when it answers."""
    config = uvicorn.Config(
        app,
        log_config=None,
        log_level="critical",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        ws="none",
        limit_concurrency=_MOST_CONNECTIONS,
        timeout_graceful_shutdown=_GRACE,
    )
    return _Server(config, on_start)


def serve(app: Starlette, listening: socket.socket, *, on_start: Callable[[], None] | None = None) -> None:
    """Serves until Ctrl-C or SIGTERM; then requests in progress have five seconds.

    Args:
        app: of `create_app`.
        listening: of `bind`. It is closed afterwards.
        on_start: is called when the server answers.
    """
    with listening, suppress(KeyboardInterrupt):  # uvicorn raises the signal again after it has ended
        make_server(app, on_start).run(sockets=[listening])


def open_browser(address: str) -> bool:
    """Opens the address in the user's browser, if there is a graphical one; returns at once.

    Returns:
        Whether it is tried.
    """
    graphical = sys.platform in {"win32", "darwin"} or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    if graphical:  # otherwise Python starts a browser in this terminal
        threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()
    return bool(graphical)


class _Server(uvicorn.Server):
    """Tells when it has started."""

    def __init__(self, config: uvicorn.Config, on_start: Callable[[], None] | None) -> None:
        super().__init__(config)
        self._on_start = on_start

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Starts, and tells so."""
        await super().startup(sockets)
        if self._on_start is not None and self.started:
            self._on_start()
