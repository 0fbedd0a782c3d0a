# SPDX-License-Identifier: Apache-2.0
"""Mutation tests of what decides about verdicts: ``tox -e judge [-- --sample N] [NAME...]``.

mutmut changes each module of :data:`JUDGE` in small ways, and runs the module's own tests on each change. A mutant that
no test notices needs a reason in ``survivors.yaml``; a mutant of the wording of a message has one: nothing decides by
it. Without a sample, entries of ``survivors.yaml`` that no mutant survives by any more are told as well.

A mutant whose tests do not come to an end in time, or die, is tried again alone: the machine may have been busy. If
that happens again it counts as noticed, and is told.

Exit status: 0, or 1 if a mutant survives without a reason.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import resource
import shutil
import subprocess
import sys
import tokenize
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import yaml

ROOT = Path(__file__).parents[2]
SURVIVORS = Path(__file__).with_name("survivors.yaml")
PACKAGES = ("spec", "reference_vm", "adapters", "conformance")
#: The modules, each with the test files that are about it.
JUDGE = {
    "run/verdict": ("run/verdict", "run/misbehaving", "run/steady"),
    "run/inquiry": ("run/inquiry", "run/misbehaving", "run/fold", "run/steady"),
    "run/fillers": ("run/steady",),
    "run/fold": ("run/fold", "run/inquiry"),
    "run/ends": ("run/ends",),
    "run/runner": ("run/runner", "run/bounded", "run/machines"),
    "run/worker": ("run/worker",),
    "run/workers": ("run/workers",),
    "run/discovery": ("run/search",),
    "results/document": ("results/document",),
    "results/journal": ("results/journal", "results/document"),
    "results/recorded": ("results/document", "results/journal"),
    "results/expectations": ("results/expectations", "results/gate"),
    "results/gate": ("results/gate",),
    "diagnosis/conclusion": ("diagnosis/conclusion",),
}
#: How the tests of a mutant end, as mutmut keeps it: none failed, or none reaches the code; or one failed, with or
#: without ending pytest. All else is a signal or a limit of time.
_SURVIVED, _NOTICED = {0, 5, 33}, {1, 2, 3}
#: Bytes that a process may have: some mutants collect something without end.
_MOST_MEMORY = 8 << 30


class Mutant(NamedTuple):
    """A mutant that no test notices: the function it is in, and the lines taken out and put in."""

    name: str
    function: str
    before: str
    after: str

    @property
    def is_wording(self) -> bool:
        """Whether only the text of a message differs, and not the word for machines that it may begin with."""
        pairs = list(zip(_tokens(self.before), _tokens(self.after), strict=False))
        changed = [(one, other) for one, other in pairs if one != other]
        return len(_tokens(self.before)) == len(_tokens(self.after)) and all(
            one.type == other.type == tokenize.STRING and " " in one.string and not _begins_with_word(one.string)
            for one, other in changed
        )


def _tokens(line: str) -> list[tokenize.TokenInfo]:
    found = []
    try:
        for token in tokenize.generate_tokens(io.StringIO(line).readline):
            found.append(token._replace(start=(0, 0), end=(0, 0), line=""))
    except (tokenize.TokenError, IndentationError):  # a part of a statement: what was read counts
        pass
    return found


def _begins_with_word(literal: str) -> bool:
    word, colon, _ = literal.lstrip("frb\"'").partition(": ")
    return bool(colon) and " " not in word


def main() -> int:
    """Run the mutation tests as the command line asks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="Modules to mutate, of: " + ", ".join(JUDGE))
    parser.add_argument("--sample", type=int, help="Test so many mutants of each module, always the same.")
    parser.add_argument("-j", "--jobs", type=int, default=len(os.sched_getaffinity(0)), help="Modules at a time.")
    parser.add_argument("--folder", type=Path, default=ROOT / ".tox" / "judge" / "stage", help="Where it is done.")
    arguments = parser.parse_args()
    if unknown := [name for name in arguments.names if name not in JUDGE]:
        parser.error(f"no such module: {', '.join(unknown)}")
    resource.setrlimit(resource.RLIMIT_AS, (_MOST_MEMORY, _MOST_MEMORY))
    names = arguments.names or list(JUDGE)
    # What mutmut does before and after the mutants takes about as long for each module as a sample of them.
    each = max(1, arguments.jobs // len(names))
    with ThreadPoolExecutor(arguments.jobs) as pool:
        passed = pool.map(lambda name: test(name, arguments.folder, each, arguments.sample), names)
        return 0 if all(list(passed)) else 1


def test(name: str, stages: Path, jobs: int, sample: int | None) -> bool:
    """Test the mutants of one module, or some of them; return whether all that survive have a reason."""
    folder = stages / name.replace("/", "-")
    stage(name, folder)
    # mutmut has no command that only makes the mutants. It makes them, and finds out which tests reach what, before it
    # refuses a name that there is not.
    run(folder, jobs, ["none"], check=False)
    chosen = list(exit_codes(folder))
    reach(folder, chosen)
    if sample:
        chosen = chosen[:: -(-len(chosen) // sample)]
    run(folder, jobs, chosen)
    again = [one for one, code in exit_codes(folder).items() if one in chosen and code not in _SURVIVED | _NOTICED]
    if again:
        run(folder, 1, again)
    return report(name, folder, chosen, again, whole=not sample)


def stage(name: str, folder: Path) -> None:
    """Lay the packages out as mutmut needs them: it takes the names of modules from their paths."""
    shutil.rmtree(folder, ignore_errors=True)
    for package in PACKAGES:
        shutil.copytree(
            ROOT / package, folder / "src" / "bpf_isa" / package, ignore=shutil.ignore_patterns("__pycache__")
        )
    shutil.copytree(ROOT / "tests", folder / "tests", ignore=shutil.ignore_patterns("__pycache__"))
    # Python does not look again into folders of its path that were not there when it started.
    (folder / "mutants" / "src").mkdir(parents=True)
    settings = {
        "source_paths": ["src"],
        "only_mutate": [f"src/bpf_isa/conformance/{name}.py"],
        "pytest_add_cli_args": ["-p", "no:cacheprovider", "--import-mode=importlib"],
        "pytest_add_cli_args_test_selection": [
            f"tests/conformance/{room}/test_{test}.py" for room, test in (one.split("/") for one in JUDGE[name])
        ],
        # Tests may take (the usual time + constant) * multiplier; the usual time is without that of fixtures.
        "timeout_constant": 2.0,
        "timeout_multiplier": 3.0,
    }
    lines = [f"{key} = {json.dumps(value)}" for key, value in settings.items()]
    lines += ["use_git_change_detection = false", "track_dependencies = false"]
    (folder / "pyproject.toml").write_text("[tool.mutmut]\n" + "\n".join(lines) + "\n")


def run(folder: Path, jobs: int, names: Sequence[str], *, check: bool = True) -> None:
    """Let mutmut test mutants; the processes that tests start run the mutant, too."""
    environment = {**os.environ, "PYTHONPATH": str(folder / "mutants" / "src")}
    command = [sys.executable, "-m", "mutmut", "run", "--max-children", str(jobs), *names]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if check and done.returncode:
        sys.exit(f"mutmut failed:\n{done.stdout[-4000:]}{done.stderr[-4000:]}")


def exit_codes(folder: Path) -> dict[str, int | None]:
    """Return how the tests ended for each mutant, None where they did not run."""
    found: dict[str, int | None] = {}
    for file in sorted((folder / "mutants").rglob("*.py.meta")):
        found |= json.loads(file.read_text())["exit_code_by_key"]
    return found


def reach(folder: Path, mutants: Sequence[str]) -> None:
    """Let all tests be run for functions that none reaches in its own process: tests start others."""
    file = folder / "mutants" / "mutmut-stats.json"
    stats = json.loads(file.read_text())
    for function in {one.rpartition("__mutmut_")[0] for one in mutants}:
        stats["tests_by_mangled_function_name"].setdefault(function, list(stats["duration_by_test"]))
    file.write_text(json.dumps(stats))


def report(name: str, folder: Path, chosen: Sequence[str], again: Sequence[str], *, whole: bool) -> bool:
    """Print what survived without a reason, and return whether nothing did."""
    codes = exit_codes(folder)
    survived = [mutant(folder, one) for one in chosen if codes[one] in {*_SURVIVED, None}]
    endless = [one for one in again if codes[one] not in {*_SURVIVED, *_NOTICED, None}]
    module = name.replace("/", ".")
    reasons = {
        (entry["function"], entry["before"], entry["after"])
        for entry in _read_reasons()
        if entry["function"].startswith(f"{module}.")
    }
    known = [one for one in survived if one[1:] in reasons]
    wording = [one for one in survived if one not in known and one.is_wording]
    left = [one for one in survived if one not in known and one not in wording]
    lines = [f"{one.name} survives:\n  - {one.before}\n  + {one.after}" for one in left]
    lines += [f"{one}: its tests did not come to an end, or died, twice ({codes[one]})" for one in endless]
    stale = reasons - {one[1:] for one in survived} if whole else set()
    lines += [
        f"survivors.yaml: {function}: {before} -> {after} does not survive any more: take it out"
        for function, before, after in sorted(stale)
    ]
    lines.append(
        f"{name}: {len(chosen)} mutants of {len(codes)}: {len(chosen) - len(survived)} noticed"
        f" ({len(endless)} of them by not ending), {len(known)} with a reason, "
        f"{len(wording)} of the wording of messages, {len(left)} survive"
    )
    print("\n".join(lines), flush=True)  # noqa: T201
    return bool(chosen) and not left and not stale


def _read_reasons() -> Iterator[dict[str, str]]:
    entries: list[dict[str, str]] = yaml.safe_load(SURVIVORS.read_text())["survivors"]
    yield from entries


def mutant(folder: Path, name: str) -> Mutant:
    """Return what a mutant changes."""
    shown = subprocess.run(
        [sys.executable, "-m", "mutmut", "show", name], cwd=folder, capture_output=True, text=True, check=True
    )
    lines = shown.stdout.splitlines()
    before = " ".join(line[1:].strip() for line in lines if line.startswith("-") and not line.startswith("---"))
    after = " ".join(line[1:].strip() for line in lines if line.startswith("+") and not line.startswith("+++"))
    module, _, function = name.rpartition("__mutmut_")[0].rpartition(".")
    function = function.removeprefix("x_").removeprefix("xǁ").replace("ǁ", ".")
    return Mutant(name, f"{module.removeprefix('bpf_isa.conformance.')}.{function}", before, after)


if __name__ == "__main__":
    sys.exit(main())
