"""A report with every table that there is, made by hand."""

import json
from typing import Any

from pipeline.report.report_files import Report, write_report
from pipeline.report.rows import DetailRow, format_details

LISTED = 4


def _ccc(value: float) -> dict[str, Any]:
    return {"ccc": value, "ccc_low": None, "ccc_high": None, "pearson": value, "mse": 0.1, "ccc_per_video": None}


def _scores(value: float) -> dict[str, Any]:
    ends = {"total_ccc_low": value, "total_ccc_high": 2 * value + 0.1}
    return {"arousal": _ccc(value), "valence": _ccc(value), "total_ccc": 2 * value, **ends, "scored": LISTED}


def _entry(value: float) -> dict[str, Any]:
    return {"listed": LISTED, **_scores(value), "predicted": LISTED, "apart": {"listed": LISTED, **_scores(value)}}


def _spread(total: str) -> dict[str, Any]:
    of_each = {"arousal": 0.1, "valence": None, total: 0.3}
    return {"mean": of_each, "spread": dict(of_each)}


def make_content() -> dict[str, Any]:
    """Make report.json's content."""
    splits = {"validation": _entry(0.25), "test": {"listed": 2, "predicted": 2, "scored": 0}}
    seeds = {"members": [{"seed": seed, "arousal": 0.1, "valence": 0.2, "total_ccc": 0.3} for seed in (0, 1)]}
    pooled = {"total_ccc": 0.2, "total_ccc_low": None, "total_ccc_high": None, "scored": 9}
    return {
        "models": {"vnet": splits},
        "baselines": {"mean": {"validation": _entry(0.0)}},
        "official_splits": ["validation"],
        "coverage": {"train": {"listed": 3}, "validation": {"listed": LISTED}},
        "selection": {
            "split": "train",
            "clips": 7,
            "recordings": 2,
            "other": {"split": "validation", "models": {"vnet": {"validation": _scores(0.5)}}},
        },
        "ensemble": {
            "seeds": [0, 1],
            "models": {"vnet": {"validation": {**seeds, **_spread("total_ccc")}}},
            "checkpoints": {"joint": ["joint-1", "joint-2"]},
        },
        "cross_validation": {
            "num_folds": 5,
            "chosen_on": "train",
            "models": {"vnet": {"folds": [], **_spread("total"), "pooled": pooled}},
            "checkpoints": ["vnet-3"],
        },
        "notes": ["RANDOM WEIGHTS"],
        "provenance": {
            "written": "2018-07-13 12:30",
            "checkpoints": {"joint": "joint-1"},
            "settings": {"vnet": {"epochs": 30}},
            "features": {},
        },
    }


def write_made_report(folder: Any) -> None:
    """Write it with its rows, and a ledger of no clips."""
    rows = [
        DetailRow(f"v{i % 2}", f"{i}.mp4", (0.1 * i, -0.1 * i), "vnet", "ok", "ok", (0.1, 0.2)) for i in range(LISTED)
    ]
    files = {f"predictions/{name}.detail.csv": format_details(rows) for name in ("vnet-validation", "mean-validation")}
    files["predictions/vnet-test.detail.csv"] = format_details(rows[:2])
    files["report.json"] = json.dumps(make_content())
    write_report(folder, Report(make_content(), files))
