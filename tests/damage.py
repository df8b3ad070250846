"""Files as they arrive from strangers and over bad lines: hypothesis draws what is broken."""

from __future__ import annotations

from hypothesis import strategies as st


@st.composite
def damaged(draw: st.DrawFn, whole: bytes, other: bytes = b"") -> bytes:
    """A file that was cut off, changed in some bytes, or put together with another one."""
    data = bytearray(whole)
    for _ in range(draw(st.integers(1, 4))):
        if not data:
            break
        # headers are the smallest part of a file, and decide most
        place = draw(st.integers(0, len(data) - 1) | st.integers(0, min(len(data), 700) - 1))
        match draw(st.sampled_from(["cut", "flip", "set", "insert", "remove", "splice"])):
            case "cut":
                del data[place:]
            case "flip":
                data[place] ^= 1 << draw(st.integers(0, 7))
            case "set":
                data[place] = draw(st.sampled_from([0, 1, 0x7F, 0x80, 0xFF]))
            case "insert":
                data[place:place] = draw(st.binary(min_size=1, max_size=20))
            case "remove":
                del data[place : place + draw(st.integers(1, 40))]
            case "splice":
                from_here = draw(st.integers(0, len(other)))
                data[place:] = other[from_here:]
    return bytes(data)
