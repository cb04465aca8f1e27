"""Photos, lists and results on remote stores: a web server that fails on demand, and S3 as moto plays it."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import polars
import pytest
from stub_network import SHARD_SIZE, StubSource

from clothseg.catalogue import CatalogueOptions, InProcesses, Predict, merge_catalogue, open_catalogue, run_catalogue
from clothseg.catalogue.reading import PhotoReader, UnreachablePhoto
from clothseg.catalogue.shards import CataloguePhoto
from clothseg.catalogue.store import Store
from clothseg.errors import ClothsegError, PhotoError, UnreachableError
from clothseg.http import RetryPolicy

from .conftest import Run, files_in

Serve = Callable[..., Any]


def photo(url: str) -> CataloguePhoto:
    return CataloguePhoto(1, url, url)


def files_of(photos: Path) -> dict[str, bytes]:
    return {f"shop/{path.name}": path.read_bytes() for path in sorted(photos.iterdir())}


def test_web_addresses_in_a_list_give_the_same_as_files(photos: Path, tmp_path: Path, run: Run, serve: Serve) -> None:
    site = serve(files_of(photos))
    addresses = [f"{site.url}/{name}" for name in site.files]
    (tmp_path / "list.csv").write_text("\n".join(["sku,url", *(f"1,{address}" for address in addresses)]))
    done = run(tmp_path / "list.csv", tmp_path / "web")
    run(photos, tmp_path / "files")
    assert (done.photos, done.failed) == (11, 1)
    for table in ("photos", "detections"):
        web, local = (
            polars.read_parquet(f"{tmp_path}/{where}/{table}/*.parquet").drop("photo") for where in ("web", "files")
        )
        assert web.equals(local)
    error = polars.read_parquet(tmp_path / "web/errors/shard-000002.parquet").row(0)
    assert error == (7, addresses[6], f"{addresses[6]}: not a picture in a known format")


def test_temporary_errors_are_tried_again(photos: Path, serve: Serve, fault: Any, retry_policy: RetryPolicy) -> None:
    site = serve(files_of(photos))
    for once in (fault(status=503), fault(drop_after=10), fault(status=429)):
        site.counts.clear()
        site.once(once)
        with PhotoReader(retry_policy) as reader:
            assert reader.read(photo(f"{site.url}/shop/01.png")).shape == (9, 12, 3)
        assert site.counts["shop/01.png"] == 2


def test_lasting_errors_are_not_tried_again(
    photos: Path, serve: Serve, fault: Any, retry_policy: RetryPolicy, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = serve({**files_of(photos), "shop/empty.png": b""})
    with PhotoReader(retry_policy) as reader:
        with pytest.raises(PhotoError, match=r"nowhere\.png: status 404"):
            reader.read(photo(f"{site.url}/nowhere.png"))
        assert site.counts["nowhere.png"] == 1
        with pytest.raises(PhotoError, match=r"the file is empty \(0 bytes\)"):
            reader.read(photo(f"{site.url}/shop/empty.png"))
        site.always(fault(status=503))
        with pytest.raises(UnreachablePhoto, match="failed after 4 attempts: status 503"):
            reader.read(photo(f"{site.url}/shop/02.png"))
        assert site.counts["shop/02.png"] == retry_policy.attempts
        site.always(fault())
        monkeypatch.setattr("clothseg.catalogue.reading.MAX_BYTES", 20)
        with pytest.raises(PhotoError, match="larger than"):
            reader.read(photo(f"{site.url}/shop/03.png"))


def test_a_folder_of_a_web_server_is_listed(photos: Path, serve: Serve) -> None:
    pytest.importorskip("aiohttp")
    links = "".join(f'<a href="{path.name}">{path.name}</a>' for path in photos.iterdir())
    up = '<a href="../">up</a><a href="/shop/">here</a><a href="https://elsewhere.example/x.png">x</a>'
    site = serve({"shop/": f"<html>{links}{up}<a href='sub/'>sub</a></html>".encode(),
                  "shop/sub/": b"<html><a href='y.png'>y</a></html>"})  # fmt: skip
    found = [f"{site.url}/shop/{number:02d}.png" for number in range(11)]
    assert [listed.name for listed in open_catalogue([f"{site.url}/shop/"])] == found
    deep = [listed.name for listed in open_catalogue([f"{site.url}/shop/"], recursive=True)]
    assert deep == [*found, f"{site.url}/shop/sub/y.png"]


def test_a_shard_of_which_nothing_can_be_fetched_is_not_written(
    photos: Path, tmp_path: Path, serve: Serve, fault: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An hour without a network must not become a million rows of errors."""
    site = serve(files_of(photos))
    monkeypatch.setattr("clothseg.catalogue.engines.PhotoReader", lambda: PhotoReader(RetryPolicy(2, 1.0, 0.01)))
    (tmp_path / "list.txt").write_text("\n".join(f"{site.url}/{name}" for name in site.files))

    def call() -> Any:
        listed = open_catalogue([str(tmp_path / "list.txt")])
        options = CatalogueOptions(shard_size=SHARD_SIZE)
        return run_catalogue(listed, Predict(), StubSource(), str(tmp_path / "out"), options)

    down = {f"shop/{number:02d}.png" for number in range(3, 8)}  # one in the first shard, all in the second
    site.rule = lambda path, count: fault(status=503) if path in down else None
    with pytest.raises(UnreachableError, match=r"no photo of shard-000002 could be fetched.*status 503"):
        call()
    assert [path.name for path in (tmp_path / "out/shards").iterdir()] == ["shard-000001.json"]
    assert polars.read_parquet(tmp_path / "out/errors/shard-000001.parquet")["photo_id"].to_list() == [4]
    site.rule = lambda path, count: None
    assert call().failed == 2


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """An empty bucket `shop`, as fsspec sees it, of an S3 on this machine."""
    pytest.importorskip("s3fs")
    server = pytest.importorskip("moto.server").ThreadedMotoServer("127.0.0.1", 0)
    server.start()
    port = server._server.server_port
    for name, value in {
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL_S3": f"http://127.0.0.1:{port}",
    }.items():
        monkeypatch.setenv(name, value)
    import fsspec

    fsspec.filesystem("s3").clear_instance_cache()
    files = fsspec.filesystem("s3", use_listings_cache=False)
    files.mkdir("shop")
    yield files
    fsspec.filesystem("s3").clear_instance_cache()
    httpx.post(f"http://127.0.0.1:{port}/moto-api/reset")
    server.stop()


