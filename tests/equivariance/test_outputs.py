"""Folders of results: checked beforehand, never over others' results, each file whole or not at all."""

import os

import pytest
import xarray as xr

from equivariance.bad_input import BadInput
from equivariance.results import OutputFolder, as_bytes, stored_configuration
from tests.equivariance.synthetic import synthetic

NAMES = ("a.nc", "a.html")


def results(configuration: str) -> bytes:
    return as_bytes(synthetic().assign_attrs(configuration=configuration))


def test_a_missing_folder_is_made(tmp_path):
    folder = OutputFolder(tmp_path / "new" / "out", NAMES)
    assert list((tmp_path / "new" / "out").iterdir()) == []
    written = folder.write({"a.nc": b"1", "a.html": b"2"})
    assert [p.read_bytes() for p in written] == [b"1", b"2"]
    assert sorted(p.name for p in folder.path.iterdir()) == sorted(NAMES)


@pytest.mark.parametrize("path", ["file", "file/below", "file/far/below"])
def test_a_folder_that_cannot_be_is_refused(tmp_path, path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(BadInput, match=r"can't write to --out .*file.*: \w+"):
        OutputFolder(tmp_path / path, NAMES)
    assert (tmp_path / "file").read_text() == "mine"


def test_a_folder_in_the_place_of_a_file_is_refused(tmp_path):
    (tmp_path / "a.html").mkdir()
    with pytest.raises(BadInput, match=r"a\.html: there is a folder of that name"):
        OutputFolder(tmp_path, NAMES)


def test_the_same_configuration_may_be_replaced(tmp_path):
    (tmp_path / "a.nc").write_bytes(results('{"size": 8}'))
    OutputFolder(tmp_path, NAMES).refuse_other({"size": 8})


def test_other_files_in_the_folder_do_not_matter(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    folder = OutputFolder(tmp_path, NAMES)
    folder.refuse_other({"size": 8})
    folder.write({"a.nc": b"1"})
    assert (tmp_path / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (results('{"size": 16}'), r"another configuration \(size 16 and not 8\).*--overwrite"),
        (results('{"size": 8, "old": 1}'), r"\(old 1 and not None\)"),
        (results("[]"), "can't be read"),
        (as_bytes(synthetic()), "can't be read"),
        (b"no NetCDF", "can't be read"),
        (b"", "can't be read"),
    ],
)
def test_other_results_are_refused(tmp_path, content, message):
    (tmp_path / "a.nc").write_bytes(content)
    with pytest.raises(BadInput, match=message):
        OutputFolder(tmp_path, NAMES).refuse_other({"size": 8})
    assert (tmp_path / "a.nc").read_bytes() == content


def test_a_page_without_its_numbers_is_refused(tmp_path):
    (tmp_path / "a.html").write_text("whose?")
    with pytest.raises(BadInput, match="can't be read"):
        OutputFolder(tmp_path, NAMES).refuse_other({"size": 8})


def test_a_failure_leaves_what_was_there(tmp_path, monkeypatch):
    """The disc fills up while the second file is written."""
    (tmp_path / "a.nc").write_bytes(b"old")
    folder = OutputFolder(tmp_path, NAMES)
    write = type(tmp_path).write_bytes

    def full(self, data):
        if "html" in self.name:
            write(self, data[:1])
            raise OSError(28, "No space left on device")
        return write(self, data)

    monkeypatch.setattr(type(tmp_path), "write_bytes", full)
    with pytest.raises(BadInput, match="No space left on device"):
        folder.write({"a.nc": b"new", "a.html": b"new"})
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == {"a.nc": b"old"}


def test_files_have_the_rights_that_others_have(tmp_path):
    (path,) = OutputFolder(tmp_path, NAMES).write({"a.nc": b"1"})
    (tmp_path / "other").write_bytes(b"1")
    assert os.stat(path).st_mode == os.stat(tmp_path / "other").st_mode


def test_netcdf_comes_back_as_it_was(tmp_path):
    data = synthetic().assign_attrs(configuration='{"a": "ü × ▷"}')
    (tmp_path / "a.nc").write_bytes(as_bytes(data))
    for engine in ("scipy", "netcdf4"):
        with xr.open_dataset(tmp_path / "a.nc", engine=engine) as back:
            assert back.attrs == data.attrs
            assert back["t"].encoding.get("_FillValue") is None
            xr.testing.assert_equal(back.load(), data)
    assert stored_configuration(tmp_path / "a.nc") == {"a": "ü × ▷"}


def test_older_files_of_the_same_results_do_not_stay(tmp_path):
    folder = OutputFolder(tmp_path, ("a.nc", "a.png", "a.html"))
    folder.write({"a.nc": b"1", "a.png": b"2", "a.html": b"3"})
    (tmp_path / "b.png").write_bytes(b"mine")
    folder.write({"a.nc": b"4", "a.html": b"5"})
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.html", "a.nc", "b.png"]
