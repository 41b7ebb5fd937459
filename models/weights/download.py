"""Download of third-party weights over https, with resume and digest check. Nothing that a server says is trusted."""

import errno
import fcntl
import http
import http.client
import os
import shutil
import tempfile
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from models.tables import format_count
from models.weights.digests import compute_git_blob, compute_sha256, record_digest
from models.weights.table import (
    WeightsEntry,
    WeightsError,
    WrongDigestError,
    find_carried_weights,
    find_weights_entry,
    resolve_weights,
)

# Called with the number of bytes that have arrived and their total, which is None if the server does not say it.
Progress = Callable[[int, int | None], None]

_BLOCK_BYTES = 1 << 18
_TIMEOUT_SECONDS = 60.0
# A connection that keeps breaking is given up after this many tries in a row that brought no new bytes.
_FRUITLESS_TRIES = 3
# The largest file of the table has 553 MB; a server that sends without end must not fill the disk.
_MOST_BYTES = 2_000_000_000
_BROKEN_CONNECTION = (ConnectionError, TimeoutError, http.client.HTTPException)


class DownloadError(WeightsError):
    """An incomplete download; the part that has arrived is kept, and the next download continues there."""


class OversizedError(DownloadError):
    """A server sends more bytes than any weights have; the part that has arrived is useless and is removed."""


def fetch_weights(name: str, folder: Path, *, base_url: str | None = None, progress: Progress | None = None) -> Path:
    """Download weights of the table into a folder, check them and unpack them.

    Args:
        name: a name of the table.
        folder: made if it is missing.
        base_url: address of a mirror that has the file under its own name. Only a mirror may have plain http.
        progress: called as bytes arrive.

    Returns:
        The file to load. If the published file is there already, it is not changed.

    Raises:
        WrongDigestError: the file that arrived, or that is there already, is not the published file.
        DownloadError: the server or the connection failed, or the disk is full; says which, and what to do.
        WeightsError: there is no such name, or a file of unknown origin is already there.
        OSError: the folder cannot be written.
    """
    entry = find_weights_entry(name)
    if entry.package is not None:
        carried = find_carried_weights(name)
        _check_sha256(carried.path, carried.sha256, f"pip install --force-reinstall {entry.package}")
        return carried.path
    target = folder / entry.file_name
    if target.exists():
        return _accept_present(entry, target)
    url = entry.source if base_url is None else f"{base_url.rstrip('/')}/{entry.source.rsplit('/', 1)[1]}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _fetch_into(entry, url, target, progress)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise DownloadError(
            f"no space left in {folder} for weights {name!r}: make room and run the same again"
        ) from error
    return target


def _fetch_into(entry: WeightsEntry, url: str, target: Path, progress: Progress | None) -> None:
    remedy = "it was removed; run the same again, and if that does not help the source has changed"
    if entry.archive_name is None:

        def check(path: Path) -> None:
            _check_sha256(path, str(entry.sha256), remedy)

        download_file(url, target, check=check, progress=progress)
        record_digest(target)
        return

    def check_archive(path: Path) -> None:
        found = compute_git_blob(path)
        if found != entry.archive_git_blob:
            raise WrongDigestError(path, expected=f"git blob {entry.archive_git_blob}", found=found, remedy=remedy)

    archive = target.with_name(entry.archive_name)
    if not _is_there(archive, check_archive):
        download_file(url, archive, check=check_archive, progress=progress)
    _unpack(archive, entry, target)


def _is_there(archive: Path, check: Callable[[Path], None]) -> bool:
    """Tell whether the right archive is already there, because its unpacking was interrupted (as by a full disk)."""
    try:
        check(archive)
    except (FileNotFoundError, WrongDigestError):
        return False
    return True


def download_file(url: str, target: Path, *, check: Callable[[Path], None], progress: Progress | None = None) -> None:
    """Download a file to `<target>.part`, check it, and only then rename it to `target`.

    The partial file of an earlier attempt is continued. After a broken connection, the download is tried again as long
    as the tries bring new bytes.

    Args:
        url: https or http. An https address is never redirected to another scheme.
        target: the file to make.
        check: raises WrongDigestError if the given file is not the right one; that file is then removed. A file that is
            too large is removed too.
        progress: called as bytes arrive.

    Raises:
        DownloadError: the server or the connection failed, or another process is downloading the file.
        WrongDigestError: from `check`.
        OSError: the file cannot be written.
    """
    if urllib.parse.urlsplit(url).scheme not in ("https", "http"):
        raise DownloadError(
            f"{url} cannot be fetched: its address must begin with https:// (or, for a mirror, http://)"
        )
    part = target.with_name(target.name + ".part")
    with part.open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise DownloadError(f"{part} is being written by another process: wait until it has ended") from error
        try:
            _fill(url, file, progress)
            check(part)
        except (WrongDigestError, OversizedError):
            part.unlink()
            raise
        except BaseException:
            if part.stat().st_size == 0:
                part.unlink()
            raise
        part.replace(target)


def _fill(url: str, file: BinaryIO, progress: Progress | None) -> None:
    """Append to the file until it is complete."""
    fruitless = 0
    while fruitless < _FRUITLESS_TRIES:
        before = file.seek(0, os.SEEK_END)
        if _request_rest(url, file, progress):
            file.flush()
            os.fsync(file.fileno())
            return
        fruitless = fruitless + 1 if file.seek(0, os.SEEK_END) <= before else 0
    have = file.seek(0, os.SEEK_END)
    raise DownloadError(f"{url}: the connection broke after {have} bytes; run the same again, it continues from there")


