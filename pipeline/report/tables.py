"""The tables of CCC on the console, with the published results beside this run's."""

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TextIO

from rich.console import Console
from rich.table import Table
from rich.text import Text

from pipeline.dataset.omg import SIZES
from pipeline.report.scoring import DIMENSIONS, format_interval, format_number, format_score
from store.text import escape, format_count, render_table

TITLES = {
    "anet": "ANet",
    "vnet": "VNet",
    "joint": "Joint",
    "mean": "mean of the training labels",
    "ridge": "ridge on pooled embeddings",
    "egemaps": "openSMILE eGeMAPS, support vectors",
    "compare": "openSMILE ComParE 2016, support vectors",
    "fusion": "late fusion of ANet and VNet",
}
HEADER = ("", "arousal", "valence", "total", "scored/listed")
Kind = Literal["quoted", "run", "view", "baseline"]


@dataclass(frozen=True)
class Published:
    """A published result that is shown beside a model's: split, name, CCC; None where a number was not published."""

    model: str
    split: str
    name: str
    arousal: float | None
    valence: float | None
    total: float | None


#: The sources of the quoted results: name, address, and what is quoted.
SOURCES = (
    ("Peng et al. 2018", "arxiv.org/abs/1805.00638", "the paper, Tables I to III, also of the baselines"),
    (
        "the challenge's page",
        "www2.informatik.uni-hamburg.de/wtm/omgchallenges/omg_emotion2018_results2018.html",
        "the entries on test; totals are sums made here",
    ),
    (
        "audEERING 2018",
        "arxiv.org/abs/1805.01222",
        "Triantafyllopoulos et al.: arousal from sound, valence from video",
    ),
    (
        "UMONS 2018",
        "github.com/RanQChi/OMG_UMONS_submission",
        "sound, words and video, the best of several runs; its total is a sum made here",
    ),
    (
        "Alchieri et al. 2023",
        "doi.org/10.1007/978-3-031-51023-6_22",
        "VNet again, with MSE as in the paper, and with CCC and a sigmoid for arousal",
    ),
)
PUBLISHED = (
    Published("anet", "validation", "audio baseline, RAVDESS (Barros & Wermter)", 0.08, 0.10, 0.18),
    Published("anet", "validation", "audio baseline, openSMILE", 0.15, 0.21, 0.36),
    Published("anet", "validation", "ANet, paper", 0.1879, 0.256, 0.4439),
    Published("anet", "validation", "audEERING 2018, sound", 0.343, None, None),
    Published("vnet", "validation", "video baseline (Barros & Wermter)", 0.12, 0.23, 0.35),
    Published("vnet", "validation", "VNet, paper", 0.2798, 0.4688, 0.7486),
    Published("vnet", "validation", "VNet, Alchieri et al. 2023", 0.263, 0.408, 0.671),
    Published("vnet", "validation", "the same with CCC loss and sigmoid", 0.328, 0.434, 0.762),
    Published("vnet", "validation", "audEERING 2018, video", None, 0.401, None),
    Published("joint", "validation", "UMONS 2018, sound, words and video", 0.280, 0.321, 0.601),
    Published("joint", "validation", "Joint, paper", 0.3036, 0.4796, 0.7832),
    Published("anet", "test", "audEERING 2018, sound", 0.2767, None, None),
    Published("vnet", "test", "audEERING 2018, video", None, 0.2580, None),
    Published("vnet", "test", "VNet, challenge's page", 0.2441, 0.4378, 0.6819),
    Published("joint", "test", "Joint, challenge's page", 0.2360, 0.4420, 0.6780),
)


@dataclass(frozen=True)
class ResultRow:
    """A row of a table of results.

    Attributes:
        name: the row's title.
        kind: "quoted" for published results, "run" for this run, "view" for other subsets of its clips, or "baseline".
        scores: the entry in report.json; for quoted rows only the three CCC "arousal", "valence" and "total_ccc".
    """

    name: str
    kind: Kind
    scores: Mapping[str, Any]

    def cells(self) -> tuple[str, ...]:
        """Return the row's five texts, in the order of HEADER."""
        if self.kind == "quoted":
            values = [self.scores[key] for key in ("arousal", "valence", "total_ccc")]
            return (self.name, *("" if value is None else f"{value:.4f}" for value in values), "")
        coverage = f"{self.scores['scored']}/{self.scores['listed']}"
        if "arousal" not in self.scores:
            return self.name, "no labels", "no labels", "", coverage
        dimensions = [format_score(self.scores[key]) for key in ("arousal", "valence")]
        return self.name, *dimensions, format_number(self.scores["total_ccc"]), coverage


