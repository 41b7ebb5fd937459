import math
import re

import numpy as np
import pytest

from pipeline.faces.mouths import SoundChange, measure_sound_change
from pipeline.faces.rivals import Evidence, measure_seconds
from pipeline.faces.speaker import Choice, Wish, choose_speaker
from tests.pipeline.faces.talking import FRAME_RATE, make_faces, make_opening, make_voice

TABLE = np.dtype([("track", np.int32), ("frame_index", np.int32), ("box", np.float32, (4,))])
NO_CUTS = np.empty(0, int)
FRAMES = 75
STILL = -1  # a rhythm: the mouth stays as it is

Face = tuple[int, range, float]  # rhythm, frames, side


def make_clip(*faces: Face) -> tuple[np.ndarray, np.ndarray]:
    """Table and crops of faces beside each other, in the order of the frames."""
    rows, crops = [], {}
    for track, (rhythm, frames, side) in enumerate(faces):
        opening = np.zeros(FRAMES) if rhythm == STILL else make_opening(rhythm, FRAMES)
        pictures = make_faces(opening, seed=track)
        if rhythm == STILL:
            pictures = np.repeat(pictures[:1], FRAMES, axis=0)
        for frame in frames:
            rows.append((track, frame, (300 * track, 0, 300 * track + side, side)))
            crops[track, frame] = pictures[frame]
    rows.sort(key=lambda row: (row[1], row[0]))
    return np.array(rows, dtype=TABLE), np.array([crops[row[0], row[1]] for row in rows])


def choose(*faces: Face, voice: int | None = None, skips_stills: bool = False) -> Choice:
    """Choose with the voice that has this rhythm; None never asks for the sound."""

    def listen() -> SoundChange:
        return measure_sound_change([make_voice(make_opening(voice or 0, FRAMES))])

    evidence = Evidence(np.arange(FRAMES) / FRAME_RATE, skips_stills, None if voice is None else listen)
    return choose_speaker(*make_clip(*faces), NO_CUTS, evidence=evidence)


ALL = range(FRAMES)


@pytest.mark.parametrize("voice", [1, 4])
def test_the_one_whose_mouth_moves_with_the_sound_is_chosen(voice: int):
    choice = choose((1, ALL, 80), (4, ALL, 50), voice=voice)
    assert choice.tracks == ((0,) if voice == 1 else (1,))
    (note,) = choice.notes
    assert note.startswith("the speaker was chosen of 2 people in sight together: mouth and sound agree by 0.")


def test_of_three_people_the_speaking_one_is_chosen():
    choice = choose((1, ALL, 80), (2, ALL, 60), (4, ALL, 50), voice=4)
    assert choice.tracks == (2,)
    assert "of 3 people" in choice.notes[0]


def test_the_best_of_many_must_be_better_than_that_of_two(monkeypatch):
    # One rival's mouth goes with the sound, the chosen one's rests; the other rivals rest as well.
    faces = [(STILL, ALL, 80), (4, ALL, 50), *[(STILL, ALL, 40)] * 3]
    monkeypatch.setattr("pipeline.faces.rivals._LEAST_GAIN", 0.6)
    assert choose(*faces[:2], voice=4).tracks == (1,)
    assert choose(*faces, voice=4).tracks == (0,)


def test_where_no_mouth_goes_with_the_sound_the_largest_is_chosen_and_it_is_said():
    choice = choose((STILL, ALL, 80), (STILL, ALL, 50), voice=5)
    assert choice.tracks == (0,)
    assert "mouth and sound do not tell who speaks" in choice.notes[0]


def test_without_sound_the_largest_is_chosen_and_it_is_said():
    for sound in (None, SoundChange(np.zeros(300))):
        evidence = Evidence(np.arange(FRAMES) / FRAME_RATE, False, lambda sound=sound: sound)
        choice = choose_speaker(*make_clip((1, ALL, 80), (4, ALL, 50)), NO_CUTS, evidence=evidence)
        assert choice.tracks == (0,)
        assert choice.notes == (
            "of 2 people in sight together the one seen longest and largest was chosen: there is no sound to tell who "
            "speaks",
        )


@pytest.mark.parametrize(
    "faces",
    [
        ((1, ALL, 80),),  # nobody else
        ((1, ALL, 80), (4, ALL, 15)),  # in the background
        ((1, range(50), 80), (4, range(40, 75), 60)),  # together for less than a second
        ((1, range(40), 80), (4, range(40, 75), 60)),  # one after the other
    ],
)
def test_the_sound_is_not_asked_where_there_is_no_choice(faces: tuple[Face, ...]):
    def refuse() -> SoundChange:
        raise AssertionError("asked for nothing")

    evidence = Evidence(np.arange(FRAMES) / FRAME_RATE, True, refuse)
    assert choose_speaker(*make_clip(*faces), NO_CUTS, evidence=evidence) == Choice((0,))
    assert choose_speaker(*make_clip(*faces), NO_CUTS) == Choice((0,))


