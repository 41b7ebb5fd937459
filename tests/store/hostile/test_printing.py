"""Text of a store from elsewhere: it steers no terminal and no spreadsheet."""

import json
from pathlib import Path

import numpy as np
import pytest

from store.layout import shard_path
from tests.store.hostile.attacks import run, seal
from tests.store.stores import FINGERPRINTS

ROOT = Path(__file__).resolve().parents[3]


ESCAPES = "\x1b[2J\x9b2J\n\r\u202e=cmd|' /C calc'!A0"


@pytest.fixture
def loud(store):
    """A store whose messages, settings and facts steer terminals."""
    root, assigned = store
    path = shard_path(root, "frames", FINGERPRINTS["frames"], assigned["w/a"])

    def change(file):
        for name, text in (("message", ESCAPES), ("codec", ESCAPES)):
            del file[f"utterances/{name}"]
            file["utterances"].create_dataset(name, data=np.array([text.encode()], "S64"))
        provenance = json.dumps({"settings": {ESCAPES: ESCAPES}})
        file.attrs.create("provenance", np.bytes_(provenance.encode()))

    seal(path, change)
    return root


@pytest.mark.parametrize(
    "arguments", [("show", "w/a", "-v"), ("why", "w/a"), ("ls", "-v"), ("verify",), ("why", "w/\x1b[2J")]
)
@pytest.mark.parametrize("as_json", [True, False])
def test_what_is_printed_steers_no_terminal(loud, capsys, arguments, as_json):
    _, out, err = run(capsys, arguments[0], loud, *arguments[1:], *(["--json"] if as_json else []))
    assert not set("\x1b\x9b\r\u202e") & set(out + err)
    if as_json and arguments == ("show", "w/a"):
        assert json.loads(out)["stages"]["frames"]["message"] == ESCAPES
    if not as_json and arguments == ("show", "w/a"):
        assert r"frames: ok: \x1b[2J\x9b2J\x0a\x0d\u202e=cmd" in out


def test_errors_steer_no_terminal(store, capsys):
    code, _, err = run(capsys, "show", store[0], "\x1b[2J")
    assert code == 2
    assert "\x1b" not in err


def test_exported_cells_are_text_to_a_spreadsheet(loud, tmp_path, capsys):
    path = loud / "roots" / "runs-1.json"
    assert run(capsys, "export", loud, "--to", "csv", tmp_path / "csv")[0] == 0
    text = (tmp_path / "csv" / "utterances.csv").read_text()
    assert path.exists()
    assert not set("\x1b\x9b\r") & set(text), "marks of direction may be part of a name and stay"
    assert r"\x1b[2J\x9b2J\x0a\x0d" + "\u202e=cmd" in text
