from __future__ import annotations

from pathlib import Path

import fsspec
import pytest

from embedtune.data.dataset import RetrievalDataset
from embedtune.data.places import place_of
from embedtune.errors import DataError, MissingPackageError


def test_paths_stay_paths(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for path in ("data/set", "C:/set", "a:b", tmp_path / "s3:/x", "./s3:/x"):
        assert place_of(path) == Path(path)
    (tmp_path / "s3:" / "x").mkdir(parents=True)
    assert place_of("s3:/x") == Path("s3:/x")


def test_file_urls_are_paths():
    for url in ("file:///a/b", "file:/a/b", Path("file:///a/b")):
        assert place_of(url) == Path("/a/b")


@pytest.mark.parametrize("kind", ["folder", "folder.arrow", "set.json"])
def test_a_dataset_at_a_url_is_the_same(tmp_path, sample, kind):
    pytest.importorskip("upath")
    sample.write(tmp_path / kind)
    system = fsspec.filesystem("memory")
    for file in [tmp_path / kind, *(tmp_path / kind).glob("*")]:
        if file.is_file():
            system.pipe_file(f"/桶/{file.relative_to(tmp_path)}", file.read_bytes())
    for url in (f"memory://桶/{kind}", Path(f"memory://桶/{kind}")):
        again = RetrievalDataset.read(url)
        assert again == sample
        assert again.content_hash() == sample.content_hash()


def test_what_is_not_there_or_cannot_be_read_is_said():
    pytest.importorskip("upath")
    with pytest.raises(DataError, match="there is no file memory://none/x"):
        RetrievalDataset.read("memory://none/x")
    with pytest.raises(MissingPackageError, match="s3fs"):
        RetrievalDataset.read("s3://bucket/x")
    with pytest.raises(MissingPackageError, match="nosuch:// can't be read"):
        RetrievalDataset.read("nosuch://bucket/x")
