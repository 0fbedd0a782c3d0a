# SPDX-License-Identifier: Apache-2.0
"""The whole check: all mutants of some rows are decided, on several processors, and vectors are rated by them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property, lru_cache, partial
from itertools import chain, islice
from pathlib import Path
from typing import Any, Literal, NamedTuple

from ...adapters.reference import ReferenceAdapter
from ...reference_vm.frames import FRAME_POINTER, Frames
from ...spec.requirements import requirements_of
from ...spec.table import Isa, isa
from ..run.inquiry import settle
from ..run.verdict import Verdict
from ..suite.model import Vector
from ..suite.suite import load_suite
from .bench import Bench, Case, Refusal
from .encoding_mutants import EncodingMutant, class_mutants, encoding_mutants
from .executions import notices
from .frame_mutants import boundless_mutants, frame_mutants, leaking_mutants, stack_mutants
from .kill import Pool, Status, decide
from .loader_mutants import LoaderMutant, loader_mutants
from .mutant import Mutant
from .mutants import mutants_of
from .processes import processes
from .program_mutants import program_mutants
from .smt import Difference
from .suggest import Suggestion, vector_text
from .trials import as_seen

#: Names under which faults that belong to no single row are counted.
FRAMES, LOADING, ENCODING = "local calls", "loading", "classes"


class Finding(NamedTuple):
    """A decided mutant, as plain data.

    ``killers`` are at most two of the vectors that notice it: with one, no other vector does, except for vectors with
    long programs. ``differs_at`` are operands for which an alive mutant differs from its row, ``suggestion`` is
    the text of a vector with them.
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


class Scope(NamedTuple):
    """What is measured.

    ``files`` are the vector files, ``rows`` the names of the rows to mutate (None: all), ``only`` the ids of the
    vectors (None: all of the files). If some come ``first``, see :class:`.bench.Bench`, vectors are to be chosen: then
    all that notice a mutant of an encoding are found, one of the others, and no idle ones.
    """

    files: tuple[Path, ...]
    rows: tuple[str, ...] | None = None
    only: frozenset[str] | None = None
    first: tuple[str, ...] = ()


class Task(NamedTuple):
    """Mutants that one process decides: of the meaning of one row, of the encodings or the control of some rows."""

    kind: Literal["meaning", "encoding", "control"]
    names: tuple[str, ...] = ()


@dataclass
class Survey:
    """All findings. ``idle`` are the vectors that notice no mutant."""

    vectors: int
    findings: list[Finding] = field(default_factory=list)
    idle: list[str] = field(default_factory=list)

    @cached_property
    def by_status(self) -> Counter[Status]:
        """How many mutants have each status."""
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


def survey(scope: Scope, number: int = 1, on_task: OnTask | None = None) -> Survey:
    """Decide the mutants of the rows of ``scope``: of all, and those that belong to no row, if it names none.

    ``on_task`` is called with the number of tasks done and of all tasks. Idle vectors are looked for if all vectors
    are measured alike.

    Raises:
        strict_yaml.YamlError, model.VectorError: a vector file is wrong.
        BaselineError: a vector does not pass on the unmodified specification.
    """
    bench_of.cache_clear()
    bench = bench_of(scope)
    tasks = _tasks(isa(), scope.rows)
    result = Survey(len(bench.vectors))
    noticing: set[str] = set()
    with processes(number, bench.prepare) as run:
        for count, findings in enumerate(run(partial(_decide, scope), tasks), 1):
            result.findings += findings
            noticing.update(name for finding in findings for name in finding.killers)
            if on_task:
                on_task(count, len(tasks))
        if scope == Scope(scope.files):
            rest = [name for name in bench.vectors if name not in noticing]
            chunks = [rest[at : at + _CHUNK] for at in range(0, len(rest), _CHUNK)]
            result.idle += sorted(name for names in run(partial(_idle, scope), chunks) for name in names)
    order = {row.name: place for place, row in enumerate(isa().instructions)}
    result.findings.sort(key=lambda finding: (order.get(finding.instruction, len(order)), finding.id))
    return result


#: Vectors per task of the search for idle ones.
_CHUNK = 500


def _tasks(table: Isa, instructions: Iterable[str] | None) -> list[Task]:
    names = [row.name for row in table.instructions] if instructions is None else list(instructions)
    tasks = [Task("meaning", (name,)) for name in names]
    # The largest tasks first, so that all processors finish at about the same time.
    tasks.sort(key=lambda task: -len(_mutants(task.names[0])))
    tasks.append(Task("encoding", () if instructions is None else tuple(names)))
    if instructions is None or "CALL_LOCAL" in names:
        tasks.insert(0, Task("control", tuple(names)))
    return tasks


