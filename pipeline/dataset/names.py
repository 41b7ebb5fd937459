"""Names of files and utterances: what counts as an ending, which files may be clips, and how a name is shown."""

import functools
import os
import re
import unicodedata

# What counts as a file's ending: a short one with a letter in it, so that the `.5` of `take_1.5` stays part of the
# name.
_ENDING = re.compile(r"(?=[0-9]*[A-Za-z])[A-Za-z0-9]{1,5}")
# The number of an episode, a scene or a take: `.E02` of `S01.E02` is no ending. The endings below are always endings.
_EPISODE = re.compile(r"[A-Za-z]{1,2}[0-9]{1,3}")
_VIDEO = (
    "264 265 3g2 3gp amv asf av1 avc avi avs divx dv dvr f4v flv h261 h263 h264 h265 hevc ivf ismv insv lrv "
    "m1v m2p m2t m2ts m2v m4v mjpeg mjpg mkv mod mov mp4 mp4v mpe mpeg mpg mpg4 mpv mts mxf nut nuv obu ogm "
    "ogv ogx qt rm rmvb tod ts vc1 vob vp8 vp9 webm wmv wtv xvid y4m"
)
_SOUND = (
    "aac ac3 aif aifc aiff amr ape au awb caf dts eac3 flac gsm m4a m4b mka mp2 mp3 mpa oga ogg opus ra snd "
    "sph spx tta voc w64 wav wma wv"
)
# Files beside a clip that have its name and are no clips: subtitles, notes, features, thumbnails, unfinished downloads.
_NO_CLIP = (
    "srt vtt ass ssa sub idx lrc sbv ttml txt md rst json jsonl xml yaml yml csv tsv rttm ctm eaf pfsx etf "
    "tgrid npy npz pkl pt pth h5 hdf5 mat arff htk mfc jpg jpeg png webp gif bmp tif tiff heic thm nfo md5 "
    "sha1 part ytdl tmp temp bak log pdf doc docx xls xlsx html htm db ini url lnk zip gz 7z rar tar py sh m r "
    "exe"
)
VIDEO_ENDINGS, SOUND_ENDINGS, NO_CLIP_ENDINGS = (
    frozenset(f".{ending}" for ending in endings.split()) for endings in (_VIDEO, _SOUND, _NO_CLIP)
)
#: Longest name of a file, in bytes, that usual file systems take.
LONGEST_NAME_BYTES = 255


def compose(name: str) -> str:
    """Return a name in Unicode's composed form (NFC). Names are looked up only in this form."""
    return name if name.isascii() else unicodedata.normalize("NFC", name)


def strip_ending(name: str) -> str:
    """Return a file's name without its ending; a name that consists of an ending alone is not changed.

    >>> strip_ending("utterance_4.mp4"), strip_ending("take_1.5"), strip_ending("S01.E02"), strip_ending(".mp4")
    ('utterance_4', 'take_1.5', 'S01.E02', '.mp4')
    """
    stem, _, ending = name.rpartition(".")
    return stem if stem and _is_ending(ending) else name


@functools.lru_cache(maxsize=1024)  # many names share few endings
def _is_ending(text: str) -> bool:
    """Tell whether the text after a name's last dot is an ending."""
    return bool(_ENDING.fullmatch(text)) and (not _EPISODE.fullmatch(text) or is_media_ending(f".{text}"))


def is_media_ending(ending: str) -> bool:
    """Tell whether `ending`, with its dot, is one of video or sound."""
    return ending.lower() in VIDEO_ENDINGS or ending.lower() in SOUND_ENDINGS


def rank_as_clip(name: str) -> int:
    """Return how likely a file is the clip, by its ending: 0 for a video, 1 for sound, 2 for unknown, 3 for no clip."""
    stem, _, ending = name.rpartition(".")
    rank = _rank_ending(f".{ending}" if stem.lstrip(".") else "")
    return 3 if rank == 2 and name.startswith(".") else rank


@functools.lru_cache(maxsize=1024)
def _rank_ending(ending: str) -> int:
    ending = ending.lower()
    if ending in VIDEO_ENDINGS:
        return 0
    if ending in SOUND_ENDINGS:
        return 1
    return 3 if ending in NO_CLIP_ENDINGS else 2


def find_fault(name: str) -> str:
    """Say what is wrong with a name on the disk, "" for nothing. Python has surrogates for bytes that are not UTF-8."""
    if any("\ud800" <= character <= "\udfff" for character in name):
        return "is not UTF-8"
    return "has control characters" if any(unicodedata.category(c) == "Cc" for c in name) else ""


def show(name: object) -> str:
    """Return a name or path in a printable form: bytes that are not UTF-8, and control characters, become numbers."""
    text = os.fsencode(str(name)).decode("utf-8", errors="backslashreplace")
    return "".join(c if unicodedata.category(c) != "Cc" else f"\\x{ord(c):02x}" for c in text)


def is_media(head: bytes) -> bool:
    """Tell by its first bytes whether a file whose name does not say so is video or sound.

    Args:
        head: Its first 512 bytes, or as many as there are.
    """
    starts = (
        b"\x1aE\xdf\xa3",
        b"OggS",
        b"FLV\x01",
        b"\x30\x26\xb2\x75",
        b"\x00\x00\x01\xba",
        b"\x00\x00\x01\xb3",
        b"ID3",
    )
    others = (b"fLaC", b"#!AMR", b".RMF", b"FORM", b"DKIF", b"\xff\xfb", b"\xff\xf1", b"\xff\xf9", b"\x06\x0e\x2b\x34")
    is_riff = head[:4] in (b"RIFF", b"RF64") and head[8:12] in (b"AVI ", b"WAVE")
    is_transport_stream = len(head) > 188 and head[0] == head[188] == 0x47
    return (
        head.startswith(starts + others) or is_riff or is_transport_stream or head[4:8] in (b"ftyp", b"moov", b"mdat")
    )
