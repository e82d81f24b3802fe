from __future__ import annotations

import os
import pickle
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ggcam.errors import DataError, ImageError
from ggcam.utils.safe_pickle import load_array, load_builtins, load_tensors

PLAIN = hnp.arrays(
    dtype=st.one_of(
        hnp.boolean_dtypes(),
        hnp.integer_dtypes(endianness="="),
        hnp.unsigned_integer_dtypes(),
        hnp.floating_dtypes(sizes=(16, 32, 64)),
        hnp.integer_dtypes(endianness=">"),
    ),
    shape=hnp.array_shapes(min_dims=0, max_dims=3, min_side=1, max_side=5),
)


def written(folder: Path, value: object, protocol: int = 4) -> Path:
    path = folder / "x.pk"
    path.write_bytes(pickle.dumps(value, protocol))
    return path


@settings(max_examples=150, deadline=None)
@given(PLAIN, st.sampled_from([2, 3, 4, 5]), st.sampled_from(["C", "F", "strided"]))
def test_an_array_comes_back_as_it_was_pickled(tmp_path_factory, array, protocol, order):
    if order == "strided":
        array = np.repeat(np.atleast_1d(array), 2, axis=-1)[..., ::2]
    else:
        array = np.asarray(array, order=order)
    found = load_array(written(tmp_path_factory.mktemp("p"), array, protocol))
    np.testing.assert_array_equal(found, array)
    assert found.dtype == array.dtype.newbyteorder("=")


def test_a_matrix_comes_back_as_an_array_and_older_names_of_numpys_modules_are_known(tmp_path):
    array = np.arange(6, dtype=np.int16).reshape(2, 3)
    found = load_array(written(tmp_path, np.asmatrix(array)))
    assert type(found) is np.ndarray
    np.testing.assert_array_equal(found, array)
    content = pickle.dumps(array, 3).replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
    assert b"numpy.core.multiarray" in content
    (tmp_path / "old.pk").write_bytes(content)
    np.testing.assert_array_equal(load_array(tmp_path / "old.pk"), array)


class Hostile:
    """Makes a file when it is unpickled the usual way."""

    def __init__(self, victim: Path):
        self.victim = victim

    def __reduce__(self) -> tuple:
        return os.mkdir, (str(self.victim),)


def hidden_in_an_array(victim: Path) -> object:
    return np.array([Hostile(victim)], dtype=object)


def beside_an_array(victim: Path) -> object:
    return [np.zeros(3), Hostile(victim)]


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("made", [Hostile, hidden_in_an_array, beside_an_array])
def test_a_hostile_pickle_is_refused_by_name_and_nothing_of_it_runs(tmp_path, made, protocol):
    path = written(tmp_path, made(tmp_path / "victim"), protocol)
    with pytest.raises(ImageError, match="not allowed") as caught:
        load_array(path)
    if made is not hidden_in_an_array:  # there the type of the array is refused before what is in it
        assert f"{os.mkdir.__module__}.mkdir" in str(caught.value)
    assert str(path) in str(caught.value)
    assert not (tmp_path / "victim").exists()
    pickle.loads(path.read_bytes())
    assert (tmp_path / "victim").exists(), "the pickle is not hostile, so the test shows nothing"


@pytest.mark.parametrize(
    "name", ["builtins.eval", "os.system", "numpy.load", "builtins.getattr", "copyreg._reconstructor"]
)
def test_every_other_global_is_refused(tmp_path, name):
    module, attribute = name.rsplit(".", 1)
    (tmp_path / "x.pk").write_bytes(b"\x80\x02c" + f"{module}\n{attribute}\n".encode() + b".")
    with pytest.raises(ImageError, match=name):
        load_array(tmp_path / "x.pk")


def test_no_codec_but_latin1_is_looked_up(tmp_path):
    (tmp_path / "x.pk").write_bytes(b"\x80\x02c_codecs\nencode\nX\x01\x00\x00\x00aX\x04\x00\x00\x00zlib\x86R.")
    with pytest.raises(ImageError, match=r"_codecs\.encode to zlib"):
        load_array(tmp_path / "x.pk")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.array(["a"]), "an array of type U1"),
        (np.zeros(2, [("a", "i4")]), "an array of type V4"),
        (np.zeros(2, complex), "an array of type c16"),
        (np.array([None]), "an array of type O8"),
        (np.float32(3), "multiarray.scalar"),
        ([1, 2], "got: list"),
        (None, "got: NoneType"),
        (torch.zeros(2), "torch"),
    ],
)
def test_what_is_no_array_of_numbers_is_refused(tmp_path, value, message):
    with pytest.raises(ImageError, match=message):
        load_array(written(tmp_path, value))


