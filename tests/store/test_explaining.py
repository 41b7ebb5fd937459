import errno

from store.explaining import count_free, explain


def test_a_full_disk_is_told_with_what_is_free_there(tmp_path):
    told = explain(OSError(errno.ENOSPC, "No space left on device", str(tmp_path / "a" / "b")))
    assert told.startswith(f"{tmp_path}/a/b cannot be written (No space left on device); ")
    assert told.endswith(" bytes are free there; make room or name another place, and give the same command again")
    assert count_free(tmp_path / "a" / "b") > 0


def test_what_names_no_file_is_still_a_sentence():
    assert explain(OSError(errno.ENOSPC, "No space left on device")).startswith(
        "the output cannot be written (No space"
    )
    assert explain(OSError("odd")) == "odd"
    assert explain(OSError(errno.EACCES, "Permission denied", 3)) == "Permission denied"
    assert explain(OSError(errno.EACCES, "Permission denied", b"/x")) == "/x: Permission denied"
