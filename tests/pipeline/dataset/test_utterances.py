import pytest

from pipeline.dataset.utterances import DatasetError, read_dataset, utterance_name

HEADER = "link,start,end,video,utterance,arousal,valence,EmotionMaxVote\n"


def write(folder, text, name="train.csv", encoding="utf-8"):
    path = folder / name
    path.write_bytes(text.encode(encoding))
    return path


def read(folder, text, **kwargs):
    return read_dataset({"train": write(folder, text, **kwargs)})


def test_reads_a_row_of_omg(tmp_path):
    data = read(tmp_path, HEADER + "https://youtu.be/x,12.5,19.0,5b44393ed,utterance_4.mp4,0.4,-0.25,3\n")
    (row,) = data.utterances
    assert (row.video, row.utterance, row.split) == ("5b44393ed", "utterance_4.mp4", "train")
    assert (row.arousal, row.valence) == (0.4, -0.25)
    assert (row.link, row.start, row.end) == ("https://youtu.be/x", "12.5", "19.0")
    assert (row.csv_path, row.line, row.name) == (tmp_path / "train.csv", 2, "5b44393ed/utterance_4")
    assert data.warnings == ()


def test_junk_of_the_copies_in_circulation(tmp_path):
    text = (
        "link,start,end,video ,utterance, arousal,valence ,EmotionMaxVote\r\n"
        "l,0,1, v , utterance_1.mp4 ,0.1 , 0.2,1\r\n"
        ",,,,,0.45,0.16,\r\n"
        "\r\n"
        ",,,,,,,\r\n"
        'l,0,1,v,"utterance_2.mp4",0.3,0.4,1\r\n'
    )
    data = read(tmp_path, text, encoding="utf-8-sig")
    assert [(u.video, u.utterance, u.arousal) for u in data.utterances] == [
        ("v", "utterance_1.mp4", 0.1),
        ("v", "utterance_2.mp4", 0.3),
    ]
    assert data.warnings == tuple(
        f"{tmp_path / 'train.csv'}:{line}: row left out: it has neither a video nor an utterance" for line in (3, 5)
    )


def test_the_test_file_has_no_labels_and_a_labelled_one_has(tmp_path):
    plain = read(tmp_path, "link,start,end,video,utterance\nl,0,1,v,u.mp4\n")
    assert (plain.utterances[0].arousal, plain.utterances[0].valence) == (None, None)
    assert plain.warnings == ()
    labelled = read(tmp_path, HEADER + "l,0,1,v,u.mp4,1,-1,0\n")
    assert (labelled.utterances[0].arousal, labelled.utterances[0].valence) == (1.0, -1.0)


def test_order_of_files_and_rows_is_kept(tmp_path):
    paths = {
        "train": write(tmp_path, "video,utterance\nb,2.mp4\na,1.mp4\n", "t.csv"),
        "validation": write(tmp_path, "video,utterance\na,0.mp4\n", "v.csv"),
    }
    assert [(u.split, u.name) for u in read_dataset(paths).utterances] == [
        ("train", "b/2"),
        ("train", "a/1"),
        ("validation", "a/0"),
    ]


def test_semicolons_and_quoted_names(tmp_path):
    data = read(tmp_path, 'video;utterance;arousal;valence\n"Jörg; ""J"" & Söhne";"take 1.mp4";0;0\n')
    assert data.utterances[0].name == 'Jörg; "J" & Söhne/take 1'


def test_line_numbers_count_lines_of_the_file_not_rows(tmp_path):
    data = read(tmp_path, 'link,video,utterance\n"two\nlines",v,1.mp4\n\nx,v,2.mp4\n')
    assert [u.line for u in data.utterances] == [2, 5]


def test_a_row_with_more_fields_than_the_header_is_left_out(tmp_path):
    data = read(tmp_path, HEADER + "a,b,0,1,v,1.mp4,0.1,0.2,3\nl,0,1,v,2.mp4,0.1,0.2,3,,\n")
    assert [u.utterance for u in data.utterances] == ["2.mp4"]
    assert data.warnings == (f"{tmp_path / 'train.csv'}:2: row left out: it has 9 fields, the header has 8",)


def test_an_unlabelled_row_among_labelled_ones_is_kept_with_a_warning(tmp_path):
    data = read(tmp_path, "video,utterance,arousal,valence\nv,1.mp4,0.1,0.2\nv,2.mp4,,\n")
    assert data.utterances[1].arousal is None
    assert len(data.warnings) == 1
    assert "train.csv:3: no labels" in data.warnings[0]


