import bz2
import gzip
import lzma
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ggcam.data.table_files import text_encoding
from ggcam.data.tables import column_names, read_blocks, read_chunks, read_table
from ggcam.errors import MissingFileError, TableError


def write(tmp_path, data, name="t.csv"):
    path = tmp_path / name
    path.write_bytes(data)
    return path


def test_only_the_requested_columns_are_read_in_that_order(tmp_path):
    table = read_table(write(tmp_path, b"c,a,b\n3,1,\n6,4,5\n"), ["a", "c"], ["b", "d"])
    assert list(table.columns) == ["a", "c", "b"]
    assert table["c"].tolist() == ["3", "6"]
    assert table["b"].tolist() == ["", "5"]
    assert "d" not in table
    assert table.row.tolist() == [2, 3]


def test_byte_order_mark_crlf_whitespace_and_quoted_line_breaks_are_allowed(tmp_path):
    data = b'\xef\xbb\xbf a ,"b"\r\n 1 ,"x\r\n""y"", z"\r\n2,\r\n'
    table = read_table(write(tmp_path, data), ["a", "b"])
    assert table["a"].tolist() == ["1", "2"]
    assert table["b"].tolist() == ['x\r\n"y", z', ""]
    assert table.row.tolist() == [2, 3]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=20))
def test_numbers_come_back_from_csv_gzip_and_parquet(tmp_path_factory, values):
    folder = tmp_path_factory.mktemp("tables")
    text = "x\n" + "".join(f"{value!r}\n" for value in values)
    (folder / "t.csv").write_text(text)
    (folder / "t.csv.gz").write_bytes(gzip.compress(text.encode()))
    pd.DataFrame({"x": values}).to_parquet(folder / "t.parquet")
    for name in ("t.csv", "t.csv.gz", "t.parquet"):
        np.testing.assert_allclose(read_table(folder / name, ["x"]).numbers("x"), values, rtol=1e-15)


def test_a_missing_value_is_nan_where_allowed_and_an_error_elsewhere(tmp_path):
    table = read_table(write(tmp_path, b"a,b\n1,\n2,nan\n3, \n"), ["a", "b"])
    assert all(math.isnan(value) for value in table.numbers("b", allow_blank=True))
    with pytest.raises(TableError, match=r"b is empty(.|\n)*t\.csv:2"):
        table.numbers("b")


@pytest.mark.parametrize("text", ["x", "1,5", "inf", "-inf", "1e999", "1 2", "--1"])
def test_text_that_is_not_a_number_is_reported_with_file_row_and_value(tmp_path, text):
    table = read_table(write(tmp_path, f'a\n1\n2\n"{text}"\n'.encode()), ["a"])
    with pytest.raises(TableError, match=r"a is not a finite number(.|\n)*t\.csv:4") as caught:
        table.numbers("a", allow_blank=True)
    assert text in str(caught.value)


def test_a_selection_keeps_the_row_numbers(tmp_path):
    table = read_table(write(tmp_path, b"a\n1\n2\nx\n"), ["a"]).select(np.array([False, True, True]))
    assert len(table) == 2
    with pytest.raises(TableError, match=r"t\.csv:4"):
        table.numbers("a")


def test_repeats_are_found_in_some_columns_or_all(tmp_path):
    table = read_table(write(tmp_path, b"a,b\n1,2\n1,3\n1,2\n"), ["a", "b"])
    assert table.repeats().tolist() == [False, False, True]
    assert table.repeats("a").tolist() == [False, True, True]


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n"])
def test_a_file_with_only_a_header_is_an_empty_table(tmp_path, end):
    assert len(read_table(write(tmp_path, b"a,b" + end), ["b"])) == 0


def test_other_columns_may_have_any_content(tmp_path):
    data = b"a,caf\xe9\n1,na\xefve\n"
    assert read_table(write(tmp_path, data), ["a"]).numbers("a").tolist() == [1]


