"""Servers that lie: headers, addresses and bodies that are not what they say."""

import random
from pathlib import Path
from typing import Any

from fuzzing import Fuzz

from clothseg.http import HttpClient, RetryPolicy, download_file

BODY = random.Random(3).randbytes(5000)
POLICY = RetryPolicy(attempts=2, timeout=2.0, initial_wait=0.001, max_wait=0.002, max_retry_after=0.002)
VALUES = (
    *(
        "",
        " ",
        "0",
        "-1",
        "1",
        "5000",
        "4999",
        "1e3",
        "0x10",
        "\xb2",
        "\xb9\xb2",
        "9" * 400,
        "nan",
        "NaN",
        "None",
        "\xff\xfe",
    ),
    *("bytes 0-0/5000", "bytes 0-4999/*", "bytes 5-1/3", "bytes 0-0/\xb2", "bytes 0-/5", "bytes */5000", "items 0-0/1"),
    *(
        "Mon, 99 Jan 2020 00:00:00 GMT",
        "Fri, 31 Dec 999999 23:59:59 GMT",
        "Thu, 01 Jan 1970 00:00:00 +9999",
        'W/"x"',
        '"',
    ),
    *("md5=!!!", "md5=\xe9\xe9\xe9\xe9", "md5=AAAA,crc32c=x", "gzip", "deflate, br", "identity", "chunked", "AmazonS3"),
)
PLACES = (
    *(
        "http://",
        "http://[",
        "http://a b/",
        "http://\xb2/",
        "//",
        "http://x" + "y" * 300 + "/",
        "ftp://x/",
        "file:///etc/passwd",
    ),
    *(
        "http://127.0.0.1:99999/",
        "http://127.0.0.1:x/",
        "http://xn--0.example/",
        "http://..example/",
        "",
        "?",
        "http://%00/",
    ),
)
HEADERS = (
    *(
        "Content-Length",
        "Content-Range",
        "Retry-After",
        "ETag",
        "Last-Modified",
        "x-goog-hash",
        "Content-MD5",
        "Server",
    ),
    *("Content-Encoding", "Transfer-Encoding", "Content-Type", "Connection", "Set-Cookie"),
)


def test_answers_of_servers(fuzz: Fuzz, serve: Any, fault: Any, tmp_path: Path) -> None:
    site = serve({"a.bin": BODY})

    def make(rng: random.Random) -> dict[str, Any]:
        headers = {rng.choice(HEADERS): rng.choice(VALUES) for _ in range(rng.randint(1, 3))}
        status = rng.choice([None, None, None, 200, 206, 301, 302, 307, 416, 429, 503, 204, 304, 418, 599])
        if status in {301, 302, 307}:
            headers["Location"] = rng.choice(PLACES)
        body = rng.choice([None, None, b"", BODY[:-1], BODY + b"x", b"<html>sorry</html>"])
        return {"status": status, "headers": headers, "body": body, "ignore_range": rng.random() < 0.3}

    def read(answer: dict[str, Any]) -> None:
        site.always(fault(**answer))
        with HttpClient(POLICY) as client:
            remote = client.probe(f"{site.url}/a.bin")
            if remote.ranges:
                assert len(client.read_range(remote, 3, 9)) == 6
        path = tmp_path / "a.bin"
        path.unlink(missing_ok=True)
        download_file(f"{site.url}/a.bin", path, policy=POLICY)
        assert path.is_file()

    fuzz(make, read, one_of=4)
