"""Stages of features that a user has declared; the prefix says what their rows belong to (FORMAT.md, section 3).

`face_<name>` has a row for each row of the stage `faces`, `sound_<name>` has one for each piece of sound. The network
decides how many numbers a row has, so the file says it.
"""

import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from store.schema import SCHEMAS, Column, StageSchema

#: Stands in a column's shape for a width that the file says; it is the same for all rows.
ANY_WIDTH = 0
#: What a user may call a feature.
NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")

_KINDS = {"face_": "face", "sound_": "row"}
_MEANING = {
    "face_": "what a network makes of the speaker's face; row i belongs to row i of the stage faces",
    "sound_": "what a network makes of a piece of the sound",
}
_TIME = {
    "face_": "presentation time of the face's frame since the clip's origin",
    "sound_": "where the piece of sound begins, since the clip's origin",
}


def is_feature(stage: str) -> bool:
    """Tell whether a stage is a declared feature's, by its name."""
    return _find_prefix(stage) is not None


def is_of_faces(stage: str) -> bool:
    """Tell whether each row of a declared feature belongs to a face; otherwise it belongs to a piece of sound."""
    return _find_prefix(stage) == "face_"


def name_of(stage: str) -> str:
    """Give what the user calls a feature, from the name of its stage.

    >>> name_of("face_arcface")
    'arcface'
    """
    return stage.removeprefix(_find_prefix(stage) or "")


def find_schema(stage: str) -> StageSchema | None:
    """Give a stage's schema, also of a declared feature; None for a name that no stage has."""
    prefix = _find_prefix(stage)
    if prefix is None:
        return SCHEMAS.get(stage)
    row = _KINDS[prefix]
    return StageSchema(
        stage,
        (
            Column("time", "<f8", (), (row,), "s", _TIME[prefix]),
            Column("value", "<f4", (ANY_WIDTH,), (row, "feature"), "1", _MEANING[prefix]),
        ),
    )


def with_width(schema: StageSchema, width: int) -> StageSchema:
    """Put a width in place of `ANY_WIDTH` in a schema."""
    rows = tuple(
        replace(column, shape=tuple(width if size == ANY_WIDTH else size for size in column.shape))
        for column in schema.rows
    )
    return replace(schema, rows=rows)


def find_width(schema: StageSchema) -> int:
    """Give how many numbers a row of a declared feature has; `ANY_WIDTH` for the chain's own stages."""
    return next((column.shape[0] for column in schema.rows if is_feature(schema.name) and column.shape), ANY_WIDTH)


def order_stages(names: Iterable[str]) -> list[str]:
    """Put names of stages into the order of the chain, declared features last; other names are left out."""
    known = set(names)
    return [*(stage for stage in SCHEMAS if stage in known), *sorted(stage for stage in known if is_feature(stage))]


def list_stage_folders(root: Path) -> list[str]:
    """List the stages that may have a folder in a store: the chain's own, and each declared feature that has one."""
    found = (folder.name for prefix in _KINDS for folder in root.glob(f"{prefix}*"))
    return order_stages([*SCHEMAS, *found])


def _find_prefix(stage: str) -> str | None:
    return next(
        (prefix for prefix in _KINDS if stage.startswith(prefix) and NAME.fullmatch(stage.removeprefix(prefix))), None
    )
