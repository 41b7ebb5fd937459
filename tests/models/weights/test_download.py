import configparser
import contextlib
import dataclasses
import email
import errno
import fcntl
import hashlib
import http.server
import io
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import py7zr
import pytest
import torch

from models.weights.commands import main
from models.weights.digests import compute_git_blob, find_sidecar
from models.weights.download import DownloadError, _OnlySaferRedirects, fetch_weights
from models.weights.table import WEIGHTS, WeightsError, WrongDigestError, resolve_weights

CONTENT = bytes(range(256)) * 4000  # 1 MB


class Server(http.server.ThreadingHTTPServer):
    """Serves files from memory, and misbehaves on demand.

    break_after: bytes after which the next answers are cut, one entry an answer; the length announced is the true one.
    """

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {}
        self.break_after: list[int] = []
        self.has_ranges = True
        self.has_length = True
        self.ranges: list[str | None] = []
        self.length: str | None = None  # announced instead of the true one
        self.surplus = b""  # sent behind the end
        self.moved_to: str | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/mirror"


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        if self.server.moved_to is not None:
            self.send_response(302)
            self.send_header("Location", self.server.moved_to)
            self.end_headers()
            return
        content = self.server.files.get(self.path.removeprefix("/mirror/"))
        asked = self.headers.get("Range")
        self.server.ranges.append(asked)
        if content is None:
            self.send_error(404)
            return
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked and self.server.has_ranges else 0
        if start and start >= len(content):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        if self.server.has_length:
            self.send_header("Content-Length", self.server.length or str(len(content) - start))
        self.end_headers()
        end = start + self.server.break_after.pop(0) if self.server.break_after else len(content)
        with contextlib.suppress(ConnectionError):  # the client may have had enough
            self.wfile.write(content[start:end] + self.server.surplus)

    def log_message(self, *_args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture
def vgg16(server, monkeypatch) -> str:
    """The name of a small replacement for VGG-16 on the server; the table of weights has its digest."""
    entry = dataclasses.replace(WEIGHTS["vgg16"], sha256=hashlib.sha256(CONTENT).hexdigest())
    monkeypatch.setitem(WEIGHTS, "vgg16", entry)
    server.files[entry.file_name] = CONTENT
    return entry.file_name


@pytest.fixture
def sphereface(server, monkeypatch, tmp_path) -> str:
    """The name of a small replacement for SphereFace's archive on the server."""
    archive = tmp_path / "made.7z"
    with py7zr.SevenZipFile(archive, "w") as packed:
        packed.writestr(CONTENT[:5000], "sphere20a_20171020.pth")
    entry = dataclasses.replace(WEIGHTS["sphereface20"], archive_git_blob=compute_git_blob(archive))
    monkeypatch.setitem(WEIGHTS, "sphereface20", entry)
    server.files[entry.archive_name] = archive.read_bytes()
    archive.unlink()
    return entry.archive_name


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_download_is_checked_and_named(server, vgg16, tmp_path):
    seen = []
    path = fetch_weights("vgg16", tmp_path / "new", base_url=server.url, progress=lambda *state: seen.append(state))
    assert path == tmp_path / "new" / vgg16
    assert path.read_bytes() == CONTENT
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert names(path.parent) == {vgg16, find_sidecar(path).name}
    assert resolve_weights("vgg16", str(path)).verified


def test_a_partial_file_is_continued(server, vgg16, tmp_path):
    (tmp_path / f"{vgg16}.part").write_bytes(CONTENT[:300_000])
    assert fetch_weights("vgg16", tmp_path, base_url=server.url).read_bytes() == CONTENT
    assert server.ranges == ["bytes=300000-"]


def test_a_connection_that_breaks_is_continued(server, vgg16, tmp_path):
    server.break_after = [100_000, 0, 200_000, 0, 0]
    assert fetch_weights("vgg16", tmp_path, base_url=server.url).read_bytes() == CONTENT
    assert server.ranges == [None, "bytes=100000-", "bytes=100000-", *["bytes=300000-"] * 3]


def test_a_connection_that_keeps_breaking_is_given_up_and_what_came_is_kept(server, vgg16, tmp_path):
    server.break_after = [100_000, 0, 0, 0]
    with pytest.raises(DownloadError, match="the connection broke after 100000 bytes; run the same again"):
        fetch_weights("vgg16", tmp_path, base_url=server.url)
    assert names(tmp_path) == {f"{vgg16}.part"}
    assert fetch_weights("vgg16", tmp_path, base_url=server.url).read_bytes() == CONTENT


def test_a_server_without_ranges_starts_again(server, vgg16, tmp_path):
    server.has_ranges = False
    (tmp_path / f"{vgg16}.part").write_bytes(b"older")
    assert fetch_weights("vgg16", tmp_path, base_url=server.url).read_bytes() == CONTENT


def test_a_server_that_does_not_tell_the_length(server, vgg16, tmp_path):
    server.has_length = False
    assert fetch_weights("vgg16", tmp_path, base_url=server.url).read_bytes() == CONTENT


def test_a_partial_file_that_is_already_whole(server, vgg16, tmp_path):
    (tmp_path / f"{vgg16}.part").write_bytes(CONTENT)
    assert fetch_weights("vgg16", tmp_path, base_url=server.url).read_bytes() == CONTENT


def test_a_wrong_file_is_removed_and_said_so(server, vgg16, tmp_path):
    server.files[vgg16] = CONTENT[::-1]
    found = hashlib.sha256(CONTENT[::-1]).hexdigest()
    with pytest.raises(WrongDigestError, match=f"its digest is {found}, it must be sha256 .*; it was removed"):
        fetch_weights("vgg16", tmp_path, base_url=server.url)
    assert names(tmp_path) == set()


def test_a_source_that_has_moved(server, vgg16, tmp_path):
    del server.files[vgg16]
    with pytest.raises(DownloadError, match=rf"{vgg16}: the server answered 404 \(Not Found\); the source has moved"):
        fetch_weights("vgg16", tmp_path, base_url=server.url)
    assert names(tmp_path) == set()


def test_a_server_that_is_not_there(vgg16, server, tmp_path):
    with pytest.raises(DownloadError, match=r"no connection .*refused.*; check the network"):
        fetch_weights("vgg16", tmp_path, base_url="http://127.0.0.1:1")


def test_too_little_room_is_said_before_the_download(server, vgg16, tmp_path, monkeypatch):
    import shutil

    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**9, 10**9 - 1000, 1000))
    with pytest.raises(DownloadError, match=f"{len(CONTENT)} more bytes are needed in .*, where 1000 are free"):
        fetch_weights("vgg16", tmp_path, base_url=server.url)


