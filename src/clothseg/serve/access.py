"""Who may use the server: the names it answers to, and the token."""

import hmac
import ipaddress
import secrets
import socket
from collections.abc import Iterable
from dataclasses import dataclass, field

from clothseg.errors import ClothsegError

_SHORTEST_TOKEN = 16


@dataclass(frozen=True)
class Access:
    """Who may use the server.

    Attributes:
        local: whether it listens on this machine only.
        names: host names, in lower case, that it answers to. Others are refused, because a page from elsewhere can give
            its own name the address of this server (DNS rebinding).
        token: that every request needs; None if none is needed.
    """

    local: bool = True
    names: frozenset[str] = frozenset({"localhost"})
    token: str | None = field(default=None, repr=False)

    def allows_host(self, header: str | None) -> bool:
        """Whether a `Host` header names this server. The port does not matter: a tunnel may change it."""
        name = host_name(header or "")
        address = _address(name)
        if address is not None:  # a name is needed for DNS rebinding
            return address.is_loopback or not self.local
        return name in self.names

    def allows_token(self, given: str | None) -> bool:
        """Whether a token is the right one, compared in constant time."""
        if self.token is None:
            return True
        return given is not None and hmac.compare_digest(given.encode(), self.token.encode())


def access_for(host: str, token: str | None = None, names: Iterable[str] = ()) -> Access:
    """The access to a server that listens at `host`.

    Args:
        host: a name or an address of this machine, such as 127.0.0.1 or 0.0.0.0.
        token: None makes a new one if the server can be reached from other machines.
        names: further host names that it answers to.

    Raises:
        ClothsegError: the token is too short, or has characters that a header cannot have.
    """
    local = is_loopback(host)
    if token is not None and (len(token) < _SHORTEST_TOKEN or not token.isascii() or not token.isprintable()):
        raise ClothsegError(
            f"--token: a token has at least {_SHORTEST_TOKEN} letters, digits or signs without accents; leave the "
            "option out, and a new one is made and printed"
        )
    own = {"localhost", *(name.lower().rstrip(".") for name in names)}
    if not local:
        machine = socket.gethostname().lower()
        own |= {machine, f"{machine.split('.')[0]}.local"}
        own |= set() if _address(host) else {host.lower()}
        token = token or secrets.token_urlsafe(24)
    return Access(local, frozenset(own), token)


def is_loopback(host: str) -> bool:
    """Whether a host to listen at can be reached from this machine only."""
    address = _address(host)
    return address.is_loopback if address is not None else host.lower() == "localhost"


def host_name(header: str) -> str:
    """The name in a `Host` header or the part of an origin after `//`, without the port, in lower case."""
    name = header.strip().lower()
    if name.startswith("["):  # IPv6
        return name[1 : name.find("]")] if "]" in name else ""
    return name.rpartition(":")[0] if ":" in name else name.rstrip(".")


def _address(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(name)
    except ValueError:
        return None
