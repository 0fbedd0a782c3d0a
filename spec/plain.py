# SPDX-License-Identifier: Apache-2.0
"""Text from files and runtimes, made safe to show to people."""

from __future__ import annotations

import re
from typing import Any

#: Controls (C0, DEL, C1); marks, embeddings, overrides and isolates of the bidirectional algorithm (UAX 9); separators
#: that end a line for some programs; characters that nobody sees (zero width, tags, byte order mark); what is no
#: character, halves of surrogate pairs among it, which no encoding can write.
_UNSAFE = (
    "\x00-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ufffe\uffff"
    "\ud800-\udfff\U000e0000-\U000e007f"
)
_IN_A_LINE = re.compile(f"[{_UNSAFE}]")
_IN_LINES = re.compile(f"(?!\n)[{_UNSAFE}]")


def plain(text: str, *, lines: bool = False) -> str:
    r"""Return ``text`` with an escape as in JSON (``\u001b``) in place of each character that could deceive a reader.

    Those are the ones that move the cursor, colour, reorder, hide, or cannot be encoded. So no text from a file or a
    runtime can be taken for something that this program says. With ``lines``, line feeds stay.
    """
    if text.isprintable():  # nearly all is, and this is quicker
        return text
    return (_IN_LINES if lines else _IN_A_LINE).sub(_escape, text)


def plain_data(data: Any) -> Any:
    """Return a copy of ``data``, as JSON has them, in which every text and every key went through :func:`plain`."""
    match data:
        case str():
            return plain(data, lines=True)
        case dict():
            return {plain(key, lines=True): plain_data(value) for key, value in data.items()}
        case list():
            return [plain_data(item) for item in data]
        case _:
            return data


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\u{code:04x}" if code < 1 << 16 else f"\\U{code:08x}"