BROKEN = {
    "no bytes": (b"", "no column a, b(.|\n)*an empty file"),
    "another column": (b"a,c\n1,2\n", "no column b(.|\n)*a, b(.|\n)*a, c"),
    "a column twice": (b"a,b,a\n1,2,3\n", "more than one column a"),
    "a short row": (b"a,b\n1,2\n3\n", "cannot be read(.|\n)*Row #3"),
    "bytes that are no text": (b"a,b\n" + b"PK\x03\x04" * 3, "cannot be read"),
    "a spreadsheet": (b"PK\x03\x04" + bytes(30), "ZIP archive or a spreadsheet"),
}


@pytest.mark.parametrize(("data", "message"), BROKEN.values(), ids=BROKEN)
def test_an_invalid_table_is_refused(tmp_path, data, message):
    with pytest.raises(TableError, match=message) as caught:
        read_table(write(tmp_path, data), ["a", "b"])
    assert "t.csv" in str(caught.value)


COMPRESS = {"gzip": gzip.compress, "bzip2": bz2.compress, "xz": lzma.compress}


@pytest.mark.parametrize("compress", COMPRESS.values(), ids=COMPRESS)
@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz", "T.TSV", "t"])
def test_compression_is_recognised_from_the_content(tmp_path, compress, name):
    path = write(tmp_path, compress(b"a\tb\n1\tx, y\n"), name)
    for table in (read_table(path, ["a", "b"]), *read_blocks(path, ["a", "b"])):
        assert (table["a"].tolist(), table["b"].tolist()) == (["1"], ["x, y"])
    assert read_table(write(tmp_path, b"a\n1\n", "plain.csv.gz"), ["a"])["a"].tolist() == ["1"]


@pytest.mark.parametrize("compress", COMPRESS.values(), ids=COMPRESS)
@pytest.mark.parametrize("damage", ["cut off", "a flipped byte"])
def test_damaged_compressed_content_is_refused(tmp_path, compress, damage):
    whole = bytearray(compress(b"a\n" + b"".join(b"%d\n" % (n * n) for n in range(3000))))
    if damage == "cut off":
        del whole[-40:]
    else:
        whole[len(whole) // 2] ^= 0xFF
    path = write(tmp_path, bytes(whole), "t.csv.gz")
    for read in (read_table, lambda *arguments: list(read_blocks(*arguments))):
        with pytest.raises(TableError, match=r"cannot be read(.|\n)*t\.csv\.gz"):
            read(path, ["a"])


def test_a_parquet_file_with_other_content_is_refused(tmp_path):
    for data in (b"a\n1\n", gzip.compress(b"a\n1\n")):
        with pytest.raises(TableError, match="cannot be read"):
            read_table(write(tmp_path, data, "t.parquet"), ["a"])


@pytest.mark.parametrize("content", [bytes(2**22), b"a,b\n" + b"1,2\n" * 2**20], ids=["zeros", "rows"])
def test_a_compressed_table_is_not_unpacked_beyond_the_limit(tmp_path, content):
    path = write(tmp_path, gzip.compress(content), "t.csv.gz")
    for read in (read_table, lambda *arguments: list(read_blocks(*arguments))):
        with pytest.raises(
            TableError, match=r"no column a|too large(.|\n)*at most 0.000976562 GiB|cannot be read|too long"
        ):
            read(path, ["a"], [], 2**20)


TEXTS = {
    "utf-16": "utf-16",
    "utf-16-le": "utf-16-le",
    "utf-8-sig": "utf-8",
    "cp1252": "cp1252",
    "latin-1": "cp1252",
    "cp932": "cp932",
}


@pytest.mark.parametrize(("written", "found"), TEXTS.items())
def test_the_text_encoding_is_recognised_and_logged(tmp_path, caplog, written, found):
    word = "肺炎の疑い" if written == "cp932" else "née Ödem"
    path = write(tmp_path, ("a,b\n" + "1,plain\n" * 2000 + f"2,{word}\n").encode(written), f"{written}.csv")
    assert text_encoding(path) == found
    for table in (read_table(path, ["b"]), *read_blocks(path, ["b"])):
        assert table["b"].tolist() == ["plain"] * 2000 + [word]
    logged = [record.getMessage() for record in caplog.records]
    if found in ("cp1252", "cp932"):
        assert len(logged) == 1
        assert found in logged[0]
        assert str(path) in logged[0]
    else:
        assert not logged


@pytest.mark.parametrize("word", ["µs", "it’s", "née", "Größe", "“a”", "100 €", "naïve café"])
def test_western_words_are_not_taken_for_japanese(tmp_path, word):
    path = write(tmp_path, f"a\n{word}\n".encode("cp1252"))
    assert read_table(path, ["a"])["a"].tolist() == [word]


@given(st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), max_size=60), st.integers(0, 3))
@settings(max_examples=100, deadline=None)
def test_valid_utf_8_is_taken_as_such_wherever_its_blocks_end(tmp_path_factory, text, shift):
    path = tmp_path_factory.mktemp("text") / "t.csv"
    path.write_text("a\n" + "x" * (2**20 - 20 + shift) + "ü€𝄞" * 9 + text, encoding="utf-8")
    assert text_encoding(path) == "utf-8"


