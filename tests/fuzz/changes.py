"""What is done to a good file: bytes and words swapped, cut, repeated; values of JSON replaced by others."""

import copy
import json

from hypothesis import strategies as st

#: Bytes that have meant something to some reader.
TOKENS = [
    b"",
    b"\0",
    b"\xff\xfe",
    b"\xef\xbb\xbf",
    b"\r",
    b"\n\n",
    b'"',
    b",",
    b";",
    b"\t",
    b"%",
    b"[",
    b"]",
    b"[run]\n",
    b"{",
    b"}",
    b"=",
    b"-1",
    b"1e999",
    b"nan",
    b"99999999999999999999",
    b"9" * 5000,
    b"../../x",
    b"/etc/passwd",
    b"\x1b[2J",
    "١".encode(),
    "é".encode("utf-16-le"),
    b"[" * 3000,
    b"a" * 140_000,
    b"\xed\xa0\x80",
]
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.sampled_from([2**31, 2**63, -(2**63) - 1, 10**400, 0.5, 1e300, -0.0, float("inf"), float("nan")]),
    st.sampled_from(["", "..", "../../../x", "/etc/passwd", "v/a", "\x1b[2J", "\ud800", "\0", "a" * 70_000, "ok"]),
    st.sampled_from([[], {}, [[]], {"": {}}, [1, "1"], {"a": [None]}]),
)


@st.composite
def changed_bytes(draw, good):
    """Give the bytes of a good file after one to six changes."""
    data = bytearray(good)
    for _ in range(draw(st.integers(1, 6))):
        start = draw(st.integers(0, len(data)))
        end = min(len(data), start + draw(st.sampled_from([0, 1, 2, 4, 8, 64, 1 << 20])))
        kind = draw(st.sampled_from(["token", "flip", "bytes", "repeat", "cut"]))
        if kind == "token":
            data[start:end] = draw(st.sampled_from(TOKENS))
        elif kind == "flip" and start < len(data):
            data[start] ^= 1 << draw(st.integers(0, 7))
        elif kind == "bytes":
            data[start:end] = draw(st.binary(max_size=16))
        elif kind == "repeat":
            data[start:start] = data[start:end][: 1 << 12] * draw(st.integers(1, 20))
        else:
            del data[start:end]
    return bytes(data)


@st.composite
def changed_values(draw, good):
    """Give plain data after one to four of its values, keys or places have become others."""
    value = copy.deepcopy(good)
    for _ in range(draw(st.integers(1, 4))):
        places = list(_walk(value))
        if not places:
            return copy.deepcopy(draw(VALUES))
        holder, key = draw(st.sampled_from(places))
        kind = draw(st.sampled_from(["value", "value", "value", "remove", "rename", "nest"]))
        if kind == "value":
            holder[key] = copy.deepcopy(draw(VALUES))  # it may itself be changed
        elif kind == "remove":
            del holder[key]
        elif kind == "nest":
            holder[key] = [holder[key]]
        elif isinstance(holder, dict):
            holder[draw(st.sampled_from(["", "x", "../x", "\x1b", key + key if isinstance(key, str) else "y"]))] = (
                holder.pop(key)
            )
    return value


def _walk(value):
    """Give each place of nested plain data, as what holds it and its key there."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in list(inner):
        yield value, key
        yield from _walk(each)


def changed_json(good):
    """Give the bytes of a JSON file that has been changed, as text or in its values."""
    values = changed_values(json.loads(good)).map(lambda value: json.dumps(value).encode())
    return st.one_of(changed_bytes(good), values, values)
