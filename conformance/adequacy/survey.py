# SPDX-License-Identifier: Apache-2.0
"""The whole check: all mutants of some rows decided, on several processors, and what it says about the vectors."""

from __future__ import annotations

import multiprocessing
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property, lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from ...adapters.reference import ReferenceAdapter
from ...spec.encoding import pack
from ...spec.table import Isa, isa
from ..suite import Suite, load_suite
from .bench import Bench, Case, Refusal
from .control_mutants import LoaderMutant, frame_mutants, loader_mutants, program_mutants
from .encoding_mutants import EncodingMutant, encoding_mutants
from .kill import Decision, Status, decide_all, notices
from .mutant import Mutant
from .mutants import mutants_of
from .suggest import Suggestion, is_noticed, suggest, vector_text

#: Under these names the faults that belong to no one row are counted.
FRAMES, LOADING = "local calls", "loading"


class Finding(NamedTuple):
    """A mutant decided, as plain data.

    ``killers`` are at most two of the vectors that notice it: one is a kill that this vector has to itself.
    ``differs_at`` are operands that tell an alive mutant from its row, ``suggestion`` the text of a vector with them.
    """

    id: str
    instruction: str
    family: str
    status: Status
    killers: tuple[str, ...] = ()
    means: str = ""
    faulty: str = ""
    differs_at: dict[str, Any] | None = None
    suggestion: str | None = None
    reason: str = ""


class Task(NamedTuple):
    """What one process does in one go: the mutants of a row's meaning, of encodings, or of control."""

    kind: str
    rows: tuple[str, ...] = ()


@dataclass
class Survey:
    """Everything that was found out. ``idle`` are the vectors that notice none of the mutants."""

    vectors: int
    findings: list[Finding] = field(default_factory=list)
    idle: list[str] = field(default_factory=list)

    @cached_property
    def by_status(self) -> Counter[Status]:
        """How many mutants came to which end."""
        return Counter(finding.status for finding in self.findings)

    @cached_property
    def unique(self) -> Counter[str]:
        """How many mutants each vector notices that no other vector does."""
        return Counter(finding.killers[0] for finding in self.findings if len(finding.killers) == 1)

    @property
    def is_adequate(self) -> bool:
        """Whether nothing is alive and nothing undecided."""
        return not self.by_status[Status.ALIVE] and not self.by_status[Status.UNDECIDED]


OnTask = Callable[[int, int], None]


def survey(
    vectors: Sequence[Path],
    instructions: Iterable[str] | None = None,
    processes: int = 1,
    on_task: OnTask | None = None,
) -> Survey:
    """Decide the mutants of ``instructions`` (all, and those that belong to no instruction, if None).

    ``on_task`` is called with the number of tasks done and of all tasks.

    Raises:
        strict_yaml.YamlError, model.VectorError: a vector file is wrong.
        BaselineError: a vector does not pass on the unmodified specification.
    """
    suite = _suite(tuple(vectors))
    tasks = _tasks(isa(), instructions)
    result = Survey(len(suite.vectors))
    noticing: set[str] = set()
    for count, (findings, killers) in enumerate(_work(tuple(vectors), tasks, processes), 1):
        result.findings += findings
        noticing |= killers
        if on_task:
            on_task(count, len(tasks))
    order = {row.name: place for place, row in enumerate(isa().instructions)}
    result.findings.sort(key=lambda finding: (order.get(finding.instruction, len(order)), finding.id))
    if instructions is None:
        result.idle = _idle(_bench(tuple(vectors)), noticing)
    return result


def _tasks(table: Isa, instructions: Iterable[str] | None) -> list[Task]:
    names = [row.name for row in table.instructions] if instructions is None else list(instructions)
    tasks = [Task("meaning", (name,)) for name in names]
    # The largest first, so that no processor is left with one at the end.
    tasks.sort(key=lambda task: -len(mutants_of(table.by_name[task.rows[0]], table)))
    tasks.append(Task("encoding", tuple(names)))
    if instructions is None or "CALL_LOCAL" in names:
        tasks.insert(0, Task("control", tuple(names)))
    return tasks


_Done = tuple[list[Finding], set[str]]