def _decide(scope: Scope, task: Task) -> list[Finding]:
    """Decide the mutants of ``task``; each process reads the vectors once."""
    bench, table = bench_of(scope), isa()
    match task.kind:
        case "meaning":
            return list(_meaning(task.names[0], bench, 1 if scope.first else 2))
        case "encoding":
            rows, most = frozenset(task.names) or None, None if scope.first else 2
            return list(encoding_findings(table, bench, rows, most))
        case "control":
            return list(_control(table, bench, frozenset(task.names)))


def _idle(scope: Scope, names: Sequence[str]) -> list[str]:
    return list(idle_vectors(bench_of(scope), names))


@lru_cache(maxsize=1)
def bench_of(scope: Scope) -> Bench:
    """Return the vectors of ``scope`` with their programs prepared; each process reads them once."""
    rows = None if scope.rows is None else [isa().by_name[name] for name in scope.rows]
    vectors = load_suite(scope.files).vectors
    if scope.only is not None:
        vectors = tuple(vector for vector in vectors if vector.id in scope.only)
    return Bench(vectors, rows, scope.first)


@cache
def _mutants(name: str) -> tuple[Mutant, ...]:
    return mutants_of(isa().by_name[name], isa())


# Mutants of meanings


def _meaning(name: str, bench: Bench, most: int) -> Iterator[Finding]:
    texts: dict[Suggestion, str] = {}
    pool = Pool(isa().by_name[name], bench)
    for mutant in _mutants(name):
        decision = decide(mutant, pool, most)
        finding = Finding(
            mutant.id,
            mutant.row.name,
            mutant.family,
            decision.status,
            decision.killers,
            reason=decision.reason,
        )
        if decision.status in (Status.ALIVE, Status.UNDECIDED):
            finding = finding._replace(means=mutant.row.means_text, faulty=str(mutant))
        if decision.difference is not None:
            finding = finding._replace(differs_at=_operands(mutant, decision.difference))
        made = decision.suggestion
        if made is not None:
            if made not in texts:
                suggested = f"suggested/{mutant.row.name.lower().replace('_', '-')}/{len(texts) + 1}"
                texts[made] = vector_text(made, suggested, _covers(mutant, bench))
            finding = finding._replace(suggestion=texts[made])
        yield finding


def _operands(mutant: Mutant, difference: Difference) -> dict[str, Any]:
    """Return the operands of ``difference`` as the JSON document has them."""
    registers = {
        name: hex(difference.registers[number])
        for name, number in (("dst", difference.dst), ("src", difference.src), ("r0", 0))
        if name in mutant.row.reads | mutant.row.writes
    }
    return {
        "byte order": difference.byte_order,
        **{name: getattr(difference, name) for name in mutant.row.operands},
        "values": registers,
    }


def _covers(mutant: Mutant, bench: Bench) -> list[str]:
    """Return two requirements for a suggested vector: the most frequent of the row's vectors, or some about the row."""
    cases = bench.using(mutant.row.name)[:50]
    covered = Counter(name for case in cases for name in bench.vectors[case.id].entry.covers)
    return [name for name, _ in covered.most_common(2)] or list(requirements_of(mutant.row))[:2]


# Mutants of encodings


def encoding_findings(
    table: Isa, bench: Bench, rows: frozenset[str] | None = None, most: int | None = 2
) -> Iterator[Finding]:
    """Decide the mutants of the encodings of ``rows``, and of undefined opcodes next to them; of all and of whole
    classes if None. At most ``most`` vectors are named that notice one.
    """
    by_opcode: dict[int, list[Refusal]] = {}
    for refusal in bench.refusals:
        for opcode in {broken.slot.opcode for broken in refusal.broken}:
            by_opcode.setdefault(opcode, []).append(refusal)
    for mutant in encoding_mutants(table):
        if rows is None or mutant.row.name in rows:
            killers = islice(_refusing(mutant, by_opcode), most)
            yield _decided(mutant.row.name, "encoding", mutant.id, tuple(killers), _NO_SUCH_VECTOR)
    for fault in class_mutants(table) if rows is None else ():
        killers = islice((name for part in fault.parts for name in _refusing(part, by_opcode)), most)
        yield _decided(ENCODING, "encoding", fault.what, tuple(killers), _NO_SUCH_VECTOR)


_NO_SUCH_VECTOR = "no vector has this encoding, in a program that would run"


def _refusing(mutant: EncodingMutant, by_opcode: Mapping[int, Sequence[Refusal]]) -> Iterator[str]:
    """Yield the vectors that notice ``mutant``, which accepts their programs."""
    for refusal in by_opcode.get(mutant.opcode, ()):
        code = as_seen(mutant, refusal)
        if code is not None and not refusal.passes(refusal.run(code)):
            yield refusal.job.id


