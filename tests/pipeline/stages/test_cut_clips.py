"""Utterances cut from a whole recording have the features of clips cut from it without loss."""

import subprocess
from fractions import Fraction

import av
import numpy as np
import pytest
import soundfile

from pipeline import media
from pipeline.demo.acting import FRAME_RATE
from pipeline.demo.dataset import SplitSize, plan_clips, write_demo_clip
from store.catalog.feature_store import FeatureStore
from tests.pipeline.conftest import settle

RATE = 16000
PARTS = {"one": (0.4, 1.2), "two": (0.81, 1.5), "late": (1.0, 99.0), "never": (50.0, 51.0)}
HEADER = "video,utterance,start,end,arousal,valence\n"


def cut_losslessly(source, target, start, end, samples):
    """Write a part with its pictures as they are decoded and its samples as they are: FFV1 and PCM in Matroska."""
    target.parent.mkdir(exist_ok=True)
    with av.open(str(source)) as container, av.open(str(target), "w") as output:
        film = container.streams.video[0]
        copy = output.add_stream("ffv1", rate=round(FRAME_RATE))
        copy.codec_context.time_base = Fraction(1, 1000)
        copy.width, copy.height, copy.pix_fmt = film.width, film.height, film.pix_fmt
        sound = output.add_stream("pcm_s16le", rate=RATE, layout="mono")
        for frame in container.decode(film):
            if start - 1e-6 <= frame.time < end - 1e-6:
                frame.pts, frame.time_base = round((frame.time - start) * 1000), Fraction(1, 1000)
                frame.pict_type = av.video.frame.PictureType.NONE
                output.mux(copy.encode(frame))
        output.mux(copy.encode(None))
        part = np.ascontiguousarray(samples[round(start * RATE) : round(end * RATE)].reshape(1, -1))
        block = av.AudioFrame.from_ndarray(part, format="s16", layout="mono")
        block.sample_rate, block.pts = RATE, 0
        output.mux(sound.encode(block))
        output.mux(sound.encode(None))


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A store with parts of a recording, and the same parts cut before."""
    data = tmp_path_factory.mktemp("data")
    whole = data / "videos" / "talk.mp4"
    write_demo_clip(whole, plan_clips(0, {"train": SplitSize(1, 1, 1)})[0], 0)
    place = settle(data, tmp_path_factory.mktemp("cut") / "work")
    videos = place.folder / "videos"
    media.extract_wav(whole, place.folder / "whole.wav")
    samples = soundfile.read(place.folder / "whole.wav", dtype="int16")[0]
    rows = []
    for name, (start, end) in PARTS.items():
        rows.append(f"talk,{name},{start},{end},0.1,0.2")
        if name != "never":
            cut_losslessly(whole, videos / "cut" / f"{name}.mkv", start, end, samples)
            rows.append(f"cut,{name}.mkv,,,0.1,0.2")
    (place.folder / "mine.csv").write_text(HEADER + "\n".join(rows) + "\n", encoding="utf-8")
    place.configure(
        "\n[dataset]\ntrain = mine.csv\nvalidation =\ntest =\n[run]\nmax_bad_fraction = 1\n[features.look]\n"
        "input = face_region\nmodel = tests.made_networks:thumbnails_of_faces\nsize = 8x8\n"
    )
    ended = place.run(task="Features")
    assert ended.returncode == 0, ended.stderr
    return place


def test_features_of_a_part_are_those_of_a_clip_cut_without_loss(place):
    store = FeatureStore(place.folder / "store")
    for name in ("one", "two", "late"):
        part, clip = store[f"talk/{name}"], store[f"cut/{name}"]
        assert part.status == dict.fromkeys(part.status, "ok")
        assert np.array_equal(part.stft, clip.stft)
        assert len(part.embeddings) > 5
        np.testing.assert_allclose(part.face_times, clip.face_times, atol=1e-3)  # Matroska counts milliseconds
        np.testing.assert_array_equal(part.boxes, clip.boxes)
        np.testing.assert_array_equal(part.crops, clip.crops)
        np.testing.assert_array_equal(part.embeddings, clip.embeddings)
        np.testing.assert_array_equal(part.feature("look"), clip.feature("look"))


def test_frame_counts_and_times_count_from_the_cut(place):
    store = FeatureStore(place.folder / "store")
    frames = store["talk/two"].find_shard("frames")
    np.testing.assert_allclose(frames.rows("talk/two", "time"), np.arange(13, 23) / FRAME_RATE - 0.81, atol=1e-9)
    assert len(store["talk/two"].stft) == int((round(1.5 * RATE) - round(0.81 * RATE)) / 160)


def test_a_part_that_ends_beyond_or_lies_beyond_is_told(place):
    store = FeatureStore(place.folder / "store")
    late, never = store["talk/late"], store["talk/never"]
    assert "before the end of the part at 99 s" in late.messages["stft"]
    assert "before the end of the part at 99 s" in late.messages["faces"]
    assert never.status == dict.fromkeys(never.status, "too_short")
    assert "nothing is heard from 50 to 51 s of the recording" in never.messages["stft"]


def test_another_cut_is_another_clip_and_makes_its_own_features_alone(place):
    before = place.digests("store/stft")
    shards = FeatureStore(place.folder / "store").listing.shards
    text = (place.folder / "mine.csv").read_text(encoding="utf-8")
    (place.folder / "mine.csv").write_text(text.replace("0.81,1.5", "0.8,1.5"), encoding="utf-8")
    ended = place.run(task="Features")
    assert ended.returncode == 0, ended.stderr
    after = FeatureStore(place.folder / "store")
    assert {name for name in shards if after.listing.shards[name] != shards[name]} == {"talk/two"}
    assert before.items() <= place.digests("store/stft").items()
    assert len(after["talk/two"].stft) == 70
    (place.folder / "mine.csv").write_text(text, encoding="utf-8")
    assert place.run(task="Features").returncode == 0
    assert FeatureStore(place.folder / "store").listing.shards == shards


def test_bad_times_end_the_run_with_the_file_and_line(place):
    text = (place.folder / "mine.csv").read_text(encoding="utf-8")
    (place.folder / "mine.csv").write_text(text.replace("0.4,1.2", "1.2,0.4"), encoding="utf-8")
    ended = place.run(task="Features")
    (place.folder / "mine.csv").write_text(text, encoding="utf-8")
    assert ended.returncode != 0
    assert "mine.csv:2: start is 1.2 and end is 0.4; start must be before end" in ended.stderr


def test_the_ffmpeg_of_the_system_finds_the_same_samples(place):
    store = FeatureStore(place.folder / "store")
    whole, cut = place.folder / "whole.wav", place.folder / "cut.wav"
    command = [media.ffmpeg_binary(), "-v", "error", "-y", "-i", whole, "-af"]
    command += ["atrim=start_sample=6400:end_sample=19200"]
    subprocess.run([*map(str, command), str(cut)], check=True)
    path = next((place.folder / "store" / "wav").glob(f"*/{store['talk/one'].shard}/talk/one.wav"))
    assert np.array_equal(soundfile.read(path, dtype="int16")[0], soundfile.read(cut, dtype="int16")[0])
