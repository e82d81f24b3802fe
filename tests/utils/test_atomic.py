import pytest

from ggcam.utils.atomic import atomic_path, atomic_write


def test_a_file_is_replaced_whole_and_nothing_is_left_beside_it(tmp_path):
    path = tmp_path / "a.txt"
    atomic_write(path, "one")
    atomic_write(path, b"two")
    assert path.read_text() == "two"
    assert list(tmp_path.iterdir()) == [path]


def fail_half_way(path):
    with atomic_path(path) as aside:
        aside.write_text("tw")
        raise ValueError("half-way")


def test_a_block_that_fails_leaves_what_was_there(tmp_path):
    path = tmp_path / "a.txt"
    atomic_write(path, "one")
    with pytest.raises(ValueError, match="half-way"):
        fail_half_way(path)
    assert path.read_text() == "one"
    assert list(tmp_path.iterdir()) == [path]
