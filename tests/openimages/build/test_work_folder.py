"""The work folder of a build: exclusive until the end, and removed without a trace."""

from pathlib import Path

import pytest

from clothseg.errors import ClothsegError
from clothseg.openimages.build.work_folder import WorkFolder


def test_remove_holds_the_lock_until_the_folder_closes(tmp_path: Path) -> None:
    work = WorkFolder(tmp_path / "new" / "out")
    with work.open({}):
        (work.images / "photo.jpg").write_bytes(b"photo")
        work.remove()
        # The open lock file stays: Windows cannot delete it, and no other build may start yet.
        assert [path.name for path in work.folder.iterdir()] == ["lock"]
        with pytest.raises(ClothsegError, match="another build"), WorkFolder(work.out).open({}):
            pass
    assert not (tmp_path / "new").exists()


def test_publish_replaces_the_dataset_and_leaves_nothing_else(tmp_path: Path) -> None:
    work = WorkFolder(tmp_path / "out")
    work.out.mkdir()
    (work.out / "old.txt").write_text("old")
    with work.open({}):
        (work.images / "photo.jpg").write_bytes(b"photo")
        work.publish()
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert [str(path.relative_to(work.out)) for path in work.out.rglob("*.*")] == [str(Path("images") / "photo.jpg")]


def test_an_interrupted_folder_stays_and_is_cleared_for_other_photos(tmp_path: Path) -> None:
    work = WorkFolder(tmp_path / "out")
    for facts, expected in (({"max_size": 1}, False), ({"max_size": 1}, True), ({"max_size": 2}, False)):
        with work.open(facts):
            assert (work.images / "photo.jpg").exists() is expected
            (work.images / "photo.jpg").write_bytes(b"photo")