def _request_rest(url: str, file: BinaryIO, progress: Progress | None) -> bool:
    """Request the missing bytes and append what arrives; return whether the file is now complete."""
    have = file.seek(0, os.SEEK_END)
    headers = {"User-Agent": "valar"} | ({"Range": f"bytes={have}-"} if have else {})
    try:
        request = urllib.request.Request(url, headers=headers)
        with _make_opener().open(request, timeout=_TIMEOUT_SECONDS) as response:
            if response.status != http.HTTPStatus.PARTIAL_CONTENT:
                file.truncate(0)  # the server sends the whole file, even if only a part was requested
                have = 0
            length = _read_length(url, response.headers.get("Content-Length"))
            total = None if length is None else have + length
            _check_size(url, total or 0)
            _check_space(Path(file.name).parent, needed=length or 0)
            while block := response.read(_BLOCK_BYTES):
                _check_size(url, have + len(block))
                file.write(block)
                have += len(block)
                if progress is not None:
                    progress(have, total)
            return total is None or have >= total
    except urllib.error.HTTPError as error:
        if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and have:
            return True  # nothing is missing, or the file is too long: the digest check will tell
        hint = "the source has moved" if error.code == http.HTTPStatus.NOT_FOUND else "try again later"
        answer = f"{error.code} ({_make_printable(error.reason)})"
        raise DownloadError(f"{url}: the server answered {answer}; {hint}") from error
    except urllib.error.URLError as error:
        raise DownloadError(
            f"{url}: no connection ({error.reason}); check the network and run the same again"
        ) from error
    except _BROKEN_CONNECTION:
        return False
    except ValueError as error:  # an invalid address in a redirect
        raise DownloadError(f"{url}: the server's answer is not valid HTTP ({_make_printable(error)})") from error


class _OnlySaferRedirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects to https, and redirects from http to http; never to ftp, files, ..."""

    def http_error_302(self, req: Any, fp: Any, code: int, msg: str, headers: Any) -> Any:
        """Check every redirect before urllib follows it; the arguments are urllib's."""
        target = urllib.parse.urljoin(req.full_url, headers.get("Location") or headers.get("URI") or "")
        allowed = ("https",) if urllib.parse.urlsplit(req.full_url).scheme == "https" else ("https", "http")
        if urllib.parse.urlsplit(target).scheme not in allowed:
            raise DownloadError(
                f"{req.full_url}: the server redirects to {_make_printable(target)}, which is not https; nothing was "
                "fetched from there: fetch the file by hand, or name a mirror with --base-url"
            )
        return super().http_error_302(req, fp, code, msg, headers)

    http_error_301 = http_error_303 = http_error_307 = http_error_308 = http_error_302


def _make_opener() -> urllib.request.OpenerDirector:
    """Make an opener of addresses, without urllib's handlers for files and ftp."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        _OnlySaferRedirects(),
    ):
        opener.add_handler(handler)
    return opener


def _read_length(url: str, text: str | None) -> int | None:
    """Read the length that a server announces; None if it announces none."""
    if text is None:
        return None
    if not (text.isascii() and text.isdigit()):
        raise DownloadError(
            f"{url}: the server announces {_make_printable(text)!r} as the length of the file, which is not a number "
            "of bytes; try again later, or name a mirror with --base-url"
        )
    return int(text[:20])


def _check_size(url: str, size: int) -> None:
    if size > _MOST_BYTES:
        raise OversizedError(
            f"{url}: the server sends {size} bytes or more, and no weights have over {_MOST_BYTES}; what has arrived "
            "was removed: name a mirror with --base-url"
        )


def _make_printable(text: object) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in str(text)[:200])


def _check_space(folder: Path, *, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise DownloadError(
            f"{needed} more bytes are needed in {folder}, where {free} are free: make room and run the same again"
        )


def _check_sha256(path: Path, expected: str, remedy: str) -> None:
    found = compute_sha256(path)
    if found != expected:
        raise WrongDigestError(path, expected=f"sha256 {expected}", found=found, remedy=remedy)


def _accept_present(entry: WeightsEntry, target: Path) -> Path:
    """Return a file that is there already, if it is known to be the published one."""
    if not resolve_weights(entry.name, str(target)).verified:
        raise WeightsError(
            f"{target} exists, but it is not known whether it is the published file ({entry.published_digest}): use "
            "it as it is, or move it away and fetch again"
        )
    return target


def _unpack(archive: Path, entry: WeightsEntry, target: Path) -> None:
    """Extract the one file from a checked archive, write its sidecar, and remove the archive."""
    import py7zr

    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f"{archive.name}.") as folder:
        with py7zr.SevenZipFile(archive) as packed:
            members = [name for name in packed.getnames() if Path(name).name == entry.file_name]
            if len(members) != 1:
                raise WeightsError(
                    f"{archive} holds {format_count(len(members), 'file')} named {entry.file_name}; it must hold one"
                )
            packed.extract(path=folder, targets=members)
        unpacked = Path(folder) / members[0]
        with unpacked.open("rb") as file:
            os.fsync(file.fileno())
        # The sidecar is written first: without it, the file's origin would count as unknown.
        record_digest(unpacked, target=target, unpacked_from=entry.archive_git_blob)
        unpacked.replace(target)
    archive.unlink()
