# SPDX-License-Identifier: Apache-2.0
"""The table of RFC 9669, Appendix A, as transcribed in ``data/appendix.tsv``."""

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

Column: TypeAlias = int | Literal["any"]
Key: TypeAlias = tuple[int, Column, Column, Column]


@dataclass(frozen=True)
class Row:
    """One row; ``section`` is the number of the section that its last column refers to."""

    opcode: int
    src_reg: Column
    offset: Column
    imm: Column
    description: str
    groups: frozenset[str]
    section: str

    @property
    def key(self) -> Key:
        """What identifies the row: opcode, src_reg, offset and imm."""
        return self.opcode, self.src_reg, self.offset, self.imm


def _column(text: str) -> Column:
    return "any" if text == "any" else int(text, 0)


def _read() -> tuple[Row, ...]:
    lines = (Path(__file__).parent / "data" / "appendix.tsv").read_text(encoding="utf-8").splitlines()
    cells = csv.DictReader((line for line in lines if not line.startswith("#")), delimiter="\t", strict=True)
    return tuple(
        Row(
            opcode=int(row["opcode"], 0),
            src_reg=_column(row["src_reg"]),
            offset=_column(row["offset"]),
            imm=_column(row["imm"]),
            description=row["description"],
            groups=frozenset(row["groups"].split()),
            section=row["section"],
        )
        for row in cells
    )


ROWS = _read()
