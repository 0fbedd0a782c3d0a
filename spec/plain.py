# SPDX-License-Identifier: Apache-2.0
"""Escaping of text from files and runtimes that is shown to users."""

from __future__ import annotations

import re
from typing import Any

#: Controls (C0, DEL, C1); marks, embeddings, overrides and isolates of the bidirectional algorithm (UAX 9); separators
#: that end a line for some programs; invisible characters (zero width, tags, byte order mark); noncharacters and
#: surrogates, which cannot be encoded.
_UNSAFE = (
    "\x00-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ufffe\uffff"
    "\ud800-\udfff\U000e0000-\U000e007f"
)
_IN_A_LINE = re.compile(f"[{_UNSAFE}]")
_IN_LINES = re.compile(f"(?!\n)[{_UNSAFE}]")


def plain(text: str, *, lines: bool = False) -> str:
    r"""Return ``text`` with an escape as in JSON (``\u001b``) in place of each character that could deceive a reader.

    Those are characters that move the cursor, set colours, reorder or hide text, or cannot be encoded. So no text from
    a file or a runtime looks like output of this program. With ``lines``, line feeds are kept.
    """
    if text.isprintable():  # the common case, and faster
        return text
    return (_IN_LINES if lines else _IN_A_LINE).sub(_escape, text)


def plain_data(data: Any) -> Any:
    """Return a copy of the JSON value ``data`` with :func:`plain` applied to all strings and keys."""
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
