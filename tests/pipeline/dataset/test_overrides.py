from pathlib import Path

import pytest

from pipeline.dataset.overrides import Override, parse_text, read_overrides
from pipeline.errors import UserError

NAMES = ["a/utterance_1", "a/utterance_2", "b/utterance_1"]


def write(tmp_path: Path, *lines: str) -> Path:
    path = tmp_path / "overrides.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_what_can_be_said(tmp_path):
    path = write(
        tmp_path,
        "video,utterance,speaker,audio_stream,video_stream,rotation",
        "a,utterance_1.mp4,320 180.5 @2.25,1,0,270",
        "a,utterance_2.mp4,@3,,",
        'b,utterance_1.mp4,"17, 4",,',
    )
    assert read_overrides(path, NAMES) == {
        "a/utterance_1": Override((320.0, 180.5), 2.25, audio_stream=1, video_stream=0, rotation=270),
        "a/utterance_2": Override(seconds=3.0),
        "b/utterance_1": Override((17.0, 4.0)),
    }


def test_columns_may_be_absent_and_empty_rows_say_nothing(tmp_path):
    path = write(tmp_path, "audio_stream;video;utterance", "2;a;utterance_1.mp4", ";a;utterance_2.mp4")
    assert read_overrides(path, NAMES) == {"a/utterance_1": Override(audio_stream=2)}


@pytest.mark.parametrize(
    "override", [Override(), Override((1.5, 2.0)), Override(None, 0.0), Override((0.0, 0.0), 1.25, 0, 3, 90)]
)
def test_the_text_gives_the_override_back(override):
    assert parse_text(override.text) == override
    assert (override.text == "") == (override == Override())


def test_all_problems_are_told_at_once(tmp_path):
    path = write(
        tmp_path,
        "video,utterance,speaker,audio_stream",
        "a,utterance_1.mp4,left,",
        "a,utterance_9.mp4,@1,",
        "b,utterance_1.mp4,,-1",
        "b,utterance_1.mp4,@1,",
        "b,utterance_1.mp4,@2,",
    )
    with pytest.raises(UserError) as caught:
        read_overrides(path, NAMES)
    told = str(caught.value).splitlines()
    assert [line.split(":")[1] for line in told] == ["2", "3", "4", "6"]
    for line, words in zip(
        told,
        [
            "speaker is 'left'; it must be a point",
            "a/utterance_9 is in none of the data set's files; did you mean a/utterance_",
            "audio_stream is '-1'; it must be a whole number",
            "b/utterance_1 has two rows; keep one",
        ],
        strict=True,
    ):
        assert words in line


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(UserError, match=r"none\.csv: cannot be read: No such file"):
        read_overrides(tmp_path / "none.csv", NAMES)
    with pytest.raises(UserError, match="the file is empty"):
        read_overrides(write(tmp_path, ""), NAMES)
    with pytest.raises(UserError, match="column utterance is missing"):
        read_overrides(write(tmp_path, "video,speaker"), NAMES)


def test_only_what_is_said_anew_is_made_anew(finished):
    (finished.folder / "overrides.csv").write_text("video,utterance,speaker,audio_stream\n", encoding="utf-8")
    finished.configure("[dataset]\noverrides = overrides.csv\n")
    with (finished.folder / "omg_TrainVideos.csv").open(encoding="utf-8") as file:
        video, utterance = file.readlines()[1].split(",")[3:5]
    plans = set((finished.folder / "store" / "shards").iterdir())
    finished.run(task="Features")
    assert set((finished.folder / "store" / "shards").iterdir()) == plans, "nothing is said yet"

    with (finished.folder / "overrides.csv").open("a", encoding="utf-8") as file:
        file.write(f"{video},{utterance},@1,7\n")
    ended = finished.run(task="Features")
    (new,) = set((finished.folder / "store" / "shards").iterdir()) - plans
    assert '"seconds' in new.read_text(encoding="utf-8")
    row = finished.ledger()[f"{video}/{Path(utterance).stem}"]
    assert (row["sound"], row["picture"]) == ("no_stream", "ok"), ended.stderr
    assert sum(other["sound"] == "ok" for other in finished.ledger().values()) == 8


def test_a_turn_by_nothing_says_nothing_and_others_than_quarters_are_refused(tmp_path):
    path = write(tmp_path, "video,utterance,rotation", "a,utterance_1.mp4,0", "a,utterance_2.mp4,180")
    assert read_overrides(path, NAMES) == {"a/utterance_2": Override(rotation=180)}
    path = write(tmp_path, "video,utterance,rotation", "a,utterance_1.mp4,45")
    with pytest.raises(UserError, match="rotation is '45'; it must be 0, 90, 180 or 270, in degrees clockwise"):
        read_overrides(path, NAMES)


def test_a_channel_of_the_sound_can_be_named(tmp_path):
    path = tmp_path / "overrides.csv"
    path.write_text("video,utterance,audio_channel\nv,a.mp4,1\n")
    (override,) = read_overrides(path, ["v/a"]).values()
    assert override == Override(audio_channel=1)
    assert parse_text(override.text) == override
    path.write_text("video,utterance,audio_channel\nv,a.mp4,left\n")
    with pytest.raises(UserError, match="audio_channel is 'left'; it must be a whole number"):
        read_overrides(path, ["v/a"])
