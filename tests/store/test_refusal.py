"""A run refuses whom the store was told to forget, and says so."""

import os
import subprocess
import sys
from pathlib import Path

from store.records.erased import read_erased

CODE = """
from pipeline.runs.outcome.ledger import read_ledger
from pipeline.runs.opening import open_run
run = open_run()
members = [member.name for plan in run.plan.shards.values() for member in plan.members]
print(sorted(run.clips), sorted(run.plan.assigned), members)
print(*run.dataset.warnings, sep="\\n")
row = read_ledger(run)["v/b"]
print(row.sound, row.sound_message, sep=": ")
"""


def test_an_erased_clip_is_refused_and_named(tmp_path):
    head = "link,start,end,video,utterance,arousal,valence,EmotionMaxVote\n"
    for split, names in {"train": ["a", "b"], "validation": ["c"]}.items():
        rows = "".join(f"l,,,v,{name}.mp4,0.1,0.2,1\n" for name in names)
        (tmp_path / f"{split}.csv").write_text(head + rows)
    (tmp_path / "videos" / "v").mkdir(parents=True)
    for name in "abc":
        (tmp_path / "videos" / "v" / f"{name}.mp4").write_bytes(b"clip")
    store = tmp_path / "store"
    read_erased(store).with_names(["v/b"]).write(store)
    (tmp_path / "run.cfg").write_text(
        f"[dataset]\nvideos = {tmp_path}/videos\ntrain = {tmp_path}/train.csv\nvalidation = {tmp_path}/validation.csv\n"
        f"test =\n[store]\nroot = {store}\n[run]\nroot = {tmp_path}/runs\n"
        "[embeddings]\nweights = random\n[anet]\nvgg_weights = random\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", CODE],
        env={**os.environ, "LUIGI_CONFIG_PATH": str(tmp_path / "run.cfg")},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    lines = ended.stdout.splitlines()
    assert lines[0] == "['v/a', 'v/c'] ['v/a', 'v/c'] ['v/a', 'v/c']"
    assert lines[1].startswith(f"v/b was erased from {store} on 20")
    assert lines[1].endswith("and is not added again; remove its clip and its CSV row")
    assert lines[2] == f"missing_file: {lines[1]}"
