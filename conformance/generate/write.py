# SPDX-License-Identifier: Apache-2.0
"""Drafts to the text of a vector file, in canonical form and the same every time."""

from __future__ import annotations

import json
from collections.abc import Iterable

from .draft import Draft, rows


def file_text(family: str, note: str, drafts: Iterable[Draft]) -> str:
    """Return the vector file of ``drafts``; ``family`` names it for ``bpf-isa generate``.

    Raises:
        DraftError: a case of a draft does not run to its end on the reference VM.
    """
    head = (
        "# SPDX-License-Identifier: Apache-2.0\n"
        f"# Written by `bpf-isa generate {family}`; edit conformance/generate/ instead.\n"
        "source:\n  name: bpf-isa\n  method: generated\n"
        f"  generator: bpf-isa generate {family}\n  note: {_quoted(note)}\nvectors:\n"
    )
    return head + "".join(map(_vector, drafts))


def _vector(draft: Draft) -> str:
    lines = [f"  - id: {draft.id}", f"    what: {_quoted(draft.what)}"]
    if draft.level != "must":
        lines.append(f"    level: {draft.level}")
    lines.append(f"    covers: [{', '.join(dict.fromkeys(draft.covers))}]")
    if draft.errata:
        lines.append(f"    errata: [{', '.join(draft.errata)}]")
    if draft.asm:
        lines += ["    asm: |", *(f"      {line}" for line in draft.asm.rstrip("\n").split("\n"))]
    else:
        lines.append(f"    code: {_quoted(draft.code)}")
    if draft.memory is not None:
        lines.append(f"    memory: {_quoted(draft.memory)}")
    if draft.maps:
        lines.append(f"    maps: [{', '.join(map(_quoted, draft.maps))}]")
    if draft.rejected:
        lines.append("    expect: {rejected: true}")
    return "\n".join([*lines, *_table(draft), ""])


def _table(draft: Draft) -> list[str]:
    """The cases in aligned columns; a value that a case lacks is written -."""
    table = rows(draft)
    columns = list(dict.fromkeys(column for row in table for column in row))
    texts = [columns, *([row.get(column, "-") for column in columns] for row in table)]
    widths = [max(len(text[index]) for text in texts) for index in range(len(columns))]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(text, widths, strict=True)).rstrip() for text in texts)
    return ["    table: |", *(f"      {line}" for line in lines)]


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
