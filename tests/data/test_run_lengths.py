import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from data.sources.siim_fixture import encode
from ggcam.data.run_lengths import decompress_counts, draw_counts, draw_runs, parse_relative_runs

MASKS = arrays(bool, st.tuples(st.integers(1, 9), st.integers(1, 9)))


def counts_of(mask: np.ndarray) -> list[int]:
    """Lengths of the runs down the columns, the first of them outside; one pixel after the other."""
    counts, level = [0], False
    for pixel in mask.T.ravel().tolist():
        if pixel != level:
            counts.append(0)
            level = pixel
        counts[-1] += 1
    return counts


def compress(counts: list[int]) -> str:
    """COCO's compressed counts, written from its description."""
    text = ""
    for index, count in enumerate(counts):
        value = count - counts[index - 2] if index > 2 else count
        while True:
            bits, value = value & 0x1F, value >> 5
            more = value != (-1 if bits & 0x10 else 0)
            text += chr(48 + bits + (0x20 if more else 0))
            if not more:
                break
    return text


@given(MASKS)
def test_a_mask_is_recovered_from_its_counts(mask):
    counts = counts_of(mask)
    np.testing.assert_array_equal(draw_counts(counts, *mask.shape), mask)
    assert decompress_counts(compress(counts)) == tuple(counts)


@given(st.lists(st.integers(0, 10**7), max_size=9))
def test_counts_are_recovered_from_their_compressed_form(counts):
    assert decompress_counts(compress(counts)) == tuple(counts)


def test_counts_that_pycocotools_wrote_are_decoded():
    """Values of `pycocotools.mask.encode` for this mask."""
    rows = ["011100000", "001010100", "111100010", "000011001", "100101011", "010100101", "111011111"]
    mask = np.array([[digit == "1" for digit in row] for row in rows])
    counts = decompress_counts("2110010O141MNO011OO01011NO0021OOO00023")
    np.testing.assert_array_equal(draw_counts(counts, 7, 9), mask)
    block = np.zeros((100, 120), bool)
    block[20:60, 30:80] = True
    counts = decompress_counts("\\n2X1l1" + 97 * "0" + "\\l3")
    np.testing.assert_array_equal(draw_counts(counts, 100, 120), block)


@given(MASKS)
def test_a_mask_is_recovered_from_its_relative_runs(mask):
    if runs := encode(mask):
        np.testing.assert_array_equal(draw_runs(parse_relative_runs(runs), *mask.shape), mask)


@pytest.mark.parametrize(
    ("text", "message"), [("3\x1f", "invalid character"), ("3é", "invalid character"), ("3P", "cut off")]
)
def test_damaged_compressed_counts_are_refused(text, message):
    with pytest.raises(ValueError, match=message):
        decompress_counts(text)


@pytest.mark.parametrize("counts", [[5], [7], [-1, 7], []])
def test_counts_of_another_size_are_refused(counts):
    with pytest.raises(ValueError, match="not 2x3"):
        draw_counts(counts, 2, 3)


@pytest.mark.parametrize("text", ["", "5", "5 2 7", "a b", "-1 3", "1.5 2", "99999999999999999999 1", f"{2**41} 1"])
def test_runs_that_are_not_pairs_are_refused(text):
    with pytest.raises(ValueError, match="not pairs"):
        parse_relative_runs(text)


def test_runs_beyond_the_mask_are_refused():
    with pytest.raises(ValueError, match="pixel 7 of 6"):
        draw_runs(parse_relative_runs("2 5"), 2, 3)
