"""The gate in front of the application: host, origin, token, and the headers of every response."""

from collections.abc import Mapping
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from clothseg.serve.access import Access

COOKIE = "clothseg-token"
SECURITY_HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cache-Control": "no-store",
}
"""Of every response. Sources: OWASP Secure Headers Project; W3C Content Security Policy Level 3."""
_SAFE_METHODS = frozenset({"GET", "HEAD"})
_NO_TOKEN = (
    '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
    '<meta name="color-scheme" content="light dark">'
    "<title>clothseg</title><h1>This page needs its token</h1><p>Open the whole address that "
    "<code>clothseg serve</code> printed; it ends in <code>?token=...</code></p></html>"
)


class Guard:
    """ASGI middleware that refuses what is not meant for this server, before anything of the request is read."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app, self._access = app, access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers itself, or calls the application."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in SECURITY_HEADERS.items():
                    headers[name] = value
            await send(message)

        refusal = self._refusal(scope)
        await (self._app if refusal is None else refusal)(scope, receive, send_guarded)

    def _refusal(self, scope: Scope) -> Response | None:
        """The response to a request that may not pass; None if it may."""
        headers = Headers(scope=scope)
        if len(headers.getlist("host")) != 1 or not self._access.allows_host(headers.get("host")):
            return _error(
                421,
                "this server does not answer to this host name; open the address that it printed, or start it with "
                "--allow-host NAME",
            )
        if scope["method"] not in _SAFE_METHODS and not _same_origin(headers):
            return _error(403, "this request comes from another web page, which may not use the server")
        return self._token_refusal(scope, headers)

    def _token_refusal(self, scope: Scope, headers: Headers) -> Response | None:
        if self._access.token is None:
            return None
        kind, _, given = headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer" and self._access.allows_token(given.strip()):
            return None
        if self._access.allows_token(_cookie(headers, cookie_name(headers))):
            return None
        in_address = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]
        if scope["path"] == "/" and scope["method"] in _SAFE_METHODS and self._access.allows_token(in_address):
            answer = RedirectResponse("/", status_code=303)  # the token leaves the address bar and the history
            answer.set_cookie(cookie_name(headers), in_address, httponly=True, samesite="lax")
            return answer
        if "text/html" in headers.get("accept", ""):
            return HTMLResponse(_NO_TOKEN, status_code=401)
        return _error(401, "a token is needed: send it as `Authorization: Bearer TOKEN`; the server printed it")


def cookie_name(headers: Headers) -> str:
    """The cookie's name, with the port: cookies are for all ports of a host, and each may be another server."""
    port = headers.get("host", "").rpartition(":")[2]
    return f"{COOKIE}-{port}" if port.isdigit() else COOKIE


def _cookie(headers: Headers, name: str) -> str | None:
    try:
        found = SimpleCookie(headers.get("cookie", "")).get(name)
    except CookieError:
        return None
    return found.value if found is not None else None


def _same_origin(headers: Headers) -> bool:
    """Whether a request is not from a page of another origin. Programs send neither header."""
    origin = headers.get("origin")
    if origin is None:
        return headers.get("sec-fetch-site", "none") in {"none", "same-origin"}
    try:
        return urlsplit(origin).netloc.lower() == headers.get("host", "").lower() != ""
    except ValueError:
        return False


def _error(status: int, message: str) -> JSONResponse:
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else None
    return JSONResponse({"error": message}, status_code=status, headers=headers)