@pytest.mark.parametrize("label", ["1.01", "-1.5", "nan", "inf", "high", "0,5x", ""])
def test_a_label_that_is_no_number_in_range_is_an_error(tmp_path, label):
    with pytest.raises(DatasetError, match=r"train.csv:2: arousal is .*; it must be a number in \[-1, 1\]") as caught:
        read(tmp_path, f'video,utterance,arousal,valence\nv,1.mp4,"{label}",0.2\n')
    assert f"arousal is {label!r}" in str(caught.value)


@pytest.mark.parametrize(
    ("video", "match"),
    [
        ("../x", r"video is '../x'; it must be a plain name"),
        ("/etc/x", r"video is '/etc/x'; it must be a plain name"),
        ("..", r"video is '\.\.'"),
        (".", r"video is '\.'"),
        ("a\\b", r"video is 'a\\\\b'"),
        ("", "video is empty"),
        ("a\0b", "must not have control characters"),
    ],
)
def test_names_that_leave_the_folder_are_refused(tmp_path, video, match):
    with pytest.raises(DatasetError, match=match):
        read(tmp_path, f"video,utterance\n{video},1.mp4\n")
    with pytest.raises(DatasetError, match=match.replace("video", "utterance")):
        read(tmp_path, f"video,utterance\nv,{video}\n")


def test_an_utterance_twice_is_an_error_in_one_split_and_in_two(tmp_path):
    paths = {
        "train": write(tmp_path, "video,utterance\nv,1.mp4\nv,1.mp4\nw,1.mp4\n", "t.csv"),
        "test": write(tmp_path, "video,utterance\nw,1.webm\n", "s.csv"),
    }
    with pytest.raises(DatasetError) as caught:
        read_dataset(paths)
    assert caught.value.problems == (
        f"{paths['train']}:3: utterance v/1 is there twice: first at {paths['train']}:2 (train)",
        f"{paths['test']}:2: utterance w/1 is there twice: first at {paths['train']}:4 (train)",
    )


def test_all_problems_are_told_at_once(tmp_path):
    paths = {
        "train": write(tmp_path, "video,arousal,video\n", "t.csv"),
        "validation": write(tmp_path, "video,utterance,arousal,valence\n../v,1.mp4,7,0\nv,2.mp4,0,x\n", "v.csv"),
        "test": tmp_path / "none.csv",
    }
    with pytest.raises(DatasetError) as caught:
        read_dataset(paths)
    train, validation = paths["train"], paths["validation"]
    assert caught.value.problems == (
        f"{train}:1: column video occurs 2 times",
        f"{train}:1: column utterance is missing; the file has video, arousal, video",
        f"{train}:1: column valence is missing; the file has video, arousal, video",
        f"{validation}:2: video is '../v'; it must be a plain name inside the folder of videos",
        f"{validation}:2: arousal is '7'; it must be a number in [-1, 1]; for another scale, set [dataset] label_range "
        "or --label-range",
        f"{validation}:3: valence is 'x'; it must be a number in [-1, 1]",
        f"{paths['test']}: cannot be read: No such file or directory",
    )


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"", "the file is empty; expected a header with video, utterance"),
        (b"video,utterance\n", "there is no utterance in it"),
        (b"video,utterance\nv,1.mp4\nv,J\xf6rg.mp4\n", "train.csv:3: not UTF-8"),
        (b'video,utterance\nv,"1.mp4\nv,2.mp4\n', "train.csv:2: not a row of CSV: unexpected end of data"),
    ],
)
def test_files_that_cannot_be_used(tmp_path, content, match):
    path = tmp_path / "train.csv"
    path.write_bytes(content)
    with pytest.raises(DatasetError, match=match):
        read_dataset({"train": path})


@pytest.mark.parametrize(
    ("utterance", "name"),
    [
        ("utterance_4.mp4", "v/utterance_4"),
        ("utterance_4", "v/utterance_4"),
        ("clip.3gp", "v/clip"),
        ("a.b.MP4", "v/a.b"),
        ("take_1.5", "v/take_1.5"),
        ("S01.E02", "v/S01.E02"),
        ("S01.E02.mkv", "v/S01.E02"),
        ("scene.M4V", "v/scene"),
        (".mp4", "v/.mp4"),
        ("ends with dot.", "v/ends with dot."),
    ],
)
def test_names_lose_their_ending_and_nothing_else(utterance, name):
    assert utterance_name("v", utterance) == name
