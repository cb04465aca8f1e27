"""What the gate lets pass: hosts, origins, tokens, and the headers of every response."""

from pathlib import Path

import httpx
import pytest

from clothseg.serve import Access
from clothseg.serve.guard import SECURITY_HEADERS

from .conftest import Client, Start, picture

TOKEN = "a-token-with-32-letters-or-more-x"


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "192.168.0.7", "localhost.evil.example", ""])
@pytest.mark.parametrize("path", ["/", "/model", "/predict", "/app.js"])
def test_another_host_name_is_refused(client: Client, host: str, path: str) -> None:
    assert client.get(path, headers={"Host": host}).status_code == 421


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "https://127.0.0.1"},
        {"Origin": "http://["},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
@pytest.mark.parametrize("path", ["/predict", "/cutout?instance=0", "/compose", "/labels", "/preview", "/nothing"])
def test_posts_from_other_pages_are_refused(client: Client, headers: dict[str, str], path: str) -> None:
    answer = client.post(path, content=picture(), headers=headers)
    assert answer.status_code == 403
    assert "another web page" in answer.json()["error"]


def test_posts_from_the_own_page_and_from_programs_pass(client: Client) -> None:
    own = str(client.base_url).rstrip("/")
    for headers in ({"Origin": own}, {"Origin": own, "Sec-Fetch-Site": "same-origin"}, {}):
        assert client.post("/predict", content=picture(), headers=headers).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 200),
        ("GET", "/base.css", 200),
        ("GET", "/nothing", 404),
        ("GET", "/predict", 405),
        ("POST", "/", 405),
    ],
)
def test_every_response_has_the_headers(client: Client, method: str, path: str, status: int) -> None:
    answer = client.request(method, path)
    assert answer.status_code == status
    assert {name: answer.headers.get(name) for name in SECURITY_HEADERS} == dict(SECURITY_HEADERS)
    assert "server" not in answer.headers
    assert "access-control-allow-origin" not in answer.headers


def test_refusals_have_the_headers_too(client: Client) -> None:
    answer = client.get("/", headers={"Host": "evil.example"})
    assert answer.headers["content-security-policy"] == SECURITY_HEADERS["Content-Security-Policy"]


def test_the_policy_allows_no_script_but_its_own() -> None:
    policy = dict(part.strip().split(" ", 1) for part in SECURITY_HEADERS["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert policy["script-src"] == "'self'"
    assert "unsafe" not in " ".join(policy.values())


@pytest.fixture
def locked(start: Start) -> Client:
    """A client without the token of its server."""
    return start(access=Access(token=TOKEN))


@pytest.mark.parametrize("path", ["/", "/model", "/app.js", "/openapi.json", "/nothing", "/?token=wrong"])
def test_nothing_is_shown_without_the_token(locked: Client, path: str) -> None:
    answer = locked.get(path)
    assert answer.status_code == 401
    assert "token" in answer.json()["error"]
    assert answer.headers["www-authenticate"] == "Bearer"
    page = locked.get(path, headers={"Accept": "text/html"})
    assert page.status_code == 401
    assert "<title>clothseg</title>" in page.text
    assert TOKEN not in page.text


def test_the_header_opens(locked: Client) -> None:
    assert locked.get("/model", headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 200
    for wrong in (f"Bearer {TOKEN}x", "Bearer", f"Basic {TOKEN}", TOKEN):
        assert locked.get("/model", headers={"Authorization": wrong}).status_code == 401
    assert locked.post("/predict", content=picture()).status_code == 401


def test_the_address_sets_a_cookie_once_and_hides_the_token(locked: Client) -> None:
    answer = locked.get("/", params={"token": TOKEN})
    assert answer.status_code == 303
    assert answer.headers["location"] == "/"
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie
    assert locked.get("/").status_code == 200
    assert locked.post("/predict", content=picture()).status_code == 200
    assert locked.post("/predict", content=picture(), headers={"Origin": "http://evil.example"}).status_code == 403


def test_the_token_in_another_address_does_not_open(locked: Client) -> None:
    assert locked.get("/model", params={"token": TOKEN}).status_code == 401
    assert locked.post("/predict", params={"token": TOKEN}, content=picture()).status_code == 401


PATHS = [
    "/../../etc/passwd",
    "/%2e%2e/%2e%2e/etc/passwd",
    "/..%2f..%2fetc%2fpasswd",
    "/page/index.html",
    "/app.js/../../engine.py",
    "//etc/passwd",
    "/index.html",
    "/app.js%00.css",
    "/__init__.py",
    "/C:%5CWindows%5Cwin.ini",
]


@pytest.mark.parametrize("path", PATHS)
def test_no_path_reaches_the_disk(client: Client, path: str) -> None:
    address = httpx.URL(str(client.base_url)).copy_with(raw_path=path.encode())
    answer = client.send(httpx.Request("GET", address))
    assert answer.status_code == 404
    assert "root:" not in answer.text


def test_a_name_of_a_file_in_a_form_is_ignored(client: Client, tmp_path: Path) -> None:
    target = tmp_path / "written.jpg"
    for name in (str(target), "../../../written.jpg", "/etc/passwd", "a\x00b.jpg", "x" * 500):
        answer = client.post("/predict", files={"photo": (name, picture())})
        assert answer.status_code == 200, name
    assert not target.exists()