def _work(vectors: tuple[Path, ...], tasks: list[Task], processes: int) -> Iterator[_Done]:
    if processes < 2 or len(tasks) < 2:
        for task in tasks:
            yield _decide(vectors, task)
        return
    context = multiprocessing.get_context("spawn")
    with context.Pool(processes) as pool:
        yield from pool.imap_unordered(_Worker(vectors), tasks)


class _Worker(NamedTuple):
    """What a process is asked to do; the vectors are read once in each."""

    vectors: tuple[Path, ...]

    def __call__(self, task: Task) -> _Done:
        return _decide(self.vectors, task)


@lru_cache(maxsize=1)
def _suite(vectors: tuple[Path, ...]) -> Suite:
    return load_suite(vectors)


@lru_cache(maxsize=1)
def _bench(vectors: tuple[Path, ...]) -> Bench:
    return Bench(_suite(vectors).vectors)


def _decide(vectors: tuple[Path, ...], task: Task) -> _Done:
    bench, table = _bench(vectors), isa()
    match task.kind:
        case "meaning":
            row = table.by_name[task.rows[0]]
            findings = list(_meaning(mutants_of(row, table), bench))
        case "encoding":
            findings = list(_encoding(table, bench, frozenset(task.rows)))
        case _:
            findings = list(_control(table, bench))
    return findings, {name for finding in findings for name in finding.killers}


# Mutants of meanings


def _meaning(mutants: Iterable[Mutant], bench: Bench) -> Iterator[Finding]:
    suggested: list[tuple[Suggestion, str]] = []
    for decision in decide_all(mutants, bench):
        mutant = decision.mutant
        finding = Finding(
            mutant.id,
            mutant.row.name,
            mutant.family,
            decision.status,
            decision.killers,
            reason=decision.reason,
        )
        if decision.status in (Status.ALIVE, Status.UNDECIDED):
            finding = finding._replace(
                means=mutant.row.means_text, faulty=str(mutant), **_remedy(decision, bench, suggested)
            )
        yield finding


def _remedy(decision: Decision, bench: Bench, suggested: list[tuple[Suggestion, str]]) -> dict[str, Any]:
    """Return what to say of a mutant that is alive; one suggestion serves all mutants that it notices."""
    difference, mutant = decision.difference, decision.mutant
    if difference is None:
        return {}
    registers = {
        name: hex(difference.registers[number])
        for name, number in (("dst", difference.dst), ("src", difference.src), ("r0", 0))
        if name in mutant.row.reads | mutant.row.writes
    }
    where = {
        "byte order": difference.byte_order,
        **{name: getattr(difference, name) for name in mutant.row.operands},
        "values": registers,
    }
    for made, text in suggested:
        if is_noticed(made, mutant):
            return {"differs_at": where, "suggestion": text}
    made_now = suggest(mutant, difference)
    if made_now is None:
        return {"differs_at": where}
    slug = mutant.row.name.lower().replace("_", "-")
    text = vector_text(made_now, f"suggested/{slug}/{len(suggested) + 1}", _covers(mutant, bench))
    suggested.append((made_now, text))
    return {"differs_at": where, "suggestion": text}


def _covers(mutant: Mutant, bench: Bench) -> list[str]:
    """Return the requirements that the vectors of the row cover, the most frequent first; any, if there are none."""
    cases = bench.using(mutant.row.name)[:50]
    covered = Counter(name for case in cases for name in bench.vectors[case.id].entry.covers)
    return [name for name, _ in covered.most_common(2)] or [f"rfc9669-{mutant.row.section}"]


# Mutants of encodings


def _encoding(table: Isa, bench: Bench, rows: frozenset[str]) -> Iterator[Finding]:
    by_opcode: dict[int, list[Refusal]] = {}
    for refusal in bench.refusals:
        for broken in refusal.broken:
            by_opcode.setdefault(broken.slot.opcode, []).append(refusal)
    runtime = ReferenceAdapter("little")
    for mutant in encoding_mutants(table):
        if mutant.row.name not in rows:
            continue
        killers: list[str] = []
        for refusal in by_opcode.get(mutant.opcode, ()):
            code = _as_seen(mutant, refusal)
            if code is not None and not _passes(runtime, refusal, code):
                killers.append(refusal.job.id)
                if len(killers) > 1:
                    break
        status = Status.KILLED if killers else Status.ALIVE
        yield Finding(
            mutant.id,
            mutant.row.name,
            "encoding",
            status,
            tuple(killers),
            suggestion=None,
            reason="" if killers else "no vector has this encoding, in a program that would run",
        )


