# SPDX-License-Identifier: Apache-2.0
"""The static site: pages that can be read from a folder, without a server and without a network."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined

from ...spec.plain import plain
from ...spec.requirements import Requirement, load_errata, load_requirements
from ...spec.table import Instruction, isa
from ..diagnosis.findings import Finding, Weight, findings
from ..results import explain
from ..results.document import LARGEST_DATA
from . import data, sections
from .comparison import Column, Comparison, described
from .diagram import diagram, example
from .history import Chart
from .reasons import Reason, reasons
from .tally import LEVELS, Chunk, Tally, chunks, total

#: How many findings of each weight are on the page of a runtime; the list of vectors has all.
MOST_FINDINGS = 40
HERE = Path(__file__).parent


class Row(NamedTuple):
    """A line of a table: what it counts, where it leads, and how the list of vectors is asked for the same."""

    title: str
    about: str
    href: str
    query: str
    tally: Tally
    groups: frozenset[str] = frozenset()
    depth: int = 0


class Table(NamedTuple):
    """Rows under a heading."""

    title: str
    rows: list[Row]


def write_site(comparisons: Sequence[Comparison], folder: Path, history: Sequence[Chart] = ()) -> None:
    """Write the site into ``folder``, which is made if need be; pages that it had before are replaced.

    Results of several suites get a site each, in folders of their own, and a page that leads there.

    Raises:
        OSError: something cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _clear(folder)
    if len(comparisons) == 1:
        _Site(comparisons[0], folder, history).write()
        return
    sites = [_Site(one, folder / f"suite-{one.suite.short}", (), up="../") for one in comparisons]
    for site in sites:
        site.write()
    writer = _Writer(folder, {"history": bool(history), "up": ""})
    writer.static()
    writer.page("suites.html", "index.html", sites=[(site, site.folder.name + "/") for site in sites])
    _history_page(writer, history)


def _clear(folder: Path) -> None:
    """Remove the pages of a site that is in ``folder``; whatever else is there stays."""
    if not (folder / "static" / "report.css").is_file():
        return
    (folder / "index.html").unlink(missing_ok=True)
    for name in ("data", "sections", "requirements", "instructions", "groups", "runtimes", "history", "suite-*"):
        for old in folder.glob(name):
            shutil.rmtree(old)


def _history_page(writer: _Writer, charts: Sequence[Chart]) -> None:
    """Write the page of charts, and each chart as a file, if there are any."""
    if charts:
        writer.page("history.html", "history.html", charts=charts)
    for chart in charts:
        writer.file(f"history/{chart.key}.svg", chart.svg)


class _Writer:
    """Renders templates into files of a folder."""

    def __init__(self, folder: Path, always: Mapping[str, Any]) -> None:
        self._folder = folder
        self._environment = Environment(
            loader=PackageLoader(__package__, "templates"),
            autoescape=True,
            trim_blocks=True,
            lstrip_blocks=True,
            undefined=StrictUndefined,
        )
        self._environment.filters["by_weight"] = _by_weight
        self._environment.globals.update(
            always, address=sections.address, cite=sections.cite, levels=LEVELS, about=sections.ABOUT
        )

    def page(self, template: str, name: str, /, **values: Any) -> None:
        """Write a page; templates see as ``root`` how to get from it to the folder of the site."""
        self.file(name, self._environment.get_template(template).render(root="../" * name.count("/"), **values))

    def file(self, name: str, text: str) -> None:
        """Write a file of text."""
        file = self._folder / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(plain(text, lines=True) + "\n", encoding="utf-8")

    def static(self) -> None:
        """Copy what pages load besides data."""
        shutil.copytree(HERE / "static", self._folder / "static", dirs_exist_ok=True)