# Mutants of control


def _control(table: Isa, bench: Bench, rows: frozenset[str]) -> Iterator[Finding]:
    stack = [case for case in bench.cases if _uses_stack(case)]
    stack.sort(key=lambda case: (bench.rank(case.id), len(case.executable.program)))
    stopped: list[Case | Refusal] = [*(case for case in bench.cases if case.expect.faulted), *bench.refusals]
    stopped.sort(key=lambda vector: bench.rank(vector.job.id))
    for faults, vectors in (
        (frame_mutants(), bench.using("CALL_LOCAL")),
        (stack_mutants(), stack),
        (boundless_mutants(), stopped),
    ):
        for fault in faults:
            yield _decided(FRAMES, "frames", fault.what, _first_two(vectors, partial(_fails, fault.frames)))
    for fault in leaking_mutants():
        yield _decided(FRAMES, "frames", fault.what, _first_two(bench.steady, partial(_shows, fault.frames)))
    for change in program_mutants(table):
        if change.row in rows:
            killers = _first_two(bench.using(change.row), partial(_changed, change.change))
            yield _decided(change.row, "control", f"{change.row}: {change.what}", killers)
    for loader in loader_mutants(table):
        yield _decided(LOADING, "loading", loader.what, _first_two(bench.refusals, partial(_let_pass, loader)))


def _fails(frames: type[Frames], vector: Case | Refusal) -> bool:
    """Whether the vector notices a machine with these frames."""
    if isinstance(vector, Case):
        return not vector.passes(vector.executable, frames)
    outcome = vector.outcome(frames)
    return outcome is not None and not vector.passes(outcome)


def _shows(frames: type[Frames], vector: Vector) -> bool:
    """Whether the vector notices a machine with these frames, which hand something on to other programs."""
    runtime = ReferenceAdapter("little", frames=frames)
    return settle(vector, runtime.info(), runtime.run).judgement.verdict is not Verdict.PASS


def _first_two(items: Iterable[Any], noticed: Callable[[Any], bool]) -> tuple[str, ...]:
    return tuple(islice((item.id for item in items if noticed(item)), 2))


def _uses_stack(case: Case) -> bool:
    return any(item is not None and FRAME_POINTER in (item.dst, item.src) for item in case.executable.program)


def _changed(change: Callable[[Case], Any], case: Case) -> bool:
    changes = change(case)
    return bool(changes) and not case.passes(case.executable.replaced(changes))


def _let_pass(loader: LoaderMutant, refusal: Refusal) -> bool:
    code = loader.loads(refusal)
    return code is not None and not refusal.passes(refusal.run(code))


def _decided(
    instruction: str, family: str, what: str, killers: tuple[str, ...], reason: str = "no vector notices"
) -> Finding:
    status = Status.KILLED if killers else Status.ALIVE
    return Finding(what, instruction, family, status, killers, reason="" if killers else reason)


# Vectors that notice nothing


def idle_vectors(bench: Bench, names: Iterable[str]) -> Iterator[str]:
    """Yield those of the vectors ``names`` that notice no mutant at all."""
    loaders, boundless = list(loader_mutants(isa())), list(boundless_mutants())
    refusals = {refusal.job.id: refusal for refusal in bench.refusals}
    cases = {case.id: case for case in bench.cases}
    steady, leaking = {vector.id: vector for vector in bench.steady}, list(leaking_mutants())
    for name in names:
        if name in steady:
            if not any(_shows(fault.frames, steady[name]) for fault in leaking):
                yield name
        elif name in refusals:
            refusal = refusals[name]
            near = (m for broken in refusal.broken for m in _encodings().get(broken.slot.opcode, ()))
            seen = (as_seen(mutant, refusal) for mutant in near)
            if any(code is not None and not refusal.passes(refusal.run(code)) for code in seen):
                continue
            if any(_let_pass(loader, refusal) for loader in loaders):
                continue
            if not any(_fails(fault.frames, refusal) for fault in boundless):
                yield name
        else:
            case = cases[name]
            if case.expect.faulted and any(_fails(fault.frames, case) for fault in boundless):
                continue
            # The mutants of the rarest instruction first: the vector is about it.
            rows = sorted(case.executed, key=lambda row: len(bench.using(row)))
            if not any(notices(case, mutant) for row in rows for mutant in _mutants(row)):
                yield name


@lru_cache(maxsize=1)
def _encodings() -> dict[int, list[EncodingMutant]]:
    """Return the mutants of encodings by the opcode of the slots concerned."""
    found: dict[int, list[EncodingMutant]] = {}
    for mutant in chain(encoding_mutants(isa()), *(fault.parts for fault in class_mutants(isa()))):
        found.setdefault(mutant.opcode, []).append(mutant)
    return found