@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_a_pickle_cut_off_anywhere_is_refused(tmp_path, protocol):
    content = pickle.dumps(np.arange(4, dtype=np.float32), protocol)
    for end in range(len(content)):
        (tmp_path / "x.pk").write_bytes(content[:end])
        with pytest.raises(ImageError, match="truncated or damaged"):
            load_array(tmp_path / "x.pk")


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from([2, 4, 5]))
def test_a_garbled_pickle_ends_in_an_array_or_an_image_error(tmp_path_factory, seed, protocol):
    rng = np.random.default_rng(seed)
    data = bytearray(pickle.dumps(np.arange(12, dtype=np.int16).reshape(3, 4), protocol))
    for at in rng.integers(0, len(data), 2):
        data[at] = rng.integers(256)
    path = tmp_path_factory.mktemp("garbled") / "x.pk"
    path.write_bytes(bytes(data))
    with suppress(ImageError):
        assert isinstance(load_array(path), np.ndarray)


def test_an_array_whose_shape_belies_its_bytes_is_refused(tmp_path):
    content = pickle.dumps(np.arange(6, dtype=np.int8).reshape(2, 3), 4)
    (tmp_path / "x.pk").write_bytes(content.replace(b"K\x02K\x03\x86", b"K\x09K\x09\x86"))
    with pytest.raises(ImageError, match="cannot reshape"):
        load_array(tmp_path / "x.pk")


# --- built-in containers

CONTAINERS = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.complex_numbers(allow_nan=False),
    lambda inner: (
        st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(st.text(), inner) | st.frozensets(st.text())
    ),
    max_leaves=10,
)


@settings(max_examples=100, deadline=None)
@given(CONTAINERS, st.sampled_from([0, 2, 4, 5]))
def test_containers_come_back_as_they_were_pickled(tmp_path_factory, value, protocol):
    assert load_builtins(written(tmp_path_factory.mktemp("p"), value, protocol)) == value


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
def test_a_hostile_object_in_a_container_is_refused_by_name_and_nothing_of_it_runs(tmp_path, protocol):
    path = written(tmp_path, {"image": [(0.1, 0.2, 3), Hostile(tmp_path / "victim")]}, protocol)
    with pytest.raises(DataError, match=rf"not allowed(.|\n)*got: {os.mkdir.__module__}.mkdir\n"):
        load_builtins(path)
    assert not (tmp_path / "victim").exists()
    pickle.loads(path.read_bytes())
    assert (tmp_path / "victim").exists(), "the pickle is not hostile, so the test shows nothing"


@pytest.mark.parametrize("name", ["builtins.eval", "builtins.getattr", "builtins.__import__", "numpy.ndarray"])
def test_other_globals_are_refused_among_containers(tmp_path, name):
    module, attribute = name.rsplit(".", 1)
    (tmp_path / "x.pk").write_bytes(b"\x80\x02c" + f"{module}\n{attribute}\n".encode() + b".")
    with pytest.raises(DataError, match=name):
        load_builtins(tmp_path / "x.pk")


# --- .pt files


def test_tensors_come_back_as_arrays(tmp_path):
    tensors = {"a": torch.arange(6.0).reshape(2, 3), "b": torch.tensor([True, False]), "c": torch.tensor(7)}
    torch.save(tensors, tmp_path / "x.pt")
    found = load_tensors(tmp_path / "x.pt")
    assert list(found) == ["a", "b", "c"]
    for name, tensor in tensors.items():
        np.testing.assert_array_equal(found[name], tensor.numpy())
        assert found[name].dtype == tensor.numpy().dtype


def test_a_hostile_pt_file_is_refused_by_name_and_nothing_of_it_runs(tmp_path):
    path = tmp_path / "x.pt"
    torch.save({"cxr": torch.zeros(2), "evil": Hostile(tmp_path / "victim")}, path)
    with pytest.raises(
        ImageError, match=rf"more than tensors(.|\n)*got: {os.mkdir.__module__}.mkdir\n(.|\n)*nothing of it was run"
    ):
        load_tensors(path)
    assert not (tmp_path / "victim").exists()
    torch.load(path, weights_only=False)
    assert (tmp_path / "victim").exists(), "the file is not hostile, so the test shows nothing"


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([torch.zeros(2)], "not hold a dictionary of tensors"),
        ({"cxr": torch.zeros(2), "Y": 1}, r"not hold a dictionary of tensors(.|\n)*'Y': 'int'"),
        ({"cxr": torch.zeros(2, dtype=torch.bfloat16)}, "not of plain numbers"),
        pytest.param(
            {"cxr": torch.eye(2).to_sparse()},
            "not of plain numbers",
            marks=pytest.mark.filterwarnings("ignore:Validating sparse tensor"),
        ),
    ],
)
def test_what_is_no_dictionary_of_plain_tensors_is_refused(tmp_path, value, message):
    torch.save(value, tmp_path / "x.pt")
    with pytest.raises(ImageError, match=message):
        load_tensors(tmp_path / "x.pt")


def test_a_pt_file_cut_off_is_refused(tmp_path):
    torch.save({"cxr": torch.zeros(100)}, tmp_path / "whole.pt")
    content = (tmp_path / "whole.pt").read_bytes()
    for end in (0, 10, len(content) // 2, len(content) - 1):
        (tmp_path / "x.pt").write_bytes(content[:end])
        with pytest.raises(ImageError, match="truncated or damaged"):
            load_tensors(tmp_path / "x.pt")