def title_of(model: str) -> str:
    """Return a model's name for people."""
    return TITLES.get(model, model)


def title_of_split(content: Mapping[str, Any], split: str) -> str:
    """Return the title of a split's table."""
    caution = {
        "train": ", on which the networks were trained",
        "validation": ", on which the checkpoints were chosen, so it is optimistic",
    }
    if is_free_of_choice(content):
        caution["validation"] = f", not optimistic: the checkpoints were chosen on {name_held_out(content)}"
    return f"CCC on {split}{caution.get(split, '')}"


def is_free_of_choice(content: Mapping[str, Any]) -> bool:
    """Tell whether the epochs were chosen without the validation split; reports of earlier releases always used it."""
    return bool(content.get("selection", {}).get("split") == "train")


def name_held_out(content: Mapping[str, Any]) -> str:
    """Name the clips that chose the epochs instead of the validation split."""
    found = content["selection"]
    return f"{found['clips']} held-out training clips of {format_count(found['recordings'], 'recording')}"


def make_rows(content: Mapping[str, Any], split: str, *, all_views: bool = False) -> list[ResultRow]:
    """Return the rows of a split: for each model the published results, then this run's scores; baselines last.

    Args:
        content: the content of report.json.
        split: train, validation or test.
        all_views: whether to add two more rows for each model that did not predict all clips: its scores on the clips
            that all models could predict, and with the mean training labels for the clips without a prediction.

    Returns:
        The rows. A split without labels has no scores, only the number of listed utterances.
    """
    rows: list[ResultRow] = []
    for model, splits in content["models"].items():
        entry = splits.get(split)
        if entry is None:
            continue
        rows += [
            ResultRow(p.name, "quoted", {"arousal": p.arousal, "valence": p.valence, "total_ccc": p.total})
            for p in PUBLISHED
            if (p.model, p.split) == (model, split) and is_official(content, split)
        ]
        rows.append(ResultRow(f"{title_of(model)}, this run{_name_mean(content)}", "run", entry))
        if "apart" in entry:
            rows.append(ResultRow(f"{title_of(model)}, recordings of this split only", "view", entry["apart"]))
        if all_views and entry["scored"] < entry["listed"] and "filled" in entry:
            rows.append(ResultRow(f"{title_of(model)}, on what all models could see", "view", entry["common"]))
            rows.append(ResultRow(f"{title_of(model)}, the rest filled in", "view", entry["filled"]))
    baselines = content.get("baselines", {})
    rows += [ResultRow(title_of(name), "baseline", found[split]) for name, found in baselines.items() if split in found]
    return rows


def is_official(content: Mapping[str, Any], split: str) -> bool:
    """Tell whether a split is OMG-Emotion's own; published results cannot be compared with scores on other clips."""
    if "official_splits" in content:
        return split in content["official_splits"]
    # A report of an earlier release does not say so; its number of clips does.
    return any(splits[split]["listed"] == SIZES.get(split) for splits in content["models"].values() if split in splits)


def list_splits(content: Mapping[str, Any]) -> list[str]:
    """Return the splits in the order in which the models have them."""
    return list(dict.fromkeys(split for splits in content["models"].values() for split in splits))


def format_tables(content: Mapping[str, Any]) -> str:
    """Return report.json's scores and notes as plain text, columns aligned."""
    lines = [f"! {escape(note)}" for note in content["notes"]]
    for split in list_splits(content):
        rows = [row.cells() for row in make_rows(content, split)]
        title = title_of_split(content, split)
        lines += ["", title] if lines else [title]
        lines += format_rows(HEADER, rows)
    for title, cells in _make_further_tables(content):
        lines += ["", title, *format_rows(cells[0], cells[1:])]
    return "\n".join(lines)


def _name_mean(content: Mapping[str, Any]) -> str:
    """Say over how many seeds the scores are averaged; "" for one seed."""
    return f": mean of {len(content['ensemble']['seeds'])} seeds" if "ensemble" in content else ""


def seed_title(content: Mapping[str, Any]) -> str:
    """Return the title of the table of single seeds."""
    seeds = ", ".join(map(str, content["ensemble"]["seeds"]))
    return f"CCC of each seed alone ({seeds}): mean ± deviation of the seeds"