@pytest.mark.parametrize("separator", [",", "\t", ";"])
def test_the_separator_is_recognised_from_the_header(tmp_path, separator):
    rows = [["a", '"b, or; more"', "c"], ["1", '"x;y,z"', "2"]]
    path = write(tmp_path, "\n".join(separator.join(row) for row in rows).encode(), "t.txt")
    table = read_table(path, ["a", "b, or; more", "c"])
    assert [column.tolist() for column in table.columns.values()] == [["1"], ["x;y,z"], ["2"]]


def test_a_missing_table_is_reported(tmp_path):
    with pytest.raises(MissingFileError, match="the table does not exist"):
        read_table(tmp_path / "t.csv", ["a"])


def test_column_names_are_stripped_and_an_empty_file_has_one_empty_name(tmp_path):
    assert column_names(write(tmp_path, b"\xef\xbb\xbf a , b\n1,2\n")) == ["a", "b"]
    assert column_names(write(tmp_path, b"a\tb c\n", "t.tsv")) == ["a", "b c"]
    assert column_names(write(tmp_path, b"")) == [""]


def test_chunks_of_a_large_file_equal_the_table_read_at_once(tmp_path):
    """More than the 8 MB of one chunk."""
    rng, rows = np.random.default_rng(0), 500_000
    frame = pd.DataFrame(
        {
            "reader": rng.choice(["Ann", " Bob", ""], rows),
            "remark": "unused",
            "x": rng.normal(size=rows).round(6),
            "y": 1.0,
        }
    )
    frame.loc[5, "x"] = np.nan
    path = write(tmp_path, gzip.compress(frame.to_csv(index=False).encode(), 1), "t.csv.gz")
    chunks = list(read_chunks(path, "reader", ["x", "y"]))
    assert len(chunks) > 1
    readers = [names[at] for names, index, _ in chunks for at in index]
    assert readers == frame["reader"].str.strip().tolist()
    for name in ("x", "y"):
        np.testing.assert_array_equal(np.concatenate([numbers[name] for _, _, numbers in chunks]), frame[name])


@pytest.mark.parametrize(
    ("data", "message"), [(b"r,x\na,1\na,two\n", r"cannot be read(.|\n)*two"), (b"r\na\n", "no column x")]
)
def test_invalid_chunks_are_refused(tmp_path, data, message):
    with pytest.raises(TableError, match=message):
        list(read_chunks(write(tmp_path, data), "r", ["x"]))


@pytest.mark.parametrize("columns", [20_001, 1_000_000])
def test_a_table_of_a_million_columns_is_refused_in_a_few_words(tmp_path, columns: int):
    path = tmp_path / "wide.csv"
    path.write_text(",".join(f"c{number}" for number in range(columns)) + "\n")
    with pytest.raises(TableError, match=r"first row of the table is too long(.|\n)*at most 20,000 columns") as caught:
        read_table(path, ["c1"])
    assert len(str(caught.value)) < 500
    path.write_text(",".join(f"c{number}" for number in range(20_000)) + "\n" + "1," * 19_999 + "2\n")
    assert read_table(path, ["c19999"])["c19999"].tolist() == ["2"]
