"""CSV files as people and spreadsheets write them."""

import pytest

from pipeline.dataset.csv_files import find_columns, read_rows


def read(path, content):
    path.write_bytes(content)
    problems = []
    return list(read_rows(path, problems)), [problem.removeprefix(str(path)) for problem in problems]


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("delimiter", [b",", b";", b"\t"])
@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_marks_delimiters_and_line_ends_do_not_count(tmp_path, mark, delimiter, end):
    content = mark + end.join([delimiter.join([b" video ", b"arousal"]), b"", delimiter.join([b"v", b"0.5"]), b""])
    assert read(tmp_path / "a.csv", content) == ([(1, ["video", "arousal"]), (3, ["v", "0.5"])], [])


def test_the_line_of_a_row_is_where_it_begins_although_a_cell_has_lines_of_its_own(tmp_path):
    rows, _ = read(tmp_path / "a.csv", b'a,b\n"one\ntwo",x\nlast,y\n')
    assert rows == [(1, ["a", "b"]), (2, ["one\ntwo", "x"]), (4, ["last", "y"])]


def test_a_file_that_is_no_text_names_its_line(tmp_path):
    assert read(tmp_path / "a.csv", "video\nMüller\n".encode("latin-1")) == (
        [],
        [":2: not UTF-8; save the file as UTF-8"],
    )


def test_a_quote_that_is_never_closed_names_its_line(tmp_path):
    rows, problems = read(tmp_path / "a.csv", b'a,b\n1,2\n"3,4\n')
    assert [line for line, _ in rows] == [1, 2]
    assert problems[0].startswith(":3: not a row of CSV: ")


def test_a_file_that_is_not_there_says_so(tmp_path):
    problems = []
    assert list(read_rows(tmp_path / "none.csv", problems)) == []
    assert problems == [f"{tmp_path / 'none.csv'}: cannot be read: No such file or directory"]


def test_columns_are_found_whatever_their_case_and_others_are_let_be(tmp_path):
    problems = []
    known = {"required": ["video", "utterance"], "optional": ["arousal"], "problems": problems}
    assert find_columns(tmp_path, ["Note", "UTTERANCE", "Video", "note"], **known) == {"utterance": 1, "video": 2}
    assert problems == []
    assert find_columns(tmp_path, ["video", "VIDEO", "", "arousal"], **known) is None
    assert problems == [
        f"{tmp_path}:1: column video occurs 2 times",
        f"{tmp_path}:1: column utterance is missing; the file has video, VIDEO, arousal",
    ]
