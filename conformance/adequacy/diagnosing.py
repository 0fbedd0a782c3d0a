# SPDX-License-Identifier: Apache-2.0
"""How often the diagnosis is right: mutants are run as runtimes, and the accused row is compared with the mutated."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import NamedTuple

from rich.markup import escape
from rich.table import Table

from ...spec.requirements import requirements_of
from ...spec.table import isa
from ..diagnosis.accuse import diagnose
from ..run.runner import Result
from ..suite.suite import load_suite
from ..terminal.console import Console
from .bench import Bench
from .processes import processes
from .program_mutants import ProgramMutant
from .survey import OnTask
from .trials import Fault, faults_of, r0_results, results, sample

#: Faults per task.
_CHUNK = 8


class Plan(NamedTuple):
    """The vector files, the names of the rows to mutate, and whether the runtimes show r0 only."""

    files: tuple[Path, ...]
    rows: tuple[str, ...]
    r0_only: bool


class Task(NamedTuple):
    """Faults of a row, by name."""

    row: str
    faults: tuple[str, ...]


class Trial(NamedTuple):
    """The diagnosis of a runtime with one fault, in ``row``.

    ``failed`` is the number of failed vectors, ``accusations`` that of accusations. The first accusation explains
    ``explained`` failures: ``instruction``, or one of ``rivals``, breaks ``requirement``.
    """

    fault: str
    family: str
    row: str
    failed: int
    accusations: int = 0
    instruction: str = ""
    requirement: str = ""
    explained: int = 0
    rivals: tuple[str, ...] = ()

    @property
    def is_right(self) -> bool:
        """Whether the faulty row is accused, of breaking a requirement about it."""
        return self.instruction == self.row and self.requirement in requirements_of(isa().by_name[self.row])


@dataclass(frozen=True)
class Trials:
    """The diagnoses of all trials; ``unnoticed`` are faults without a failed vector, which have no diagnosis."""

    vectors: int
    noticed: tuple[Trial, ...]
    unnoticed: tuple[Trial, ...]

    @property
    def right(self) -> int:
        """How many diagnoses are right."""
        return sum(one.is_right for one in self.noticed)

    @property
    def rate(self) -> float:
        """The fraction of right diagnoses, from 0 to 1; 0 without diagnoses."""
        return self.right / len(self.noticed) if self.noticed else 0.0


def try_all(plan: Plan, size: int, seed: int, number: int, on_task: OnTask) -> Trials:
    """Diagnose about ``size`` mutants, chosen by ``seed``; ``on_task`` gets the number of tasks done, and of all.

    Raises:
        strict_yaml.YamlError, model.VectorError: a vector file is wrong.
        BaselineError: a vector does not pass on the unmodified specification.
    """
    _bench.cache_clear()
    bench = _bench(plan)
    chosen = sample(_faults(plan), size, seed)
    tasks = _tasks(chosen, bench)
    found: list[Trial] = []
    with processes(number, bench.prepare) as run:
        for count, done in enumerate(run(partial(_try, plan), tasks), 1):
            found += done
            on_task(count, len(tasks))
    place = {fault.id: number for number, fault in enumerate(chosen)}
    found.sort(key=lambda trial: place[trial.fault])
    noticed = tuple(trial for trial in found if trial.failed)
    return Trials(len(bench.vectors), noticed, tuple(trial for trial in found if not trial.failed))


def _faults(plan: Plan) -> list[Fault]:
    every = [fault for name in plan.rows for fault in faults_of(isa().by_name[name])]
    return [fault for fault in every if not (plan.r0_only and isinstance(fault.mutant, ProgramMutant))]


def _tasks(chosen: Sequence[Fault], bench: Bench) -> list[Task]:
    by_row: dict[str, list[str]] = {}
    for fault in chosen:
        by_row.setdefault(fault.row, []).append(fault.id)
    # The largest tasks first, so that all processors finish at about the same time.
    rows = sorted(by_row, key=lambda row: -len(bench.using(row)))
    return [
        Task(row, tuple(by_row[row][at : at + _CHUNK])) for row in rows for at in range(0, len(by_row[row]), _CHUNK)
    ]


@lru_cache(maxsize=1)
def _bench(plan: Plan) -> Bench:
    rows = [isa().by_name[name] for name in plan.rows]
    return Bench(load_suite(plan.files).vectors, None if len(rows) == len(isa().instructions) else rows)


def _try(plan: Plan, task: Task) -> list[Trial]:
    """Diagnose the faults of ``task``; each process reads the vectors once."""
    bench = _bench(plan)
    answers = r0_results if plan.r0_only else results
    by_id = {fault.id: fault for fault in faults_of(isa().by_name[task.row])}
    return [_trial(by_id[name], bench, answers) for name in task.faults]


def _trial(fault: Fault, bench: Bench, answers: Callable[[Fault, Bench], list[Result]]) -> Trial:
    found = diagnose(answers(fault, bench)).accusations
    trial = Trial(fault.id, fault.family, fault.row, sum(len(one.results) for one in found), len(found))
    if not found:
        return trial
    first = found[0]
    return trial._replace(
        instruction=first.instruction,
        requirement=first.requirement,
        explained=len(first.results),
        rivals=first.instructions[1:] + first.rivals,
    )


def show(trials: Trials, console: Console) -> None:
    """Print the rate, by family, and every wrong diagnosis."""
    wrong = [one for one in trials.noticed if not one.is_right]
    for one in wrong:
        what = one.instruction or "no instruction"
        rivals = f" (or {', '.join(one.rivals)})" if one.rivals else ""
        console.print(f"[yellow]wrong[/] [bold]{escape(one.fault)}[/]", soft_wrap=True)
        accusation = f"{what}{rivals} is accused of {one.explained:,} of {one.failed:,} failures: {one.requirement}"
        console.print(f"    {escape(accusation)}", soft_wrap=True)
    console.print(_by_family(trials))
    number = f"{len(trials.unnoticed):,} mutants that no vector notices"
    console.print(f"{trials.vectors:,} vectors; {number} are left out")
    accusations = sum(one.accusations for one in trials.noticed) / max(1, len(trials.noticed))
    right = f"{trials.right:,} of {len(trials.noticed):,} mutants are diagnosed rightly, {trials.rate:.1%}"
    console.print(f"[bold]{right}[/]; accusations for each: {accusations:.2f}")


def _by_family(trials: Trials) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("family")
    for name in ("mutants", "right", ""):
        table.add_column(name, justify="right")
    number = Counter(one.family for one in trials.noticed)
    right = Counter(one.family for one in trials.noticed if one.is_right)
    for family, total in number.most_common():
        table.add_row(family, f"{total:,}", f"{right[family]:,}", f"{right[family] / total:.1%}")
    return table
