"""Names of files and utterances: endings, what may be a clip, how a name is shown."""

import pytest

from pipeline.dataset.names import compose, find_fault, is_media, rank_as_clip, show, strip_ending


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("a.MKV", "a"),
        ("a.b.mp4", "a.b"),
        ("a.12345", "a.12345"),
        ("a.", "a."),
        ("a.m4a", "a"),
        ("a.toolong", "a.toolong"),
    ],
)
def test_an_ending_is_short_and_has_a_letter(name, stem):
    assert strip_ending(name) == stem


@pytest.mark.parametrize(
    ("name", "rank"), [("a.mp4", 0), ("a.WAV", 1), ("a.xyz", 2), ("a", 2), ("a.srt", 3), (".hidden", 3), ("a.npy", 3)]
)
def test_videos_come_before_sound_before_what_is_not_known(name, rank):
    assert rank_as_clip(name) == rank


def test_names_are_looked_up_in_the_composed_form():
    assert compose("Mu\u0308ller") == "M\u00fcller"


@pytest.mark.parametrize(
    ("name", "fault", "shown"),
    [
        ("plain.mp4", "", "plain.mp4"),
        ("M\u00fcller", "", "M\u00fcller"),
        ("a\x1b[2J", "has control characters", "a\\x1b[2J"),
        (b"a\xff".decode("utf-8", "surrogateescape"), "is not UTF-8", "a\\xff"),
    ],
)
def test_what_cannot_be_printed_is_said_and_shown_as_numbers(name, fault, shown):
    assert (find_fault(name), show(name)) == (fault, shown)


@pytest.mark.parametrize(
    ("head", "found"),
    [
        (b"\x00\x00\x00\x18ftypmp42", True),
        (b"RIFF\x00\x00\x00\x00AVI LIST", True),
        (b"RIFF\x00\x00\x00\x00WEBPVP8 ", False),  # a picture in the same kind of box
        (b"\x1aE\xdf\xa3", True),
        ((b"\x47" + bytes(187)) * 2, True),
        (b"\x47" + bytes(300), False),  # one G alone is a text
        (b"%PDF-1.7", False),
        (b"", False),
    ],
)
def test_media_is_known_by_its_first_bytes(head, found):
    assert is_media(head) is found
