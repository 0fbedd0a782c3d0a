# SPDX-License-Identifier: Apache-2.0
"""A terminal with colours and tables, on which no text from a file or a runtime can do more than be read."""

from __future__ import annotations

from collections.abc import Iterable

import rich.console
from rich.console import ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from ...spec.plain import plain


class Console(rich.console.Console):  # noqa: TID251 -- here, and nowhere else
    """A console of rich whose texts go through :func:`.plain`; its own colours and cursor movements do not."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Yield the segments of ``renderable``; everything that is printed comes through here."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(plain(segment.text, lines=True), segment.style)

    def say(self, *parts: str | Text | tuple[str, str]) -> None:
        """Print one line, of texts and of texts with styles. It is not broken: lines are longer than a pipe is wide."""
        lines = Text.assemble(*parts).split("\n", allow_blank=True)
        self.print(Text(plain("\n")).join(lines), soft_wrap=True, highlight=False)
