"""The text that the `evaluate` command prints."""

from collections.abc import Sequence
from string import ascii_uppercase
from typing import Any

from models.paper import FEWEST_GROUPS
from pipeline.report.scoring import DIMENSIONS, format_comparison, format_number, format_score
from pipeline.report.tables import format_rows
from store.text import format_count, render_table

MOST_PROBLEMS_SHOWN = 20
#: Longer paths are printed once above the tables, which then name the files by letters.
LONGEST_NAME = 16


def format_result(result: dict[str, Any], resample: str = "recordings") -> str:
    """Return the evaluation as text.

    Args:
        result: the result of `evaluate_files`.
        resample: the units that the intervals draw.
    """
    share = result["scored"] / result["listed"] if result["listed"] else 0.0
    lines = [f"scored {result['scored']} of {format_count(result['listed'], 'listed utterance')} ({share:.1%})", ""]
    others = ("pearson", "mse", "ccc_per_video")
    rows = [
        [name, format_score(result[name]), *(format_number(result[name][key]) for key in others)] for name in DIMENSIONS
    ]
    rows.append(["total", format_number(result["total_ccc"]), "", "", ""])
    lines.append(render_table(["", "CCC [95 % interval]", "Pearson", "MSE", "per video"], rows, right=(2, 3, 4)))
    lines += _explain_no_interval(result, resample)
    lines += _format_problems(result["problems"])
    if result.get("warnings"):
        rows_with = format_count(
            len(result["warnings"]), "row of the truth file has a warning", "rows of the truth file have warnings"
        )
        lines += ["", f"{rows_with} (--json lists them)"]
    return "\n".join(lines)


def format_side_by_side(result: dict[str, Any], resample: str = "recordings") -> str:
    """Return the evaluation of several files as text; the arguments are those of `format_result`."""
    files, common = result["files"], result["common"]
    names, lines = _name_files([found["predictions"] for found in files])
    lines += ["each file on its own"]
    lines += format_rows(
        ["file", "arousal", "valence", "total", "scored/listed"],
        [
            [name, *_ccc_cells(found), f"{found['scored']}/{found['listed']}"]
            for name, found in zip(names, files, strict=True)
        ],
    )
    lines += ["", f"on the {format_count(common['scored'], 'utterance')} that all files have"]
    lines += format_rows(
        ["file", "arousal", "valence", "total"],
        [[name, *_ccc_cells(scores)] for name, scores in zip(names, common["files"], strict=True)],
    )
    lines += ["", f"difference to {names[0]} [95 % interval], permutation test"]
    lines += format_rows(
        ["file", *DIMENSIONS],
        [
            [name, *(format_comparison(compared[dimension]) for dimension in DIMENSIONS)]
            for name, compared in zip(names[1:], common["comparisons"], strict=True)
        ],
    )
    lines += _explain_no_interval(common["files"][0], resample)
    return "\n".join(lines + _format_problems([problem for found in files for problem in found["problems"]]))


def _name_files(paths: Sequence[str]) -> tuple[list[str], list[str]]:
    """Give the files' names in tables, and lines that explain them: long paths would make the tables too wide."""
    if max(map(len, paths)) <= LONGEST_NAME or len(paths) > len(ascii_uppercase):
        return list(paths), []
    names = list(ascii_uppercase[: len(paths)])
    return names, [*(f"{name}  {path}" for name, path in zip(names, paths, strict=True)), ""]


def _ccc_cells(scores: dict[str, Any]) -> list[str]:
    return [*(format_score(scores[dimension]) for dimension in DIMENSIONS), format_number(scores["total_ccc"])]


def _explain_no_interval(scores: dict[str, Any], resample: str) -> list[str]:
    """Say why there is no interval, if the scored utterances are of too few units."""
    count = scores["groups"]
    if count >= FEWEST_GROUPS or not scores["scored"]:
        return []
    of = f"the scored utterances come from {format_count(count, resample.removesuffix('s'))}"
    if resample == "utterances":
        of = f"{format_count(count, 'utterance')} scored"
    hint = "" if resample == "utterances" else "; --group names another column, --resample draws smaller units"
    return ["", f"no interval: {of}, and an interval needs {FEWEST_GROUPS}{hint}"]


def _format_problems(problems: Sequence[str]) -> list[str]:
    if not problems:
        return []
    lines = [
        "",
        f"{format_count(len(problems), 'problem')}:",
        *(f"  {problem}" for problem in problems[:MOST_PROBLEMS_SHOWN]),
    ]
    if len(problems) > MOST_PROBLEMS_SHOWN:
        lines.append(f"  ... and {len(problems) - MOST_PROBLEMS_SHOWN} more (--json lists all)")
    return lines
