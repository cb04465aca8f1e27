"""A server of files on this machine that fails as a test wants."""

import hashlib
import re
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True)
class Fault:
    """What goes wrong with one response.

    Attributes:
        status: instead of the file.
        headers: added to the response; they replace its own.
        drop_after: bytes of the body after which the connection is cut.
        body: instead of the right one.
        extra_length: added to the true Content-Length.
        no_length: neither Content-Length nor chunks; the body ends with the connection.
        pause: seconds before the body.
        ignore_range: send the whole file.
    """

    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    drop_after: int | None = None
    body: bytes | None = None
    extra_length: int = 0
    no_length: bool = False
    pause: float = 0.0
    ignore_range: bool = False


FaultRule = Callable[[str, int], Fault | None]
"""Gets a path and the number of earlier requests for it; returns what goes wrong."""


@dataclass
class Site:
    """Files by path, and how they are served. `log` has path, Range, If-Range and time of each request."""

    files: dict[str, bytes]
    ranges: bool = True
    etags: bool = True
    rule: FaultRule = lambda path, count: None
    log: list[tuple[str, str | None, str | None, float]] = field(default_factory=list)
    sent: int = 0
    url: str = ""
    counts: Counter[str] = field(default_factory=Counter)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def asked(self, part: str) -> list[tuple[str, str | None, str | None, float]]:
        """Requests for paths that contain `part`."""
        return [line for line in self.log if part in line[0]]

    def once(self, fault: Fault, part: str = "") -> None:
        """Makes the first request for each path with `part` go wrong."""
        self.rule = lambda path, count: fault if count == 0 and part in path else None

    def always(self, fault: Fault, part: str = "") -> None:
        """Makes every request for a path with `part` go wrong."""
        self.rule = lambda path, count: fault if part in path else None


class _SiteHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # or a body waits until the headers are acknowledged, up to 40 ms each
    site: Site

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        site, path = self.site, self.path.lstrip("/")
        with site.lock:
            count = site.counts[path]
            site.counts[path] += 1
            site.log.append((path, self.headers.get("Range"), self.headers.get("If-Range"), time.monotonic()))
        fault = site.rule(path, count) or Fault()
        whole = site.files.get(path)
        if fault.status or whole is None:
            self._send(fault.status or 404, b"sorry", {}, fault)
            return
        etag = f'"{hashlib.sha1(whole).hexdigest()[:12]}"'
        headers = {"ETag": etag} if site.etags else {}
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        fresh = self.headers.get("If-Range", etag) == etag
        if wanted and site.ranges and fresh and not fault.ignore_range:
            start, last = int(wanted[1]), min(int(wanted[2] or len(whole)), len(whole) - 1)
            if start > last:
                self._send(416, b"", {"Content-Range": f"bytes */{len(whole)}"}, fault)
                return
            headers["Content-Range"] = f"bytes {start}-{last}/{len(whole)}"
            self._send(206, whole[start : last + 1], headers, fault)
        else:
            self._send(200, whole, headers, fault)

    def _send(self, status: int, body: bytes, headers: dict[str, str], fault: Fault) -> None:
        body = body if fault.body is None else fault.body
        self.send_response_only(status)
        if fault.no_length:
            self.close_connection = True
            headers["Connection"] = "close"
        else:
            headers["Content-Length"] = str(len(body) + fault.extra_length)
        for name, value in (headers | dict(fault.headers)).items():
            self.send_header(name, value)
        self.end_headers()
        time.sleep(fault.pause)
        sent = body if fault.drop_after is None else body[: fault.drop_after]
        try:
            self.wfile.write(sent)
            self.wfile.flush()
        except OSError:
            self.close_connection = True
        with self.site.lock:
            self.site.sent += len(sent)
        if fault.drop_after is not None or fault.extra_length:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)


class _QuietServer(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request: object, client_address: object) -> None:
        pass


@contextmanager
def serving() -> Iterator[Callable[..., Site]]:
    """Gives a function that starts a server for files by path. All of them stop at the end."""
    servers = []

    def start(files: Mapping[str, bytes], **how: bool) -> Site:
        site = Site(dict(files), **how)  # type: ignore[arg-type]
        server = _QuietServer(("127.0.0.1", 0), type("Handler", (_SiteHandler,), {"site": site}))
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        servers.append(server)
        site.url = f"http://127.0.0.1:{server.server_port}"
        return site

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()
