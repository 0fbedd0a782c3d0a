# SPDX-License-Identifier: Apache-2.0
"""What a runtime supports, found out by running few vectors.

A vector that passes shows that the runtime has every instruction that its program executes. So the vectors that execute
the most instructions are run first; where one does not pass, its instructions are tried again in smaller programs, and
at last each in a program whose other instructions are known to work. What is refused there is missing, what gives
another result is wrong.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, NamedTuple, TypeAlias

from ...adapters.protocol import NO_REASON, OutcomeKind, Reason, RuntimeInfo, Unavailable
from ...adapters.reference import machine_for
from ...adapters.registry import RuntimeSpec
from ...reference_vm.interpreter import TraceStep, execute
from ...spec.groups import closure
from ...spec.table import isa
from ..suite.instructions import names_in
from ..suite.model import Level, Vector
from .runner import Result, ask
from .verdict import Failure, Verdict
from .worker import RuntimeBroken
from .workers import WorkerPool

#: How many instructions that are not decided yet a program may have, from round to round.
_ROUNDS = (1000, 12, 4, 2)
#: How many a program may have for which there is no smaller one; if it passes, that decides them all.
_LAST_RESORT = 100
#: How many programs are tried for an instruction about which the runtime's answers say nothing.
_TRIES = 4
#: How many vectors are considered whose programs consist of the same instructions.
_ALIKE = 3
#: Longer programs are about distances, limits, and what instructions leave to each other.
_MOST_BYTES = 512
_BUDGET = 100_000

State: TypeAlias = Literal["works", "missing", "wrong", "unknown"]
#: ``yes``: all instructions work that could be asked about; ``partly``: some do; ``no``: none does; ``unknown``: none
#: could be asked about.
Support: TypeAlias = Literal["yes", "partly", "no", "unknown"]


class Found(NamedTuple):
    """A runtime and who it is; or None, and why it cannot be used here."""

    spec: RuntimeSpec
    info: RuntimeInfo | None
    problem: str = ""


def look(specs: Sequence[RuntimeSpec]) -> Iterator[Found]:
    """Open each of ``specs`` in a process of its own and yield what is there."""
    with ExitStack() as stack:
        pools = [(spec, stack.enter_context(WorkerPool(spec))) for spec in specs]
        for spec, pool in pools:
            try:
                yield Found(spec, pool.open())
            except Unavailable as reason:
                yield Found(spec, None, str(reason))
            except RuntimeBroken as reason:
                yield Found(spec, None, f"its adapter failed: {reason}")


class Decision(NamedTuple):
    """What is known about an instruction, why, and which vector showed it."""

    state: State
    reason: Reason = NO_REASON
    vector: str | None = None


@dataclass(frozen=True, slots=True)
class GroupSupport:
    """How far a runtime supports a conformance group with those that it includes; ``instructions`` are its own."""

    name: str
    support: Support
    instructions: Mapping[str, Decision]

    def of(self, state: State) -> dict[str, Decision]:
        """Return the instructions of this group in ``state``."""
        return {name: found for name, found in self.instructions.items() if found.state == state}


@dataclass(frozen=True)
class Discovery:
    """What was found out about a runtime; ``asked`` are the vectors that were run."""

    info: RuntimeInfo
    decisions: Mapping[str, Decision]
    asked: tuple[str, ...]

    @cached_property
    def groups(self) -> dict[str, GroupSupport]:
        """The conformance groups, in the order of the RFC."""
        return {name: self._group(name) for name in isa().groups}

    def _group(self, name: str) -> GroupSupport:
        own = {row.name: self.decisions[row.name] for row in isa().instructions if name in row.groups}
        members = {name, *(other for other in closure([name]) if other in isa().groups[name])}
        everything = [self.decisions[row.name] for row in isa().instructions if not row.groups.isdisjoint(members)]
        return GroupSupport(name, _support(own.values(), everything), own)

    @property
    def disproved(self) -> list[str]:
        """Groups that the runtime claims and does not support."""
        claimed = self.info.groups or frozenset()
        return [name for name, group in self.groups.items() if name in claimed and group.support in {"partly", "no"}]

    @property
    def unclaimed(self) -> list[str]:
        """Groups that the runtime supports and does not claim, if it claims any."""
        if self.info.groups is None:
            return []
        claimed = closure(self.info.groups)
        return [name for name, group in self.groups.items() if name not in claimed and group.support == "yes"]


def _support(own: Iterable[Decision], everything: Iterable[Decision]) -> Support:
    """Return the support of a group from its own instructions and all that it requires."""
    mine = {found.state for found in own}
    if "works" not in mine:
        return "unknown" if mine == {"unknown"} else "no"
    return "yes" if {found.state for found in everything} <= {"works", "unknown"} else "partly"


def discover(pool: WorkerPool, info: RuntimeInfo, vectors: Iterable[Vector]) -> Discovery:
    """Find out what the runtime of ``pool`` supports, which says that it is ``info``."""
    search = _Search(_candidates(vectors, info))
    for most in _ROUNDS:
        search.run(pool, info, search.cover(most))
    while chosen := search.decisive(1) or search.decisive(_LAST_RESORT):
        search.run(pool, info, chosen)
    search.conclude()
    return Discovery(info, search.decided(), tuple(search.asked))


class _Candidate:
    """A vector that may be run, and the instructions it executes: until they are traced, those of its program."""

    def __init__(self, vector: Vector, rows: frozenset[str]) -> None:
        self.vector, self.rows = vector, rows
        self._traced = False

    def trace(self) -> frozenset[str]:
        """Find out what the program executes."""
        if self._traced:
            return self.rows
        found: set[str] = set()

        def note(step: TraceStep) -> None:
            found.add(step.decoded.instruction.name)

        job = self.vector.job("little")
        machine = machine_for(job, "little")
        execute(
            job.code,
            memory=job.memory,
            maps=[item.value for item in job.maps],
            helpers=machine.helpers["static"],
            btf_helpers=machine.helpers["btf"],
            variables={item.number: item.value for item in job.variables},
            budget=_BUDGET,
            trace=note,
        )
        self._traced, self.rows = True, frozenset(found)
        return self.rows


def _candidates(vectors: Iterable[Vector], info: RuntimeInfo) -> list[_Candidate]:
    """Return the simplest vectors for each set of instructions that a program consists of, of different entries."""
    found: dict[frozenset[str], dict[str, tuple[tuple[bool, bool, int], Vector]]] = {}
    for vector in vectors:
        expect = vector.little.expect
        short = len(vector.little.code) <= _MOST_BYTES
        if not short or not expect.returns or vector.entry.byte_order not in {None, info.byte_order}:
            continue
        rows = names_in(vector.little.code)
        shows_more = not expect.observed <= {"r0"}
        cost = (vector.entry.level is not Level.MUST, shows_more, len(vector.little.code))
        found.setdefault(rows, {}).setdefault(vector.entry.id, (cost, vector))
    return [
        _Candidate(vector, rows)
        for rows, entries in found.items()
        for _, vector in sorted(entries.values(), key=lambda item: item[0])[:_ALIKE]
    ]


@dataclass
class _Search:
    """What is known so far, and which vectors can still tell something; ``asked`` are ids of those that were run."""

    candidates: Sequence[_Candidate]
    decisions: dict[str, Decision] = field(default_factory=dict)
    asked: dict[str, None] = field(default_factory=dict)
    #: For each instruction, why programs with it and no other undecided one decided nothing.
    _tries: dict[str, list[Reason]] = field(default_factory=dict)
    #: Results that are no pass, while more than one instruction may be to blame.
    _open: list[tuple[_Candidate, Result]] = field(default_factory=list)

    def open_rows(self, candidate: _Candidate) -> frozenset[str]:
        """Return the instructions of a candidate that are not decided."""
        return candidate.rows - self.decisions.keys()

    def _obstacles(self, candidate: _Candidate) -> set[str]:
        """Return the instructions of a candidate that are known not to work."""
        return {name for name in candidate.rows & self.decisions.keys() if self.decisions[name].state != "works"}

    def _useful(self, most: int) -> list[_Candidate]:
        """Return the candidates that can tell something about at most ``most`` instructions."""
        left = [item for item in self.candidates if item.vector.id not in self.asked]
        return [item for item in left if len(self.open_rows(item)) <= most and not self._obstacles(item)]

    def cover(self, most: int) -> list[_Candidate]:
        """Choose few candidates that together execute all undecided instructions, at most ``most`` of them each."""
        useful = self._useful(most)
        todo = {row.name for row in isa().instructions} - self.decisions.keys()
        chosen: list[_Candidate] = []
        while useful and todo:
            best = max(useful, key=lambda item: (len(item.rows & todo), -len(item.vector.little.code)))
            if not best.rows & todo:
                break
            seemed = best.rows
            if best.trace() < seemed:
                continue
            chosen.append(best)
            todo -= best.rows
        return chosen

    def decisive(self, most: int) -> list[_Candidate]:
        """Choose, for each undecided instruction, the candidate with the fewest of them, if those are ``most``."""
        chosen: list[_Candidate] = []
        useful = sorted(self._useful(most), key=lambda item: (len(self.open_rows(item)), len(item.vector.little.code)))
        for row in isa().instructions:
            if row.name in self.decisions:
                continue
            for item in useful:
                if row.name in item.rows and row.name in item.trace():
                    if item not in chosen:
                        chosen.append(item)
                    break
        return chosen

    def run(self, pool: WorkerPool, info: RuntimeInfo, chosen: Sequence[_Candidate]) -> None:
        """Run ``chosen`` and learn from the results."""
        items = {item.vector.id: item for item in chosen}
        self.asked.update(dict.fromkeys(items))
        failed = []
        for result in ask(pool, info, [item.vector for item in chosen]):
            item = items[result.vector.id]
            if result.judgement.verdict is Verdict.PASS:
                self.decisions.update({name: Decision("works", vector=item.vector.id) for name in item.rows})
            else:
                failed.append((item, result))
        # After the passes: what they show may leave one instruction to blame.
        self._examine(failed)

    def conclude(self) -> None:
        """Look again at what did not pass before the other instructions of its program were known, shortest first."""
        left, self._open = self._open, []
        self._examine(sorted(left, key=lambda pair: len(pair[0].vector.little.code)))

    def _examine(self, results: Iterable[tuple[_Candidate, Result]]) -> None:
        for item, result in results:
            left = self.open_rows(item)
            if len(left) == 1 and not self._obstacles(item):
                self._blame(next(iter(left)), result)
            else:
                self._open.append((item, result))

    def _blame(self, name: str, result: Result) -> None:
        """Take note that a program with no other unknown instruction than ``name`` did not pass."""
        state, reason = judged(result)
        if state == "unknown":
            tried = self._tries.setdefault(name, [])
            tried.append(reason)
            if len(tried) < _TRIES:
                return
        self.decisions[name] = Decision(state, reason, result.vector.id)

    def decided(self) -> dict[str, Decision]:
        """Return a decision for each instruction."""
        return {row.name: self.decisions.get(row.name) or self._undecided(row.name) for row in isa().instructions}

    def _undecided(self, name: str) -> Decision:
        if tried := self._tries.get(name):
            return Decision("unknown", tried[0])
        for item, result in self._open:
            state, reason = judged(result)
            if name in item.rows and state == "unknown":
                return Decision("unknown", reason)
        obstacles = [self._obstacles(item) for item in self.candidates if name in item.rows]
        if not obstacles or not all(obstacles):
            return Decision("unknown", Reason(text="no vector tells"))
        needs = sorted(set().union(*obstacles))
        also = ", ".join(needs[:4]) + (", ..." if len(needs) > 4 else "")
        return Decision("unknown", Reason("needs", f"every vector that has it also has one of {also}"))


def judged(result: Result) -> tuple[State, Reason]:
    """Return what a result that is no pass says about the only instruction that may be to blame."""
    judgement, outcome = result.judgement, result.outcome
    if judgement.verdict is Verdict.ERROR:
        return "unknown", judgement.reason
    if judgement.verdict is Verdict.UNSUPPORTED:
        return ("missing" if judgement.reason.blames == "instruction" else "unknown"), judgement.reason
    refused = judgement.failure is Failure.REFUSED and outcome is not None and outcome.kind is not OutcomeKind.CRASHED
    return ("missing" if refused else "wrong"), judgement.reason
