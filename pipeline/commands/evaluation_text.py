"""What the `evaluate` command prints."""

from collections.abc import Sequence
from typing import Any

from pipeline.report.scoring import DIMENSIONS, format_comparison, format_number, format_score
from pipeline.report.tables import format_cells

MOST_PROBLEMS_SHOWN = 20


def format_result(result: dict[str, Any]) -> str:
    """Return the evaluation as text."""
    share = result["scored"] / result["listed"] if result["listed"] else 0.0
    lines = [f"scored {result['scored']} of {result['listed']} listed utterances ({share:.1%})", ""]
    lines.append(f"{'':8}  {'CCC [95 % interval]':22}  {'Pearson':>9}  {'MSE':>9}  {'per video':>9}")
    for dimension in DIMENSIONS:
        score = result[dimension]
        cells = [format_number(score[key]) for key in ("pearson", "mse", "ccc_per_video")]
        lines.append(f"{dimension:8}  {format_score(score):22}  {cells[0]:>9}  {cells[1]:>9}  {cells[2]:>9}")
    lines.append(f"{'total':8}  {format_number(result['total_ccc'])}")
    lines += _format_problems(result["problems"])
    if result.get("warnings"):
        lines += ["", f"{len(result['warnings'])} rows of the truth file have warnings (--json lists them)"]
    return "\n".join(lines)


def format_side_by_side(result: dict[str, Any]) -> str:
    """Return the evaluation of several files as text."""
    files, common = result["files"], result["common"]
    lines = ["each file on its own"]
    lines += _format_table(
        ["file", "arousal", "valence", "total", "scored/listed"],
        [[found["predictions"], *_ccc_cells(found), f"{found['scored']}/{found['listed']}"] for found in files],
    )
    lines += ["", f"on the {common['scored']} utterances that all files have"]
    lines += _format_table(
        ["file", "arousal", "valence", "total"],
        [[found["predictions"], *_ccc_cells(scores)] for found, scores in zip(files, common["files"], strict=True)],
    )
    lines += ["", f"difference to {files[0]['predictions']} [95 % interval], permutation test"]
    lines += _format_table(
        ["file", *DIMENSIONS],
        [
            [found["predictions"], *(format_comparison(compared[dimension]) for dimension in DIMENSIONS)]
            for found, compared in zip(files[1:], common["comparisons"], strict=True)
        ],
    )
    return "\n".join(lines + _format_problems([problem for found in files for problem in found["problems"]]))


def _ccc_cells(scores: dict[str, Any]) -> list[str]:
    return [*(format_score(scores[dimension]) for dimension in DIMENSIONS), format_number(scores["total_ccc"])]


def _format_table(header: list[str], rows: list[list[str]]) -> list[str]:
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]
    return [format_cells(row, widths) for row in [header, *rows]]


def _format_problems(problems: Sequence[str]) -> list[str]:
    if not problems:
        return []
    lines = ["", f"{len(problems)} problems:", *(f"  {problem}" for problem in problems[:MOST_PROBLEMS_SHOWN])]
    if len(problems) > MOST_PROBLEMS_SHOWN:
        lines.append(f"  ... and {len(problems) - MOST_PROBLEMS_SHOWN} more (--json lists all)")
    return lines
