"""Reading `report.json`: its content is checked in this one place, before tables, histories or other commands use it.

A report may come from a colleague, or from an earlier release; those left some entries out, but renamed none.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.errors import UserError
from pipeline.json_shapes import (
    any_object,
    by_name,
    by_plain_name,
    count,
    list_of,
    number_or_none,
    object_of,
    text,
)
from store.json_files import read_object

REPORT_JSON = "report.json"

_INTERVAL = {f"total_ccc{end}": number_or_none for end in ("_low", "_high")}
_CCC = object_of(
    dict.fromkeys(("ccc", "ccc_low", "ccc_high"), number_or_none),
    dict.fromkeys(("pearson", "mse", "ccc_per_video"), number_or_none),
)
_SCORES = {"arousal": _CCC, "valence": _CCC, "total_ccc": number_or_none, "scored": count}
#: The scores of clips that have labels.
_SCORED = object_of(_SCORES, _INTERVAL)
_VIEW = object_of({**_SCORES, "listed": count}, _INTERVAL)


def _entry(value: Any, what: str) -> None:
    """Check the entry of one model on one split; without labels it has no scores."""
    object_of({"listed": count, "scored": count}, {"predicted": count, "apart": _VIEW})(value, what)
    if "arousal" in value:
        _VIEW(value, what)


def _spread(total: str) -> dict[str, Any]:
    of_each = object_of(dict.fromkeys(("arousal", "valence", total), number_or_none))
    return {"mean": of_each, "spread": of_each}


_SEEDS = object_of({"members": list_of(object_of({"total_ccc": number_or_none})), **_spread("total_ccc")})
_FOLDS = object_of(
    {"pooled": object_of({"scored": count, "total_ccc": number_or_none, **_INTERVAL}), **_spread("total")}
)
_OTHER = object_of(
    {"split": text, "models": by_name(by_name(object_of({**_SCORES, **_INTERVAL})))}, {"checkpoints": list_of(text)}
)

_REPORT = object_of(
    {"models": by_plain_name(by_plain_name(_entry)), "notes": list_of(text)},
    {
        "baselines": by_plain_name(by_plain_name(_entry)),
        "official_splits": list_of(text),
        "coverage": by_name(object_of({"listed": count})),
        "selection": object_of({}, {"split": text, "clips": count, "recordings": count, "other": _OTHER}),
        "ensemble": object_of(
            {"seeds": list_of(count)}, {"models": by_name(by_name(_SEEDS)), "checkpoints": by_name(list_of(text))}
        ),
        "cross_validation": object_of(
            {"num_folds": count, "models": by_name(_FOLDS)}, {"chosen_on": text, "checkpoints": list_of(text)}
        ),
        "provenance": object_of(
            {},
            {"written": text, "checkpoints": by_name(text), "settings": by_name(any_object), "features": any_object},
        ),
    },
)

_NAMING = object_of({"checkpoints": by_name(text)}, {"written": text})


def read_report_json(path: Path) -> dict[str, Any]:
    """Read report.json.

    Raises:
        FileNotFoundError: The file does not exist.
        OSError: The file cannot be read.
        ValueError: The file is damaged or not a report; the message says where.
    """
    content = read_object(path)
    _REPORT(content, REPORT_JSON)
    _check_choices(content)
    return content


def open_report_json(path: Path) -> dict[str, Any]:
    """Read report.json in the run's own folder of runs.

    Raises:
        UserError: The file does not exist, cannot be read, or is damaged; the message says what to do.
    """
    try:
        return read_report_json(path)
    except (OSError, ValueError) as error:
        raise UserError(
            f"{path} cannot be read: {error}; remove {path.parent.resolve()}, and the next run writes the report "
            "again from the checkpoints"
        ) from error


def read_named_checkpoints(path: Path) -> dict[str, Any]:
    """Read the names of checkpoints in the JSON file of a report or of a prediction; scores are not required.

    Raises:
        OSError: The file cannot be read.
        ValueError: The file is damaged, or names no checkpoints.
    """
    content = read_object(path)
    object_of({"provenance": _NAMING}, {"ensemble": object_of({"checkpoints": by_name(list_of(text))})})(
        content, path.name
    )
    named = object_of({}, {"checkpoints": list_of(text)})
    object_of({}, {"cross_validation": named, "selection": object_of({}, {"other": named})})(content, path.name)
    return content


def _check_choices(content: Mapping[str, Any]) -> None:
    """Check the entries that the table needs which compares the two choices of epochs."""
    selection = content.get("selection", {})
    if selection.get("split") == "train" and not {"clips", "recordings"} <= set(selection):
        raise ValueError("report.json.selection does not say how many clips chose the epochs")
    for model, splits in selection.get("other", {"models": {}})["models"].items():
        for split in splits:
            if "arousal" not in content["models"].get(model, {}).get(split, {}):
                raise ValueError(f"report.json.selection.other has {model[:40]} on {split[:40]}, which models has not")
