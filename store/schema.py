"""What each stage keeps: its datasets, their row shapes, types, units and dimension names (FORMAT.md, section 3)."""

from dataclasses import dataclass

FORMAT = "valar-store"
FORMAT_VERSION = 1

#: What a status may be. `ok` rows may still carry a message (a clip that decodes only in part).
STATUSES = (
    "ok",
    "missing_file",
    "source_missing",
    "no_stream",
    "decode_error",
    "no_face",
    "too_short",
)


@dataclass(frozen=True)
class Column:
    """One dataset: rows of all utterances end to end.

    Args:
        name: Name of the dataset.
        dtype: NumPy type string with its byte order.
        shape: Shape of one row.
        dimensions: Names of the dataset's dimensions, the rows' first.
        unit: Unit of the values; "1" for plain numbers.
        description: One sentence for people who open the file without our documentation.
        finite: Whether a NaN or an infinity among the values is damage.

    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    dimensions: tuple[str, ...]
    unit: str
    description: str
    finite: bool = True


@dataclass(frozen=True)
class Scale:
    """The values along a dimension; a dimension without a scale has only a length.

    Args:
        values: One for each position: a number, or a name.
        unit: Unit of the numbers; "1" for names.
        description: One sentence.

    """

    values: tuple[float, ...] | tuple[str, ...]
    unit: str
    description: str


@dataclass(frozen=True)
class StageSchema:
    """The datasets of one stage.

    Args:
        name: The stage's name, also that of its folder in the store.
        rows: Datasets with as many rows as the utterances' lengths add up to.
        facts: Datasets with one value per utterance, beside the ones that every stage has.
        bytes_of: Description of the ragged dataset `bytes` that the columns `start` and `size` index; "" for none.

    """

    name: str
    rows: tuple[Column, ...]
    facts: tuple[Column, ...] = ()
    bytes_of: str = ""


def _fact(name: str, dtype: str, unit: str, description: str) -> Column:
    return Column(name, dtype, (), ("utterance",), unit, description)


#: One value per utterance, in every stage.
UTTERANCE_COLUMNS = (
    _fact("id", "S", "1", "video/utterance without the file's ending, UTF-8"),
    _fact("offset", "<i8", "row", "first row of this utterance"),
    _fact("length", "<i8", "row", "number of rows of this utterance"),
    _fact("status", "S16", "1", "ok, or why there are no rows"),
    _fact("message", "S", "1", "one sentence about the status or an oddity, UTF-8"),
    _fact("source_sha256", "S64", "1", "digest of the clip's file, hexadecimal"),
)

_BLOB = (
    Column("start", "<i8", (), ("row",), "byte", "first byte of this row's image in the dataset bytes"),
    Column("size", "<i8", (), ("row",), "byte", "number of bytes of this row's image"),
)

#: Dimensions whose positions have a value or a name.
SCALES = {
    "frequency": Scale(tuple(31.25 * k for k in range(257)), "Hz", "centre of the bin"),
    "part": Scale(("real", "imaginary"), "1", "part of the complex number"),
    "corner": Scale(("x1", "y1", "x2", "y2"), "1", "left, top, right and bottom edge"),
    "point": Scale(("left_eye", "right_eye", "nose", "mouth_left", "mouth_right"), "1", "as the viewer sees them"),
    "coordinate": Scale(("x", "y"), "1", "x to the right, y down"),
    "channel": Scale(("blue", "green", "red"), "1", "colour"),
}

SCHEMAS = {
    schema.name: schema
    for schema in (
        # The samples themselves are WAV files beside the shard's file: offset and length count 16 kHz samples.
        StageSchema("wav", (), (_fact("wav_sha256", "S64", "1", "digest of the WAV file, hexadecimal"),)),
        StageSchema(
            "stft",
            (
                Column(
                    "stft",
                    "<f4",
                    (257, 2),
                    ("time", "frequency", "part"),
                    "1",
                    "short-time Fourier transform: 10 ms steps, 31.25 Hz bins, (real, imaginary); full scale is 1",
                ),
            ),
        ),
        StageSchema(
            "frames",
            (Column("time", "<f8", (), ("frame",), "s", "presentation time since the clip's origin"),),
            (
                _fact("width", "<i4", "pixel", "upright and with square pixels"),
                _fact("height", "<i4", "pixel", "upright and with square pixels"),
                _fact("rotation", "<i4", "degree", "by which the stored picture is turned to be upright"),
                _fact("sample_aspect_ratio", "<f8", "1", "width of a stored pixel divided by its height"),
                _fact("frame_rate", "<f8", "Hz", "average frames per second"),
                _fact("num_frames_listed", "<i8", "frame", "as the container claims; -1 where it does not"),
                _fact("codec", "S16", "1", "the video stream's codec"),
            ),
        ),
        StageSchema("pixels", _BLOB, bytes_of="JPEG images of all frames, end to end"),
        StageSchema(
            "faces",
            (
                Column("frame_index", "<i4", (), ("face",), "frame", "position in the clip's frame table"),
                Column("time", "<f8", (), ("face",), "s", "presentation time since the clip's origin"),
                Column("box", "<f4", (4,), ("face", "corner"), "pixel", "x1, y1, x2, y2 in the upright frame"),
                Column(
                    "landmarks",
                    "<f4",
                    (5, 2),
                    ("face", "point", "coordinate"),
                    "pixel",
                    "x, y of left eye, right eye, nose, left and right corner of the mouth",
                ),
                Column("score", "<f4", (), ("face",), "1", "the detector's probability of a face"),
            ),
            (
                _fact("num_frames", "<i4", "frame", "decoded"),
                _fact("num_faces", "<i4", "face", "of all people in all frames"),
                _fact("num_tracks", "<i4", "1", "faces followed over time, of all people"),
                _fact("num_cuts", "<i4", "1", "changes of the whole picture"),
            ),
        ),
        StageSchema(
            "crops",
            (
                Column(
                    "crop",
                    "|u1",
                    (112, 96, 3),
                    ("face", "y", "x", "channel"),
                    "1",
                    "aligned face, blue, green, red; row i belongs to row i of the stage faces",
                ),
            ),
        ),
        StageSchema("crops_jpeg", _BLOB, bytes_of="JPEG images of all aligned faces, end to end"),
        StageSchema(
            "embeddings",
            (
                Column(
                    "embedding",
                    "<f4",
                    (512,),
                    ("face", "feature"),
                    "1",
                    "SphereFace-20's feature; row i belongs to row i of the stage faces",
                ),
            ),
        ),
    )
}

#: The ragged dataset of the stages that keep compressed images.
BYTES = Column("bytes", "|u1", (), ("byte",), "byte", "")