def test_a_disk_that_fills_up(server, vgg16, tmp_path, monkeypatch):
    def fill(*_args: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", fill)
    with pytest.raises(DownloadError, match=r"no space left in .* for weights 'vgg16': make room"):
        fetch_weights("vgg16", tmp_path, base_url=server.url)
    assert names(tmp_path) == {f"{vgg16}.part"}


def test_two_processes_do_not_write_one_file(server, vgg16, tmp_path):
    part = tmp_path / f"{vgg16}.part"
    with part.open("ab") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(DownloadError, match=rf"{vgg16}\.part is being written by another process"):
            fetch_weights("vgg16", tmp_path, base_url=server.url)


@pytest.mark.parametrize("length", ["abc", "-5", "1e3", "\u00b2", "", "12\x1b[2J"])
def test_a_length_that_is_no_number_is_told(server, vgg16, tmp_path, length):
    server.length = length or " "
    with pytest.raises(DownloadError, match=r"^[ -~]*the server announces '.*' as the length of the file, which is no"):
        fetch_weights("vgg16", tmp_path, base_url=server.url)
    assert names(tmp_path) == set()


def test_a_file_larger_than_any_weights_is_not_begun(server, vgg16, tmp_path):
    server.length = "9" * 5000
    with pytest.raises(DownloadError, match=r"the server sends 9{20} bytes or more, and no weights have over 2"):
        fetch_weights("vgg16", tmp_path, base_url=server.url)
    assert names(tmp_path) == set()


def test_a_body_without_end_is_cut_off(server, vgg16, tmp_path, monkeypatch):
    monkeypatch.setattr("models.weights.download._MOST_BYTES", 500_000)
    server.has_length = False
    with pytest.raises(DownloadError, match=r"bytes or more, and no weights have over 500000"):
        fetch_weights("vgg16", tmp_path, base_url=server.url)
    assert names(tmp_path) == set()


def test_an_archive_whose_unpacking_was_cut_short_is_not_fetched_again(server, sphereface, tmp_path, monkeypatch):
    def fill(*_args: object, **_more: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("models.weights.download.record_digest", fill)
        with pytest.raises(DownloadError, match=r"no space left in .*: make room and run the same again"):
            fetch_weights("sphereface20", tmp_path, base_url=server.url)
    assert names(tmp_path) == {str(WEIGHTS["sphereface20"].archive_name)}
    server.ranges.clear()
    target = fetch_weights("sphereface20", tmp_path, base_url=server.url)
    assert server.ranges == []
    assert names(tmp_path) == {target.name, find_sidecar(target).name}


def test_an_archive_that_is_there_and_damaged_is_fetched_again(server, sphereface, tmp_path):
    (tmp_path / str(WEIGHTS["sphereface20"].archive_name)).write_bytes(b"half an archive")
    target = fetch_weights("sphereface20", tmp_path, base_url=server.url)
    assert names(tmp_path) == {target.name, find_sidecar(target).name}


def test_what_is_sent_behind_the_announced_end_is_not_taken(server, vgg16, tmp_path):
    server.surplus = b"and more" * 1000
    assert fetch_weights("vgg16", tmp_path, base_url=server.url).read_bytes() == CONTENT


@pytest.mark.parametrize(
    "target", ["file:///etc/passwd", "ftp://127.0.0.1/x", "data:,x", "gopher://x/\x1b[2J", "http://[x"]
)
def test_a_redirect_to_another_scheme_is_not_followed(server, vgg16, tmp_path, target):
    server.moved_to = target
    message = rf"(the server redirects to {target[:7]}[ -~]*, which is not https|the server's answer is not valid HTTP)"
    with pytest.raises(DownloadError, match=rf"^[ -~]*{message}"):
        fetch_weights("vgg16", tmp_path, base_url=server.url)
    assert names(tmp_path) == set()


def test_a_redirect_from_https_to_http_is_not_followed():
    """The local server has only http, so the rule for redirects is called directly."""
    request = urllib.request.Request("https://example.org/vgg16.pth")
    headers = email.message_from_string("Location: http://example.org/x")
    for code in (301, 302, 303, 307, 308):
        follow = getattr(_OnlySaferRedirects(), f"http_error_{code}")
        with pytest.raises(DownloadError, match=r"redirects to http://example.org/x, which is not https; nothing was"):
            follow(request, io.BytesIO(), code, "Moved", headers)


def test_a_redirect_of_a_mirror_is_followed(server, vgg16, tmp_path):
    with Server() as other:
        other.moved_to = f"{server.url}/{vgg16}"
        thread = threading.Thread(target=other.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        assert fetch_weights("vgg16", tmp_path, base_url=other.url).read_bytes() == CONTENT
        other.shutdown()
        thread.join()


@pytest.mark.parametrize("url", ["file:///mirror", "ftp://127.0.0.1", "mirror"])
def test_a_mirror_is_https_or_http(vgg16, tmp_path, url, capsys):
    assert main(["fetch", "vgg16", "--folder", str(tmp_path), "--base-url", url]) == 1
    assert f"error: {url}/{vgg16} cannot be fetched: its address must begin with https://" in capsys.readouterr().err


def test_a_server_that_redirects_to_itself_is_given_up(server, vgg16, tmp_path):
    server.moved_to = f"{server.url}/{vgg16}"
    with pytest.raises(DownloadError, match="the server answered 302"):
        fetch_weights("vgg16", tmp_path, base_url=server.url)


def test_an_archive_is_checked_unpacked_and_removed(server, sphereface, tmp_path):
    path = fetch_weights("sphereface20", tmp_path, base_url=server.url)
    assert path.read_bytes() == CONTENT[:5000]
    assert names(tmp_path) == {path.name, find_sidecar(path).name}
    assert resolve_weights("sphereface20", str(path)).verified


def test_a_wrong_archive_is_not_unpacked(server, sphereface, tmp_path):
    server.files[sphereface] += b"x"
    with pytest.raises(WrongDigestError, match="it must be git blob"):
        fetch_weights("sphereface20", tmp_path, base_url=server.url)
    assert names(tmp_path) == set()


def test_an_archive_without_the_file(server, sphereface, tmp_path, monkeypatch):
    entry = dataclasses.replace(WEIGHTS["sphereface20"], file_name="other.pth")
    monkeypatch.setitem(WEIGHTS, "sphereface20", entry)
    with pytest.raises(WeightsError, match=r"holds 0 files named other\.pth; it must hold one"):
        fetch_weights("sphereface20", tmp_path, base_url=server.url)


def test_what_is_there_is_not_fetched_again(server, vgg16, tmp_path):
    (tmp_path / vgg16).write_bytes(CONTENT)
    assert fetch_weights("vgg16", tmp_path, base_url=server.url) == tmp_path / vgg16
    assert server.ranges == []


def test_what_is_there_and_wrong_or_unknown_is_not_overwritten(server, vgg16, sphereface, tmp_path):
    (tmp_path / vgg16).write_bytes(b"mine")
    torch.save({"mine": torch.zeros(1)}, tmp_path / "sphere20a_20171020.pth")
    with pytest.raises(WrongDigestError, match="remove it, then fetch it"):
        fetch_weights("vgg16", tmp_path, base_url=server.url)
    with pytest.raises(WeightsError, match=r"sphere20a_20171020\.pth exists, but it is not known .* move it away"):
        fetch_weights("sphereface20", tmp_path, base_url=server.url)
    assert (tmp_path / vgg16).read_bytes() == b"mine"


def test_carried_weights_need_no_download(tmp_path):
    assert fetch_weights("mtcnn-pnet", tmp_path, base_url="http://127.0.0.1:1").name == "pnet.lz4"


def test_the_command_fetches_and_reports(server, vgg16, tmp_path, capsys):
    assert main(["fetch", "vgg16", "--folder", str(tmp_path), "--base-url", server.url]) == 0
    shown = capsys.readouterr()
    assert shown.out.strip() == str(tmp_path / vgg16)
    assert "vgg16: 1.0 MB of 1.0 MB (100 %)" in shown.err


def test_the_command_fails_with_the_reason(server, vgg16, tmp_path, capsys):
    server.files.clear()
    assert main(["fetch", "vgg16", "--folder", str(tmp_path), "--base-url", server.url]) == 1
    assert "error: http" in capsys.readouterr().err


def test_the_command_can_be_interrupted_and_continued(server, vgg16, tmp_path, capsys, monkeypatch):
    def interrupt(*_args: object, **_kwargs: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("models.weights.commands._Progress.__call__", interrupt)
        assert main(["fetch", "vgg16", "--folder", str(tmp_path), "--base-url", server.url]) == 130
    assert "the same command continues there" in capsys.readouterr().err
    assert (tmp_path / f"{vgg16}.part").stat().st_size > 0
    assert main(["fetch", "vgg16", "--folder", str(tmp_path), "--base-url", server.url]) == 0


def test_the_settings_name_what_fetch_leaves(server, sphereface, vgg16, tmp_path, monkeypatch, capsys):
    """The README's commands, then the run's own question: from an empty folder, with the paths of tasks.cfg."""
    settings = configparser.ConfigParser()
    settings.read(Path(__file__).parents[3] / "tasks.cfg", encoding="utf-8")
    paths = {"sphereface20": settings["embeddings"]["weights"], "vgg16": settings["anet"]["vgg_weights"]}
    monkeypatch.chdir(tmp_path)
    for name, path in paths.items():
        assert main(["fetch", name, "--base-url", server.url]) == 0
        assert capsys.readouterr().out == f"{path}\n"
        assert resolve_weights(name, path).verified
