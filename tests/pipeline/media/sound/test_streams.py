"""Which of a clip's sound streams counts."""

from types import SimpleNamespace

import pytest
from av.stream import Disposition

from pipeline.media.container import MediaError
from pipeline.media.sound.streams import describe_stream, streams_to_try


def make_container(*streams, best=0):
    """A container of streams: (codec, channels), None for one that no decoder knows, and whether it is the default."""
    audio = [
        SimpleNamespace(
            index=10 + place,
            codec_context=None if codec is None else SimpleNamespace(name=codec[0], channels=codec[1]),
            disposition=Disposition.default if is_default else Disposition(0),
        )
        for place, (codec, is_default) in enumerate(streams)
    ]

    class Streams(SimpleNamespace):
        def best(self, kind):
            assert kind == "audio"
            return audio[best] if audio else None

    return SimpleNamespace(streams=Streams(audio=audio))


AAC, OPUS = ("aac", 2), ("opus", 1)


def test_the_best_comes_first_then_the_default_then_the_others_in_their_order():
    container = make_container((AAC, False), (OPUS, False), (AAC, True), (OPUS, False), best=3)
    assert streams_to_try(container) == [3, 2, 0, 1]


def test_what_no_decoder_knows_is_not_tried_although_it_is_the_best():
    assert streams_to_try(make_container((None, True), (AAC, False), best=0)) == [1]
    with pytest.raises(MediaError, match=r"no decoder for the sound; the file has stream 0 \(of a codec that no"):
        streams_to_try(make_container((None, True)))


def test_the_one_that_was_asked_for_is_tried_alone():
    container = make_container((AAC, True), (OPUS, False))
    assert streams_to_try(container, 1) == [1]
    with pytest.raises(MediaError, match="audio stream 2 was asked for; the file has 2, from 0") as refused:
        streams_to_try(container, 2)
    assert refused.value.status == "no_stream"
    with pytest.raises(MediaError, match="the file has no audio stream"):
        streams_to_try(make_container())


def test_a_stream_in_words():
    container = make_container((AAC, True), (OPUS, False), (None, False))
    assert [describe_stream(container, place) for place in range(3)] == [
        "stream 0 (aac, 2 channels)",
        "stream 1 (opus, 1 channel)",
        "stream 2 (of a codec that no decoder knows)",
    ]