def make_seed_rows(content: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """Return header and rows of the table of single seeds, without the training split; empty for one seed."""
    models = content.get("ensemble", {}).get("models", {})
    rows: list[tuple[str, ...]] = []
    for split, network in ((split, network) for split in list_splits(content) for network in models):
        if split != "train" and split in models[network]:
            scores = models[network][split]
            each = " ".join(format_number(member["total_ccc"], 3) for member in scores["members"])
            cells = [format_spread(scores, name) for name in (*DIMENSIONS, "total_ccc")]
            rows.append((f"{title_of(network)} on {split}", *cells, each))
    return [("", "arousal", "valence", "total", "total of each seed"), *rows] if rows else []


def format_spread(scores: Mapping[str, Any], name: str) -> str:
    """Return mean and standard deviation of a score as text."""
    return " ± ".join(format_number(scores[part][name], 3) for part in ("mean", "spread"))


def fold_title(content: Mapping[str, Any]) -> str:
    """Return the title of the table of cross-validation."""
    num_folds = content["cross_validation"]["num_folds"]
    of = f"{num_folds} folds of the training and validation recordings ({say_choice_of_folds(content)})"
    return f"CCC over {of}: mean ± deviation of the folds"


def say_choice_of_folds(content: Mapping[str, Any]) -> str:
    """Say whether the folds' scores are optimistic because the epochs were chosen on the scored clips."""
    if content["cross_validation"].get("chosen_on") == "train":
        return "not optimistic: epochs chosen on other recordings"
    return "optimistic: epochs chosen on the fold that is scored"


def make_fold_rows(content: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """Return header and rows of the table of cross-validation; empty where there was none."""
    found = content.get("cross_validation")
    if found is None:
        return []
    rows: list[tuple[str, ...]] = [("", "arousal", "valence", "total", "all held-out clips together: total", "scored")]
    for model, scores in found["models"].items():
        cells = [format_spread(scores, name) for name in (*DIMENSIONS, "total")]
        pooled = scores["pooled"]
        total = format_interval(pooled["total_ccc"], pooled["total_ccc_low"], pooled["total_ccc_high"])
        rows.append((title_of(model), *cells, total, str(pooled["scored"])))
    return rows


def make_choice_rows(content: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """Return header and rows of the table that compares both choices of epochs; empty where there is only one."""
    other = content.get("selection", {}).get("other")
    if other is None:
        return []
    rows: list[tuple[str, ...]] = [("", "epoch chosen on", "arousal", "valence", "total", "scored")]
    for split, model in ((split, model) for split in list_splits(content) for model in other["models"]):
        if split in other["models"][model]:
            of = {
                content["selection"]["split"]: content["models"][model][split],
                other["split"]: other["models"][model][split],
            }
            for choice, scores in sorted(of.items(), reverse=True):
                name = "held-out training clips" if choice == "train" else "validation"
                is_optimistic = choice == split
                rows.append(
                    (
                        f"{title_of(model)} on {split}",
                        f"{name}{' (optimistic)' if is_optimistic else ''}",
                        *(format_score(scores[dimension]) for dimension in DIMENSIONS),
                        format_interval(scores["total_ccc"], scores["total_ccc_low"], scores["total_ccc_high"]),
                        str(scores["scored"]),
                    )
                )
    return rows


#: Title of the table that compares both choices of epochs.
CHOICE_TITLE = "CCC with the epochs chosen on validation, and on held-out training clips"


def _make_further_tables(content: Mapping[str, Any]) -> Iterator[tuple[str, list[tuple[str, ...]]]]:
    """Give title and rows, header first, of each table that follows the tables of the splits."""
    seeds, folds, choices = make_seed_rows(content), make_fold_rows(content), make_choice_rows(content)
    if choices:
        yield CHOICE_TITLE, choices
    if seeds:
        yield seed_title(content), seeds
    if folds:
        yield fold_title(content), folds


def format_rows(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return the lines of a plain table, the titles first."""
    return [f"  {line}" for line in render_table(titles, rows).split("\n")]


def print_tables(content: Mapping[str, Any], file: TextIO | None = None) -> None:
    """Print report.json's scores: as tables with rules on a terminal, as plain text elsewhere."""
    out = sys.stdout if file is None else file
    if not out.isatty():
        print(format_tables(content), file=out)
        return
    console = Console(file=out)
    for note in content["notes"]:
        console.print(Text(f"! {escape(note)}", style="bold yellow"))
    for split in list_splits(content):
        table = Table(title=title_of_split(content, split), title_justify="left")
        for name in HEADER:
            table.add_column(name)
        for row in make_rows(content, split):
            table.add_row(*(Text(cell) for cell in row.cells()), style="bold" if row.kind == "run" else "dim")
        console.print(table)
    for title, cells in _make_further_tables(content):
        table = Table(*cells[0], title=title, title_justify="left")
        for row_cells in cells[1:]:
            table.add_row(*(Text(cell) for cell in row_cells))
        console.print(table)
