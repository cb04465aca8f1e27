"""Which hosts and tokens are accepted."""

import socket

import pytest

from clothseg.errors import ClothsegError
from clothseg.serve import access_for
from clothseg.serve.access import host_name, is_loopback


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.8.9.1"])
def test_on_this_machine_no_token_is_needed(host: str) -> None:
    access = access_for(host)
    assert access.local
    assert access.token is None
    assert access.allows_token(None)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "example.org"])
def test_elsewhere_a_new_token_is_needed(host: str) -> None:
    first, second = access_for(host), access_for(host)
    assert first.token is not None
    assert len(first.token) >= 32
    assert first.token != second.token
    assert first.token not in repr(first)
    assert first.allows_token(first.token)
    for wrong in (None, "", second.token, first.token[:-1], f"{first.token}x", "ä" * 32):
        assert not first.allows_token(wrong)


LOCAL = ["127.0.0.1", "127.0.0.1:8000", "localhost:1", "LOCALHOST", "[::1]:8000", "[::1]"]
FOREIGN = [
    "evil.example",
    "evil.example:8000",
    "localhost.evil.example",
    "192.168.1.5:8000",
    "0.0.0.0",
    "",
    "[::1",
    "::1",
]


@pytest.mark.parametrize(("header", "allowed"), [*((h, True) for h in LOCAL), *((h, False) for h in FOREIGN)])
def test_a_local_server_answers_to_local_names_only(header: str, allowed: bool) -> None:
    assert access_for("127.0.0.1").allows_host(header) is allowed


def test_a_server_for_others_answers_to_addresses_and_its_own_names() -> None:
    access = access_for("0.0.0.0", names=["Studio.Example"])
    for header in ("192.168.1.5:8000", "[2001:db8::1]:80", "localhost", socket.gethostname(), "studio.example:8000"):
        assert access.allows_host(header), header
    for foreign in ("evil.example", "x.studio.example", "", None):
        assert not access.allows_host(foreign), foreign


def test_a_token_of_the_user_counts_everywhere() -> None:
    access = access_for("127.0.0.1", "a-token-of-the-user")
    assert access.token == "a-token-of-the-user"
    assert not access.allows_token(None)


@pytest.mark.parametrize("token", ["", "short", "sixteen letters\n", "ä" * 20])
def test_weak_tokens_are_refused(token: str) -> None:
    with pytest.raises(ClothsegError, match="--token"):
        access_for("0.0.0.0", token)


def test_names_of_hosts() -> None:
    assert host_name("Example.org:80") == "example.org"
    assert host_name("example.org.") == "example.org"
    assert host_name("[::1]:80") == "::1"
    assert is_loopback("localhost")
    assert not is_loopback("example.org")