def test_photos_list_and_results_in_s3(photos: Path, tmp_path: Path, run: Run, bucket: Any) -> None:
    for path in photos.iterdir():
        bucket.pipe_file(f"shop/photos/{path.name}", path.read_bytes())
    bucket.pipe_file("shop/photos/sub/11.png", (photos / "05.png").read_bytes())
    bucket.pipe_file("shop/photos/notes.md", b"")
    names = [f"s3://shop/photos/{number:02d}.png" for number in range(11)]
    assert [listed.name for listed in open_catalogue(["s3://shop/photos/"])] == names
    deep = [*names, "s3://shop/photos/sub/11.png"]
    assert [listed.name for listed in open_catalogue(["s3://shop/photos"], recursive=True)] == deep
    assert [listed.name for listed in open_catalogue(["s3://shop/photos/0*.png"])] == names[:10]
    assert run("s3://shop/photos/", "s3://shop/out").failed == 1
    again = run("s3://shop/photos/", "s3://shop/out")
    assert (again.earlier, again.failed) == (3, 1)
    run("s3://shop/photos/", tmp_path / "local")
    local = files_in(tmp_path / "local")
    assert {name.removeprefix("shop/out/"): bucket.cat_file(name) for name in bucket.find("shop/out")} == local
    for name in ("list.csv", "list.parquet", "list.txt"):
        frame = polars.DataFrame({"sku": 1, "photo": [f"photos/{number:02d}.png" for number in range(11)]})
        frame.write_parquet(tmp_path / name) if name.endswith("t") else frame.write_csv(tmp_path / name)
        if name == "list.txt":
            (tmp_path / name).write_text("\n".join(frame["photo"]))
        bucket.put_file(str(tmp_path / name), f"shop/{name}")
        assert [listed.place for listed in open_catalogue([f"s3://shop/{name}"])] == names
    done = merge_catalogue(["s3://shop/out"], tmp_path / "merged")
    assert (done.photos, done.shards) == (11, 3)
    with pytest.raises(ClothsegError, match="another network"):
        run("s3://shop/photos/", "s3://shop/out", work="other")
    run("s3://shop/photos/", "s3://shop/out", work="other", overwrite=True, shard_size=11)
    assert len(bucket.find("shop/out/shards")) == 1
    with pytest.raises(ClothsegError, match=r"nowhere.*nothing at this address"):
        open_catalogue(["s3://shop/nowhere/"])
    with PhotoReader() as reader, pytest.raises(PhotoError, match="nothing at this address"):
        reader.read(photo("s3://shop/photos/nowhere.png"))


def test_processes_write_to_s3(photos: Path, tmp_path: Path, run: Run, bucket: Any) -> None:
    run(photos, tmp_path / "local")
    run_catalogue(
        open_catalogue([str(photos)]),
        Predict(),
        StubSource(),
        "s3://shop/out",
        CatalogueOptions(shard_size=SHARD_SIZE),
        engine=InProcesses(2),
    )
    found = {name.removeprefix("shop/out/"): bucket.cat_file(name) for name in bucket.find("shop/out")}
    assert found == files_in(tmp_path / "local")


def test_a_store_that_cannot_be_written_is_known_before_the_network_is_opened(
    photos: Path, tmp_path: Path, bucket: Any
) -> None:
    (tmp_path / "log").mkdir()
    source = StubSource(log=str(tmp_path / "log"))
    with pytest.raises(ClothsegError, match=r"^s3://nowhere/out: "):
        run_catalogue(open_catalogue([str(photos)]), Predict(), source, "s3://nowhere/out")
    assert list((tmp_path / "log").iterdir()) == []


def test_a_file_in_s3_is_uploaded_by_one_request(bucket: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """So nobody sees a part of it."""
    from s3fs import S3FileSystem

    asked: list[str] = []
    call = S3FileSystem._call_s3

    async def counted(self: Any, method: str, *arguments: Any, **options: Any) -> Any:
        asked.append(method)
        return await call(self, method, *arguments, **options)

    monkeypatch.setattr(S3FileSystem, "_call_s3", counted)
    Store("s3://shop/out").write("photos/shard-000001.parquet", bytes(1 << 20))
    assert asked.count("put_object") == 1
    assert not any("multipart" in method for method in asked)
    assert Store("s3://shop/out").names("photos") == ["shard-000001.parquet"]
    Store("s3://shop/out").delete("photos/shard-000001.parquet")
    Store("s3://shop/out").delete("photos/shard-000001.parquet")
    assert Store("s3://shop/out").names("photos") == []
