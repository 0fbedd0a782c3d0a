# SPDX-License-Identifier: Apache-2.0
"""Instructions with operands at the edges of their fields, and their assembly spelled out by hand."""

from __future__ import annotations

import re

from bpf_isa.spec.encoding import Decoded, make
from bpf_isa.spec.table import Instruction

# Eleven of each, so that the sample of a row has every register once as dst and once as src.
OFFSETS = (0, 1, -1, 0x7FFF, -0x8000, 8, -8, 0x1234, -0x1234, 127, -128)
IMMEDIATES = (0, 1, -1, 0x7FFF_FFFF, -0x8000_0000, 0x1234_5678, -0x1234_5678, 255, 256, 0xFFFF, -0x8000)
VALUES = {
    "dst": tuple(range(11)),
    "src": tuple((3 * number + 5) % 11 for number in range(11)),
    "offset": OFFSETS,
    "imm": IMMEDIATES,
    "next_imm": tuple(reversed(IMMEDIATES)),
}


def sample(row: Instruction) -> list[Decoded]:
    """Return ``row`` eleven times, with every number of VALUES in every operand."""
    return [make(row, **{name: VALUES[name][i] for name in row.operands}) for i in range(11)]


def spell(template: str, item: Decoded) -> str:
    """Write ``item`` as the template of a row says; the assembler has nothing to do with this."""

    def operand(place: re.Match[str]) -> str:
        name, style = place[1], place[2]
        if name == "imm64":
            return hex((item.next_imm % (1 << 32)) << 32 | item.imm % (1 << 32))
        value: int = getattr(item, name)
        if name in {"dst", "src"}:
            return {":w": "w", ":%": "%r"}.get(style, "r") + f"{value}"
        if style == ":+":
            return f"+ {value}" if value >= 0 else f"- {-value}"
        return f"{value:+}" if style in {":pc", ":?"} else f"{value}"

    return re.sub(r"\{(\w+)(:\S+?)?\}", operand, template)