def test_the_users_wish_is_above_the_evidence():
    evidence = Evidence(np.arange(FRAMES) / FRAME_RATE, True, lambda: SoundChange(np.zeros(300)))
    clip = make_clip((1, ALL, 80), (STILL, ALL, 50))
    assert choose_speaker(*clip, NO_CUTS, wish=Wish((310, 10), None), evidence=evidence) == Choice((1,))


def test_a_photograph_gives_way_to_a_face_that_moves():
    assert choose((STILL, ALL, 90), (4, ALL, 40)).tracks == (0,)
    choice = choose((STILL, ALL, 90), (4, ALL, 40), skips_stills=True)
    assert choice.tracks == (1,)
    (note,) = choice.notes
    assert "the largest face never moves within itself" in note
    # Beside the photograph there is nobody to compare the living one with, whatever is heard.
    assert choose((STILL, ALL, 90), (4, ALL, 40), voice=1, skips_stills=True).notes == (note,)


def test_two_photographs_or_one_alone_are_what_there_is():
    assert choose((STILL, ALL, 90), (STILL, ALL, 40), skips_stills=True) == Choice((0,))
    assert choose((STILL, ALL, 90), skips_stills=True) == Choice((0,))


def test_of_a_long_clip_pieces_are_compared(monkeypatch):
    monkeypatch.setattr("pipeline.faces.rivals._MOST_PIECES", 2)
    monkeypatch.setattr("pipeline.faces.rivals._PIECE_FRAMES", 35)
    assert choose((1, ALL, 80), (4, ALL, 50), voice=4).tracks == (1,)


@pytest.mark.parametrize(("rate", "is_asked"), [(25.0, True), (10.0, True), (9.0, False), (5.0, False)])
def test_at_few_frames_a_second_the_largest_is_chosen_and_it_is_said(rate: float, is_asked: bool):
    asked = []

    def listen() -> SoundChange:
        asked.append(True)
        slowly = np.repeat(make_opening(4, FRAMES), 25)[:: round(rate)]  # the mouth of 75 frames over 75 / rate seconds
        return measure_sound_change([make_voice(slowly)])

    times = np.round(np.arange(FRAMES) / rate, 3)  # as Matroska keeps them
    choice = choose_speaker(*make_clip((1, ALL, 80), (4, ALL, 50)), NO_CUTS, evidence=Evidence(times, False, listen))
    assert bool(asked) == is_asked
    if is_asked:
        assert choice.tracks == (1,)
        assert choice.notes[0].startswith("the speaker was chosen of 2 people")
    else:
        assert choice.tracks == (0,)
        assert choice.notes == (
            "of 2 people in sight together the one seen longest and largest was chosen: "
            f"{rate:.0f} frames/s are too few to tell whose mouth moves with the sound (10 are needed)",
        )


def test_a_photograph_gives_way_at_any_rate():
    evidence = Evidence(np.arange(FRAMES) / 5.0, True, lambda: None)
    assert choose_speaker(*make_clip((STILL, ALL, 90), (4, ALL, 40)), NO_CUTS, evidence=evidence).tracks == (1,)


def test_what_is_not_seen_from_frame_to_frame_counts_for_less(monkeypatch):
    # Seen in two frames of three, a face moves in 25 of 50: at 10 independent ones a second 2.6 s, not 50 / 12 = 4.2 s.
    clip = make_clip((STILL, ALL, 80), (4, [frame for frame in ALL if frame % 3 < 2], 50))
    times = np.arange(FRAMES) / 12.0

    def listen() -> SoundChange:
        slowly = np.repeat(make_opening(4, FRAMES), 25)[::12]
        return measure_sound_change([make_voice(slowly)])

    choice = choose_speaker(*clip, NO_CUTS, evidence=Evidence(times, False, listen))
    assert choice.tracks == (1,)
    agreement, usual = map(float, re.findall(r"0\.\d\d", choice.notes[0]))
    for seconds, tracks in ((2.3, (1,)), (2.9, (0,))):
        gain = (math.atanh(agreement) - math.atanh(usual)) * math.sqrt(seconds)
        monkeypatch.setattr("pipeline.faces.rivals._LEAST_GAIN", gain)
        assert choose_speaker(*clip, NO_CUTS, evidence=Evidence(times, False, listen)).tracks == tracks


def test_seconds_of_frames():
    assert measure_seconds(np.arange(30), np.arange(100) / 25) == pytest.approx(1.2)
    assert measure_seconds(np.arange(1), np.zeros(1)) == 0