@dataclass
class _Site:
    """The pages about one comparison."""

    comparison: Comparison
    folder: Path
    history: Sequence[Chart]
    up: str = ""
    parts: list[Chunk] = field(init=False)
    findings: list[list[Finding]] = field(init=False)

    def __post_init__(self) -> None:
        self.parts = list(chunks(self.comparison))
        self.findings = [findings(one.run) for one in self.columns]
        self.groups = _by(self.parts, lambda part: part.groups)
        self.instructions = _by(self.parts, lambda part: part.instructions)
        self.requirements = _by(self.parts, lambda part: part.entry.covers)
        known = load_requirements()
        named = {name: known[name].section for name in self.requirements if name in known}
        self.sections = _by(
            self.parts,
            lambda part: dict.fromkeys(
                above for name in part.entry.covers if name in named for above in sections.above(named[name])
            ),
        )

    @property
    def columns(self) -> Sequence[Column]:
        """The runtimes."""
        return self.comparison.columns

    def write(self) -> None:
        """Write all pages, data and styles."""
        self.folder.mkdir(parents=True, exist_ok=True)
        always = {"site": self, "suite": self.comparison.suite, "columns": self.columns, "up": self.up}
        writer = _Writer(self.folder, {**always, "history": bool(self.history), "described": described})
        writer.static()
        for name, content in data.files(self.comparison, self.parts):
            writer.file(f"data/{name}.js", data.script(name, content))
        filters = {"all_groups": list(isa().groups), "all_sections": self.known_sections()}
        writer.page("vectors.html", "vectors.html", preset={}, **filters)
        writer.page("vector.html", "vector.html")
        writer.page("instructions.html", "instructions.html", tables=self.all_instructions(), **filters)
        not_run = reasons(self.comparison)
        writer.page("not-run.html", "not-run.html", reasons=not_run, largest=LARGEST_DATA)
        _history_page(writer, self.history)
        self._runtime_pages(writer, not_run)
        self._section_pages(writer, filters)
        self._requirement_pages(writer, filters)
        self._instruction_pages(writer, filters)
        self._group_pages(writer, filters)
        # Last: a folder without it is no whole site.
        writer.page("index.html", "index.html", tables=self.overview())

    def known_sections(self) -> list[str]:
        """Return the sections that vectors are about."""
        return sections.ordered(self.sections)

    def overview(self) -> list[Table]:
        """Return the tables of the front page: everything, by conformance group, by section."""
        everything = Row("All vectors", "", "vectors.html", "", self._sum(self.parts))
        groups = [
            Row(name, _includes(name), f"groups/{name}.html", f"group={name}", self._sum(self.groups[name]))
            for name in isa().groups
            if name in self.groups
        ]
        by_section = [self.section_row(name) for name in self.known_sections()]
        return [Table("", [everything]), Table("Conformance groups", groups), Table("Sections", by_section)]

    def section_row(self, name: str) -> Row:
        """Return the row of a section and all below it."""
        about = sections.ABOUT.get(name, "")
        tally = self._sum(self.sections[name])
        return Row(name, about, f"sections/{name}.html", f"section={name}", tally, depth=name.count("."))

    def all_instructions(self) -> list[Table]:
        """Return all instructions, by section."""
        found: dict[str, list[Row]] = {}
        for row in isa().instructions:
            found.setdefault(row.section, []).append(self.instruction_row(row))
        return [Table(f"{name} {sections.ABOUT.get(name, '')}", rows) for name, rows in found.items()]

    def instruction_row(self, row: Instruction, parts: Sequence[Chunk] | None = None) -> Row:
        """Return the row of an instruction: all vectors about it, or those of ``parts``."""
        tally = self._sum(self.instructions.get(row.name, ()) if parts is None else parts)
        page, asked = f"instructions/{row.name}.html", f"instruction={row.name}"
        return Row(row.name, example(row), page, asked, tally, row.groups)

    def requirement_row(self, item: Requirement) -> Row:
        """Return the row of a requirement."""
        tally = self._sum(self.requirements.get(item.id, ()))
        text = " ".join(item.text.split())
        groups = frozenset(group for part in self.requirements.get(item.id, ()) for group in part.groups)
        return Row(_short(item.id), text, f"requirements/{item.id}.html", f"requirement={item.id}", tally, groups)

    def _sum(self, parts: Iterable[Chunk]) -> Tally:
        return total(parts, len(self.columns))

    def _runtime_pages(self, writer: _Writer, not_run: Sequence[Sequence[Reason]]) -> None:
        tables = self.overview()[1:]
        whole = self._sum(self.parts)
        for number, column in enumerate(self.columns):
            writer.page(
                "runtime.html",
                f"runtimes/{column.key}.html",
                column=column,
                number=number,
                whole=whole.cell(number),
                found=self.findings[number],
                most=MOST_FINDINGS,
                differences=explain.differences,
                meaning=explain.MEANING,
                tables=tables,
                reasons=not_run[number],
            )

    def _section_pages(self, writer: _Writer, filters: Mapping[str, Any]) -> None:
        known = load_requirements().values()
        for name in self.known_sections():
            below = [self.section_row(other) for other in self.known_sections() if other.startswith(f"{name}.")]
            own = [self.requirement_row(item) for item in known if item.section == name]
            rows = [self.instruction_row(row) for row in isa().instructions if row.section == name]
            titled = (("Requirements", own), ("Sections below", below), ("Instructions", rows))
            tables = [Table("", [self.section_row(name)]), *(Table(title, rows) for title, rows in titled if rows)]
            writer.page("section.html", f"sections/{name}.html", name=name, tables=tables, **filters)

    def _requirement_pages(self, writer: _Writer, filters: Mapping[str, Any]) -> None:
        errata = load_errata()
        for item in load_requirements().values():
            parts = self.requirements.get(item.id, [])
            about = _by(parts, lambda part: part.instructions)
            rows = [self.instruction_row(row, about[row.name]) for row in isa().instructions if row.name in about]
            tables = [Table("", [Row("All vectors", "", "", "", self._sum(parts))])] if parts else []
            writer.page(
                "requirement.html",
                f"requirements/{item.id}.html",
                item=item,
                errata=[errata[name] for name in item.errata],
                tables=[*tables, *([Table("By instruction", rows)] if rows else [])],
                preset={"requirement": item.id},
                **filters,
            )

    def _instruction_pages(self, writer: _Writer, filters: Mapping[str, Any]) -> None:
        known = load_requirements()
        for row in isa().instructions:
            parts = self.instructions.get(row.name, [])
            levels = _by(parts, lambda part: (part.entry.level.value,))
            covers = {name for part in parts for name in part.entry.covers}
            by_level = [
                Row(level, "", "", f"levels={level}", self._sum(of)) for level in LEVELS if (of := levels.get(level))
            ]
            tables = [Table("", [Row("All vectors", "", "", "", self._sum(parts))])]
            writer.page(
                "instruction.html",
                f"instructions/{row.name}.html",
                row=row,
                slots=diagram(row),
                example=example(row),
                tables=[*tables, *([Table("By level", by_level)] if by_level else [])],
                requirements=[item for item in known.values() if item.id in covers],
                preset={"instruction": row.name},
                **filters,
            )

    def _group_pages(self, writer: _Writer, filters: Mapping[str, Any]) -> None:
        for name in isa().groups:
            parts = self.groups.get(name, [])
            rows = [self.instruction_row(row) for row in isa().instructions if name in row.groups]
            whole = Row("All vectors", "", "", "", self._sum(parts))
            writer.page(
                "group.html",
                f"groups/{name}.html",
                name=name,
                includes=_includes(name),
                tables=[Table("", [whole]), *([Table("Instructions", rows)] if rows else [])],
                preset={"group": name},
                **filters,
            )


def _by(parts: Iterable[Chunk], names: Callable[[Chunk], Iterable[str]]) -> dict[str, list[Chunk]]:
    """Return chunks by name; each is under all of its ``names``."""
    found: dict[str, list[Chunk]] = {}
    for part in parts:
        for name in names(part):
            found.setdefault(name, []).append(part)
    return found


def _by_weight(found: Sequence[Finding]) -> list[tuple[str, list[Finding]]]:
    """Return findings by what they weigh, under a title for each; what this package knows about stands last."""
    grave = [(weight.title, [one for one in found if one.weight is weight and not one.known]) for weight in Weight]
    known = ("Known to fail, for a reason", [one for one in found if one.known])
    return [kind for kind in (*grave, known) if kind[1]]


def _includes(group: str) -> str:
    included = sorted(isa().groups[group])
    return f"includes {', '.join(included)}" if included else ""


def _short(requirement: str) -> str:
    """Return the id of a requirement without the part that all have."""
    return requirement.removeprefix("rfc9669-")
