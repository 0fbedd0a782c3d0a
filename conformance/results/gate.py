# SPDX-License-Identifier: Apache-2.0
"""The gate: results compared with what is known and what is required. Whatever is not as it should be is named."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple

from ...adapters.protocol import Reason
from ...spec.errors import InputError
from ...spec.table import isa
from ..run.verdict import Verdict
from ..run.workers import NOT_RUN
from ..suite.tier import Tier
from .document import Json, tier_of
from .expectations import Expectations, Known


class Kind(StrEnum):
    """All that can keep a gate shut."""

    NEW_FAILURE = "new failure"  # nobody knew of it
    CHANGED = "changed"  # something else is known of the vector
    UNEXPECTED_PASS = "unexpected pass"  # what was wrong is right now: take it out of the file
    STALE = "stale entry"  # it is about no vector
    REQUIRED = "required group"  # not all of its vectors pass
    ERROR = "harness error"  # nothing was learned about a vector
    NOT_RUN = "not run"  # a runtime that could not be used, or a run that was not finished


#: Those that are gone if the expectation file is written anew.
UPDATABLE = frozenset({Kind.NEW_FAILURE, Kind.CHANGED, Kind.UNEXPECTED_PASS, Kind.STALE})


class Violation(NamedTuple):
    """One thing that is wrong: with which runtime, about what (a vector, a pattern, a group), and in which way."""

    kind: Kind
    runtime: str
    what: str
    message: str


class Requirement(NamedTuple):
    """A conformance group of which every vector has to pass; on each runtime if ``runtime`` is None."""

    group: str
    runtime: str | None = None


class RequirementError(InputError):
    """A requirement that cannot be understood."""


def parse_requirements(texts: Sequence[str], option: str = "--require") -> list[Requirement]:
    """Return the requirements that texts such as ``base64`` or ``linux:packet``, given as ``option``, name.

    Raises:
        RequirementError: a group is none.
    """
    found = []
    for part in texts:
        runtime, _, group = part.rpartition(":")
        if group not in isa().groups:
            raise RequirementError(f"{option} {part}: the conformance groups are {', '.join(isa().groups)}")
        found.append(Requirement(group, runtime or None))
    return found


def violations(
    documents: Sequence[Json], known: Sequence[Expectations], required: Sequence[Requirement]
) -> list[Violation]:
    """Return all that is wrong with the results in ``documents``.

    Raises:
        expectations.ExpectationError: the version of a runtime cannot be compared with a range of versions.
    """
    found: list[Violation] = []
    names: set[str] = set()
    for document in documents:
        for one in document["runtimes"]:
            names.add(one["name"])
            about = [item for item in known if item.runtime == one["name"]]
            asked = [item for item in required if item.runtime in {None, one["name"]}]
            found += _Runtime(document, one, about).violations(asked)
        if not document["complete"] and all(one["complete"] for one in document["runtimes"]):
            found.append(Violation(Kind.NOT_RUN, "the run", "the rest", "it was interrupted before the last runtime"))
        for unread in document.get("unread", ()):
            found.append(Violation(Kind.NOT_RUN, "the run", unread["file"], unread["reason"]))
        for missing in document["unavailable"]:
            names.add(missing["name"])
            found.append(Violation(Kind.NOT_RUN, missing["name"], "the runtime", missing["reason"]))
    for name, why in [
        *((item.runtime, f"{item.path} is about it") for item in known),
        *((item.runtime, f"{item.group} is required of it") for item in required),
    ]:
        if name is not None and name not in names:
            found.append(Violation(Kind.NOT_RUN, name, "the runtime", f"{why}, and it is not in the results"))
    return found


@dataclass
class _Runtime:
    """The results of a runtime, and the files about it."""

    document: Json
    one: Json
    files: Sequence[Expectations]

    def violations(self, required: Sequence[Requirement]) -> Iterator[Violation]:
        name, results = self.one["name"], self.one["results"]
        if not self.one["complete"]:
            yield Violation(Kind.NOT_RUN, name, "the rest", "the run was interrupted: these results are partial")
        known = [(file, entry) for file in self.files for entry in file.applying(self.one["identity"]["version"])]
        by_id: dict[str, list[Known]] = {}
        for _, entry in known:
            for vector in entry.ids:
                by_id.setdefault(vector, []).append(entry)
        wild = [entry for _, entry in known if entry.ids != frozenset(entry.patterns)]
        used: set[int] = set()
        for vector, result in results.items():
            entries = [*by_id.get(vector, ()), *(entry for entry in wild if entry.matches(vector))]
            used.update(map(id, entries))
            if "reason" not in result or result["reason"]["code"] != NOT_RUN:
                yield from _judge(name, vector, result, entries)
        for file, entry in known:
            yield from self._stale(file, entry, used)
        for requirement in required:
            yield from self._required(requirement.group)

    def _stale(self, file: Expectations, entry: Known, used: set[int]) -> Iterator[Violation]:
        if self._restricted:
            return
        results = self.one["results"]
        for pattern in entry.patterns:
            if id(entry) not in used:
                gone = True
            elif pattern in entry.ids:
                gone = pattern not in results
            else:
                gone = not any(map(Known((pattern,), entry.verdict, "").matches, results))
            if gone:
                yield Violation(
                    Kind.STALE, self.one["name"], pattern, f"{file.path}:{entry.line}: there is no such vector"
                )

    @property
    def _restricted(self) -> bool:
        """Whether only a part of the suite was run."""
        selection: Json = self.document["selection"]
        return bool(selection["vectors"] < self.document["suite"]["vectors"])

    def _part(self, group: str) -> str:
        """Return what of the suite was run, if that was not every vector of a group."""
        selection = self.document["selection"]
        if (tier := tier_of(self.document)) != Tier.FULL:
            return f"tier {tier} of the suite"
        narrowed = selection["expression"] is not None or selection["sections"] or selection.get("levels")
        return "a part of the suite" if self._restricted and (narrowed or group not in selection["groups"]) else ""

    def _required(self, group: str) -> Iterator[Violation]:
        """Tell in how far a required group does not pass: what is known to be unsupported is no obstacle."""
        name, results, vectors = self.one["name"], self.one["results"], self.document["vectors"]
        if part := self._part(group):
            yield Violation(Kind.REQUIRED, name, group, f"only {part} was run: run all of it")
        members = [vector for vector in results if group in vectors[vector]["reported"]]
        if not members:
            yield Violation(Kind.REQUIRED, name, group, "no vector of the group was run")
        excused = [entry for file in self.files for entry in file.applying(self.one["identity"]["version"])]
        left = [
            vector
            for vector in members
            if results[vector]["verdict"] != Verdict.PASS
            and not (
                results[vector]["verdict"] == Verdict.UNSUPPORTED
                and any(entry.verdict == "unsupported" and entry.matches(vector) for entry in excused)
            )
        ]
        if left:
            number: dict[str, int] = {}
            for vector in left:
                verdict = results[vector]["verdict"]
                number[verdict] = number.get(verdict, 0) + 1
            by_verdict = ", ".join(f"{count} {verdict}" for verdict, count in sorted(number.items()))
            message = f"{len(left)} of {len(members)} vectors do not pass ({by_verdict}), e.g. {left[0]}"
            yield Violation(Kind.REQUIRED, name, group, message)


def _judge(name: str, vector: str, result: Mapping[str, Any], entries: Sequence[Known]) -> Iterator[Violation]:
    """Yield what is wrong with a result, given what is known about its vector."""
    verdict, failure = result["verdict"], result.get("failure")
    if any(entry.foresees(verdict, failure) for entry in entries):
        return
    if verdict == Verdict.PASS:
        if entries:
            known = f"known as {entries[0].describe()}: {entries[0].reason}"
            yield Violation(Kind.UNEXPECTED_PASS, name, vector, known)
        return
    reason = str(Reason(**result["reason"]))
    if verdict == Verdict.ERROR:
        yield Violation(Kind.ERROR, name, vector, reason)
    elif entries:
        got = f"{verdict} ({failure})" if failure else verdict
        yield Violation(Kind.CHANGED, name, vector, f"known as {entries[0].describe()}, is {got}: {reason}")
    elif verdict == Verdict.FAIL:
        yield Violation(Kind.NEW_FAILURE, name, vector, f"{failure}: {reason}")