def _as_seen(mutant: EncodingMutant, refusal: Refusal) -> bytes | None:
    """Return the program as the mutant sees it; None if it sees nothing wrong anywhere."""
    slots, changed = refusal.slots.copy(), False
    for broken in refusal.broken:
        new = mutant.rewritten(broken)
        if new is not None:
            slots[broken.index : broken.index + len(new)] = new
            changed = True
    return pack(slots) if changed else None


def _passes(runtime: ReferenceAdapter, refusal: Refusal, code: bytes) -> bool:
    (outcome,) = runtime.run([refusal.job._replace(code=code)])
    return refusal.passes(outcome)


# Mutants of control


def _control(table: Isa, bench: Bench) -> Iterator[Finding]:
    calls = bench.using("CALL_LOCAL")
    for fault in frame_mutants():
        killers = _first_two(calls, lambda case, frames=fault.frames: not case.passes(case.executable, frames))  # type: ignore[misc]
        yield _decided(FRAMES, "frames", fault.what, killers)
    for change in program_mutants(table):
        killers = _first_two(bench.using(change.row), lambda case, made=change.change: _changed(case, made))  # type: ignore[misc]
        yield _decided(change.row, "control", f"{change.row}: {change.what}", killers)
    runtime = ReferenceAdapter("little")
    for loader in loader_mutants(table):
        killers = _first_two(bench.refusals, lambda r, loads=loader: _let_pass(runtime, r, loads))  # type: ignore[misc]
        yield _decided(LOADING, "loading", loader.what, killers)


def _first_two(items: Iterable[Any], noticed: Callable[[Any], bool]) -> tuple[str, ...]:
    found: list[str] = []
    for item in items:
        if noticed(item):
            found.append(item.job.id)
            if len(found) > 1:
                break
    return tuple(found)


def _changed(case: Case, change: Callable[[Case], Any]) -> bool:
    changes = change(case)
    return bool(changes) and not case.passes(case.executable.replaced(changes))


def _let_pass(runtime: ReferenceAdapter, refusal: Refusal, loader: LoaderMutant) -> bool:
    code = loader.loads(refusal)
    return code is not None and not _passes(runtime, refusal, code)


def _decided(instruction: str, family: str, what: str, killers: tuple[str, ...]) -> Finding:
    status = Status.KILLED if killers else Status.ALIVE
    reason = "" if killers else "no vector notices"
    return Finding(what, instruction, family, status, killers, reason=reason)


# Vectors that notice nothing


def _idle(bench: Bench, noticing: set[str]) -> list[str]:
    """Return the vectors that notice no mutant, of those that are not known to notice one."""
    table = isa()
    idle = []
    uses = Counter(name for case in bench.cases for name in case.executed)
    for case in bench.cases:
        if case.id not in noticing:
            # The mutants of the rarest instruction first: the vector is about that.
            rows = sorted(case.executed, key=lambda name: uses[name])
            if not any(notices(case, mutant) for name in rows for mutant in _mutants(name)):
                idle.append(case.id)
    runtime = ReferenceAdapter("little")
    encodings = [mutant for mutant in encoding_mutants(table)]
    loaders = list(loader_mutants(table))
    by_opcode: dict[int, list[EncodingMutant]] = {}
    for encoding in encodings:
        by_opcode.setdefault(encoding.opcode, []).append(encoding)
    for refusal in bench.refusals:
        if refusal.job.id in noticing:
            continue
        near = (m for broken in refusal.broken for m in by_opcode.get(broken.slot.opcode, ()))
        seen = (_as_seen(mutant, refusal) for mutant in near)
        if any(code is not None and not _passes(runtime, refusal, code) for code in seen):
            continue
        if not any(_let_pass(runtime, refusal, loader) for loader in loaders):
            idle.append(refusal.job.id)
    return idle


@cache
def _mutants(name: str) -> tuple[Mutant, ...]:
    return mutants_of(isa().by_name[name], isa())
