# SPDX-License-Identifier: Apache-2.0
"""Expectation files: what is known about a runtime, as data with a reason for each entry.

    runtime: ubpf-jit
    expectations:
      - vectors: atomics/fetch-*
        verdict: fail
        failure: wrong-result
        reason: the JIT adds without fetching
        link: https://example.org/issues/1
        versions: "<2.1"

``vectors`` is an id, a pattern (``*`` also stands for ``/``), or a list of these. An entry with ``versions`` is about
those versions of the runtime only, and is passed over for others. ``schema/expectations.schema.json`` has the rest.

A file ``DENYLIST.ARCH`` is one as the kernel's selftests have them, about the runtime ``linux-vm:ARCH``: a pattern on
each line, and behind ``#`` the reason why these vectors fail.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from fnmatch import translate
from functools import cached_property
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ...spec import strict_yaml, validate
from ...spec.errors import InputError
from ..run.verdict import Verdict

if TYPE_CHECKING:
    from packaging.specifiers import SpecifierSet
    from packaging.version import Version

    from ..run.runner import Result, RuntimeRun

SCHEMA_FILE = Path(__file__).parents[1] / "schema" / "expectations.schema.json"
_KNOWN = Path(__file__).parents[1] / "known"
#: Reasons of entries that nobody has explained yet begin so.
UNEXPLAINED = "unexplained: "
_DENYLIST = "DENYLIST"
_WILD = re.compile(r"[*?\[]")
_VERSION = re.compile(r"\d+(?:\.\d+)*")


class ExpectationError(InputError):
    """An expectation file that cannot be used; the message says where, and what is wrong with it."""


@dataclass(frozen=True)
class Known:
    """Vectors about which something is known: the verdict on them, the kind of failure if it is given, and why."""

    patterns: tuple[str, ...]
    verdict: Literal["fail", "unsupported"]
    reason: str
    failure: str | None = None
    link: str | None = None
    versions: str | None = None
    line: int = field(default=0, compare=False)

    @cached_property
    def ids(self) -> frozenset[str]:
        """The patterns that match only themselves."""
        return frozenset(pattern for pattern in self.patterns if not _WILD.search(pattern))

    @cached_property
    def _wild(self) -> re.Pattern[str] | None:
        wild = [translate(pattern) for pattern in self.patterns if _WILD.search(pattern)]
        return re.compile("|".join(wild)) if wild else None

    def matches(self, vector: str) -> bool:
        """Whether this is about the vector with the id ``vector``."""
        return vector in self.ids or (self._wild is not None and self._wild.match(vector) is not None)

    def foresees(self, verdict: str, failure: str | None) -> bool:
        """Whether a result is as this says."""
        return verdict == self.verdict and self.failure in {None, failure}

    @property
    def explained(self) -> bool:
        """Whether somebody has given a reason."""
        return not self.reason.startswith(UNEXPLAINED)

    def describe(self) -> str:
        """Return what is expected, in a few words."""
        return f"{self.verdict} ({self.failure})" if self.failure else self.verdict


@dataclass(frozen=True)
class Expectations:
    """What a file says about ``runtime``; ``header`` are the comments it begins with."""

    path: Path
    runtime: str
    known: tuple[Known, ...] = ()
    header: str = ""

    def applying(self, version: str) -> list[Known]:
        """Return the entries that are about ``version`` of the runtime.

        Raises:
            ExpectationError: an entry is about a range of versions, and ``version`` has no number to compare with it.
        """
        return [known for known in self.known if known.versions is None or self._within(known, version)]

    def _within(self, known: Known, version: str) -> bool:
        number = number_of(version)
        assert known.versions is not None
        if number is None:
            where = f"{self.path}:{known.line}: versions {known.versions}"
            raise ExpectationError(f"{where}: the version of {self.runtime} is {version!r}, which has no number in it")
        return _specifiers(known.versions).contains(number)


def shipped(runtime: str) -> Expectations | None:
    """Return what this package knows about ``runtime`` (in ``known/``), None if it knows nothing.

    These are findings about runtimes that many people run; a runtime's own project keeps a file of its own.
    """
    path = _KNOWN / f"{runtime}.yaml"
    return load(path) if path.is_file() else None


def foreseen(one: RuntimeRun) -> dict[Known, list[Result]]:
    """Return the failures of ``one`` that this package knows about, by what it knows."""
    found: dict[Known, list[Result]] = {}
    file = shipped(one.info.name) if one.info else None
    if file and one.info:
        known = file.applying(one.info.version)
        for result in one.results:
            judgement = result.judgement
            if judgement.verdict is not Verdict.FAIL:
                continue
            for entry in known:
                if entry.matches(result.vector.id) and entry.foresees(judgement.verdict, judgement.failure):
                    found.setdefault(entry, []).append(result)
                    break
    return found


def number_of(version: str) -> Version | None:
    """Return the first number with points in the version of a runtime (``6.1.0`` of ``6.1.0-13-amd64``), if any."""
    from packaging.version import Version

    found = _VERSION.search(version)
    return Version(found[0]) if found else None


def _specifiers(text: str) -> SpecifierSet:
    from packaging.specifiers import SpecifierSet

    return SpecifierSet(text)


def load(path: Path) -> Expectations:
    """Read an expectation file.

    Raises:
        strict_yaml.YamlError: the file is not acceptable YAML.
        ExpectationError: the file does not follow the schema, a range of versions is none, or a pattern stands twice.
    """
    from packaging.specifiers import InvalidSpecifier

    if path.name.startswith(_DENYLIST):
        return _denylist(path)
    document = strict_yaml.load(path)
    data: Any = document.data
    try:
        validate.check(data, SCHEMA_FILE)
    except validate.SchemaError as error:
        raise ExpectationError(f"{path}:{_line(document, error.path)}: {error}") from None
    known: list[Known] = []
    seen: dict[tuple[str, str | None], int] = {}
    for raw in data["expectations"]:
        line = document.line(raw)
        patterns = raw.pop("vectors")
        entry = Known(patterns=(patterns,) if isinstance(patterns, str) else tuple(patterns), line=line, **raw)
        for pattern in entry.patterns:
            first = seen.setdefault((pattern, entry.versions), line)
            if first != line:
                raise ExpectationError(f"{path}:{line}: {pattern} is in the entry of line {first} already")
        try:
            _specifiers(entry.versions or "")
        except InvalidSpecifier:
            message = f'versions: {entry.versions!r} is no range of versions, such as ">=5.4,<6.1"'
            raise ExpectationError(f"{path}:{line}: {message}") from None
        known.append(entry)
    return Expectations(path, data["runtime"], tuple(known), _header(path))


def _denylist(path: Path) -> Expectations:
    """Read a file as the kernel's selftests have them.

    Raises:
        OSError: it cannot be read.
        ExpectationError: a pattern stands twice.
    """
    known: dict[str, Known] = {}
    for number, line in enumerate(path.read_bytes().decode(errors="replace").splitlines(), 1):
        pattern, _, reason = (part.strip() for part in line.partition("#"))
        if pattern in known:
            raise ExpectationError(f"{path}:{number}: {pattern} is in line {known[pattern].line} already")
        if pattern:
            known[pattern] = Known((pattern,), "fail", reason or f"{UNEXPLAINED}it is in {path.name}", line=number)
    runtime = f"linux-vm:{path.name.removeprefix(_DENYLIST).removeprefix('.')}"
    return Expectations(path, runtime, tuple(known.values()))


def _line(document: strict_yaml.Document, steps: Sequence[str | int]) -> int:
    place: Any = document.data
    line = document.line(place)
    for step in steps:
        place = place[step]
        if isinstance(place, dict | list):
            line = document.line(place)
    return line


def _header(path: Path) -> str:
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    return "".join(takewhile(lambda line: line.startswith("#"), lines))


# Writing


def dump(expectations: Expectations) -> str:
    """Return the text of an expectation file."""
    text = [expectations.header, f"runtime: {_quoted(expectations.runtime)}\n"]
    text.append("expectations:\n" if expectations.known else "expectations: []\n")
    for known in expectations.known:
        text += _written(known)
    return "".join(text)


def _written(known: Known) -> Iterator[str]:
    if len(known.patterns) == 1:
        yield f"  - vectors: {_quoted(known.patterns[0])}\n"
    else:
        yield "  - vectors:\n"
        yield from (f"      - {_quoted(pattern)}\n" for pattern in known.patterns)
    yield f"    verdict: {known.verdict}\n"
    for name in ("failure", "reason", "link", "versions"):
        value: str | None = getattr(known, name)
        if value is not None:
            yield f"    {name}: {_quoted(value)}\n"


def _quoted(text: str) -> str:
    """Return a text as YAML has it on one line, in quotes where it could be something else."""
    import yaml

    if re.fullmatch(r"[a-z][a-z0-9./_-]*(?: [a-z0-9./_-]+)*", text) and yaml.safe_load(text) == text:
        return text
    escaped: str = yaml.dump(text, default_style='"', width=float("inf"), allow_unicode=True)
    return escaped.strip()


# What a run shows


@dataclass(frozen=True)
class Seen:
    """A result that is no pass: of the vector with the id ``vector``."""

    vector: str
    verdict: str
    failure: str | None
    code: str

    @property
    def not_claimed(self) -> bool:
        """Whether the vector was not run because the runtime claims other groups only: that is known without a file."""
        return self.code == "group"


def updated(
    old: Expectations,
    version: str,
    results: dict[str, Any],
    findings: Mapping[str, str],
    *,
    unsupported: bool,
    whole: bool = True,
) -> Expectations:
    """Return ``old`` changed to what ``results`` of ``version`` show; reasons and links of what is still so are kept.

    What fails and is not in the file comes to it without explanation, an entry for each finding: ``findings`` has those
    of the vectors that fail, in words. So do, if ``unsupported``, vectors that are not supported although the runtime
    claims their groups. Entries about other versions stay as they are, and so does, unless ``whole``, whatever is about
    vectors that have no results.

    Raises:
        ExpectationError: see :meth:`Expectations.applying`.
    """
    applying = old.applying(version)
    seen = {
        vector: Seen(vector, result["verdict"], result.get("failure"), result["reason"]["code"])
        for vector, result in results.items()
        if result["verdict"] in {Verdict.FAIL, Verdict.UNSUPPORTED}
    }
    left = dict(seen)
    known: list[Known] = []
    for entry in old.known:
        if entry not in applying:
            known.append(entry)
            continue
        kept = _still(entry, results.keys(), seen, whole=whole)
        if kept:
            known.append(Known(kept, entry.verdict, entry.reason, entry.failure, entry.link, entry.versions))
        for vector in [one for one in left if entry.matches(one) and _foreseen(entry, left[one])]:
            del left[vector]
    new = [one for one in left.values() if one.verdict == Verdict.FAIL or (unsupported and not one.not_claimed)]
    known += _unexplained(new, list(results), findings)
    return Expectations(old.path, old.runtime, tuple(known), old.header)


def _foreseen(entry: Known, seen: Seen) -> bool:
    return entry.foresees(seen.verdict, seen.failure)


def _still(entry: Known, results: AbstractSet[str], seen: dict[str, Seen], *, whole: bool) -> tuple[str, ...]:
    """Return the patterns of an entry that are right still; those that are right in part become ids.

    One that is about no result is wrong, if the results are ``whole``.
    """
    patterns: list[str] = []
    for pattern in entry.patterns:
        one = Known((pattern,), entry.verdict, entry.reason, entry.failure)
        matched = [vector for vector in (results if not one.ids else one.ids & results) if one.matches(vector)]
        right = [vector for vector in matched if vector in seen and _foreseen(one, seen[vector])]
        if len(right) == len(matched) and (right or not whole):
            patterns.append(pattern)
        else:
            patterns += right
    return tuple(dict.fromkeys(patterns))


def _unexplained(new: Sequence[Seen], every: Sequence[str], findings: Mapping[str, str]) -> Iterator[Known]:
    """Yield entries for what nobody has explained: one for each finding, and for each reason not to be supported."""
    alike: dict[tuple[str, str | None, str], list[str]] = {}
    for one in new:
        reason = findings.get(one.vector) or one.code or one.failure or ""
        alike.setdefault((one.verdict, one.failure, reason), []).append(one.vector)
    for (verdict, failure, reason), vectors in alike.items():
        kind: Literal["fail", "unsupported"] = "fail" if verdict == Verdict.FAIL else "unsupported"
        yield Known(tuple(abbreviated(vectors, every)), kind, f"{UNEXPLAINED}{reason}", failure)


def abbreviated(vectors: Iterable[str], every: Iterable[str]) -> list[str]:
    """Return patterns that match ``vectors`` and no others of ``every``: ``name/*`` where all of a family are meant."""
    wanted = list(vectors)
    inside, total = _prefixes(wanted), _prefixes(every)
    patterns: dict[str, None] = {}
    for vector in wanted:
        parts = vector.split("/")
        heads = ("/".join(parts[:length]) + "/" for length in range(1, len(parts)))
        whole = next((head for head in heads if inside[head] == total[head] > 1), None)
        patterns[f"{whole}*" if whole else vector] = None
    return list(patterns)


def _prefixes(vectors: Iterable[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for vector in vectors:
        for slash in re.finditer("/", vector):
            head = vector[: slash.end()]
            found[head] = found.get(head, 0) + 1
    return found
