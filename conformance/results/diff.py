# SPDX-License-Identifier: Apache-2.0
"""What changed between two results of the suite: by vector, and by the requirement that the vectors cover."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from ...spec.errors import InputError
from ..run.verdict import Verdict
from .document import Json


class Side(NamedTuple):
    """One of the two: a results document and one of its runtimes."""

    label: str
    document: Json
    runtime: Json


class Change(NamedTuple):
    """A vector with another result; a side that does not have the vector is None."""

    vector: str
    before: Json | None
    after: Json | None
    covers: tuple[str, ...]

    @property
    def transition(self) -> tuple[str, str]:
        """The verdicts; ``absent`` for a side that does not have the vector."""
        return _verdict(self.before), _verdict(self.after)


def _verdict(result: Mapping[str, Any] | None) -> str:
    return "absent" if result is None else str(result["verdict"])


@dataclass(frozen=True)
class Comparison:
    """Two sides, compared."""

    before: Side
    after: Side

    @property
    def same_suite(self) -> bool:
        """Whether both ran the same vectors."""
        return bool(self.before.document["suite"]["digest"] == self.after.document["suite"]["digest"])

    @cached_property
    def common(self) -> int:
        """How many vectors both have."""
        return len(self.before.runtime["results"].keys() & self.after.runtime["results"].keys())

    @cached_property
    def changes(self) -> list[Change]:
        """The vectors whose results differ, in the order of the second document; those it does not have come last."""
        before, after = self.before.runtime["results"], self.after.runtime["results"]
        vectors = [*after, *(vector for vector in before if vector not in after)]
        return [
            Change(vector, before.get(vector), after.get(vector), self._covers(vector))
            for vector in vectors
            if _compared(before.get(vector)) != _compared(after.get(vector))
        ]

    def _covers(self, vector: str) -> tuple[str, ...]:
        for document in (self.after.document, self.before.document):
            if vector in document["vectors"]:
                return tuple(document["entries"][document["vectors"][vector]["entry"]]["covers"])
        return ()

    @property
    def transitions(self) -> dict[tuple[str, str], list[Change]]:
        """The changes by verdict before and after, the ones that matter most first."""
        found: dict[tuple[str, str], list[Change]] = {}
        for change in self.changes:
            found.setdefault(change.transition, []).append(change)
        return dict(sorted(found.items(), key=lambda item: _gravity(*item[0])))

    @property
    def by_requirement(self) -> dict[str, Counter[tuple[str, str]]]:
        """For each requirement of changed vectors how many changed in which way."""
        found: dict[str, Counter[tuple[str, str]]] = {}
        for change in self.changes:
            for requirement in change.covers:
                found.setdefault(requirement, Counter())[change.transition] += 1
        return dict(sorted(found.items()))


#: Verdicts from good to bad; `absent` is neither.
_ORDER = [Verdict.PASS.value, Verdict.UNSUPPORTED.value, "absent", Verdict.ERROR.value, Verdict.FAIL.value]


def _gravity(before: str, after: str) -> tuple[bool, int, int]:
    """Sort what got worse before what got better."""
    return _ORDER.index(after) <= _ORDER.index(before), -_ORDER.index(after), _ORDER.index(before)


def _compared(result: Mapping[str, Any] | None) -> object:
    """Return what of a result is compared: not the time it took, and not the text of a reason."""
    if result is None:
        return None
    code = result["reason"]["code"] if "reason" in result else ""
    return result["verdict"], result.get("failure"), code, result.get("differences")


class PairingError(InputError):
    """It is not clear which runtimes to compare."""


def pair(
    before: tuple[str, Json], after: tuple[str, Json], first: str | None = None, second: str | None = None
) -> Iterator[Comparison]:
    """Yield the comparisons of two documents (with their names): of the runtimes ``first`` and ``second`` if they are
    named, else of those with the same name, else of the only ones.

    Raises:
        PairingError: a runtime is not there, or nothing says which to compare.
    """
    ours, theirs = _by_name(before[1]), _by_name(after[1])
    if first is not None or second is not None:
        names = [(first or second or "", second or first or "")]
    elif common := [name for name in ours if name in theirs]:
        names = [(name, name) for name in common]
    elif len(ours) == len(theirs) == 1:
        names = [(next(iter(ours)), next(iter(theirs)))]
    else:
        runtimes = f"{before[0]} has {_list(ours)}, {after[0]} has {_list(theirs)}"
        raise PairingError(f"no runtime is in both: {runtimes}; say which to compare with --from and --to")
    for one, other in names:
        for name, there, label in ((one, ours, before[0]), (other, theirs, after[0])):
            if name not in there:
                raise PairingError(f"{label} has no runtime {name!r}; it has {_list(there)}")
        yield Comparison(Side(before[0], before[1], ours[one]), Side(after[0], after[1], theirs[other]))


def _by_name(document: Json) -> dict[str, Json]:
    return {one["name"]: one for one in document["runtimes"]}


def _list(names: Sequence[str] | Mapping[str, Any]) -> str:
    return ", ".join(names) or "none"
