# SPDX-License-Identifier: Apache-2.0
"""Mutation tests of what decides about verdicts: ``tox -e judge [-- --sample N] [NAME...]``.

mutmut changes the modules of :data:`JUDGE` in small ways and runs :data:`TESTS`. A mutant that no test notices needs a
reason in ``survivors.yaml``; a mutant of the wording of a message has one: nothing decides by it. Without a sample,
entries of ``survivors.yaml`` that no mutant survives by any more are told as well.

Exit status: 0, or 1 if a mutant survives without a reason.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import shutil
import subprocess
import sys
import tokenize
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import yaml

ROOT = Path(__file__).parents[2]
SURVIVORS = Path(__file__).with_name("survivors.yaml")
PACKAGES = ("spec", "reference_vm", "adapters", "conformance")
JUDGE = (
    *("verdict", "inquiry", "fold", "ends", "runner", "workers", "results", "journal", "report/recorded"),
    *("expectations", "gate", "conclusion", "discovery"),
)
TESTS = (
    *("verdict", "misbehaving", "fold", "runner", "bounded", "results", "expectations", "conclusion"),
    *("discovery",),
)
#: What mutmut keeps of the end of the tests: no test noticed; no test reaches the code. All else was noticed.
_SURVIVED, _UNREACHED = 0, 33


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
    parser.add_argument("--sample", type=int, help="Test so many mutants, taken evenly from all.")
    parser.add_argument("-j", "--jobs", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--folder", type=Path, default=ROOT / ".tox" / "judge" / "stage", help="Where it is done.")
    arguments = parser.parse_args()
    stage(arguments.folder)
    modules = [f"bpf_isa.conformance.{name.replace('/', '.')}" for name in arguments.names or JUDGE]
    run(arguments.folder, arguments.jobs, [f"{modules[0]}.*__mutmut_1"])  # makes all mutants
    chosen = [name for name in exit_codes(arguments.folder) if name.startswith(tuple(f"{one}." for one in modules))]
    if arguments.sample:
        chosen = chosen[:: max(1, len(chosen) // arguments.sample)]
    run(arguments.folder, arguments.jobs, chosen)
    return report(arguments.folder, chosen, whole=not (arguments.sample or arguments.names))


def stage(folder: Path) -> None:
    """Lay the packages out as mutmut needs them: it takes the names of modules from their paths."""
    shutil.rmtree(folder, ignore_errors=True)
    for name in PACKAGES:
        shutil.copytree(ROOT / name, folder / "src" / "bpf_isa" / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "tests", folder / "tests", ignore=shutil.ignore_patterns("__pycache__"))
    settings = {
        "source_paths": ["src"],
        "only_mutate": [f"src/bpf_isa/conformance/{name}.py" for name in JUDGE],
        "pytest_add_cli_args": ["-p", "no:cacheprovider", "--import-mode=importlib"],
        "pytest_add_cli_args_test_selection": [f"tests/conformance/test_{name}.py" for name in TESTS],
    }
    lines = [f"{key} = {json.dumps(value)}" for key, value in settings.items()]
    lines += ["use_git_change_detection = false", "track_dependencies = false"]
    (folder / "pyproject.toml").write_text("[tool.mutmut]\n" + "\n".join(lines) + "\n")


def run(folder: Path, jobs: int, names: Sequence[str]) -> None:
    """Let mutmut test mutants; the processes that tests start run the mutant, too."""
    environment = {**os.environ, "PYTHONPATH": str(folder / "mutants" / "src")}
    command = [sys.executable, "-m", "mutmut", "run", "--max-children", str(jobs), *names]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"mutmut failed:\n{done.stdout[-4000:]}{done.stderr[-4000:]}")


def exit_codes(folder: Path) -> dict[str, int | None]:
    """Return how the tests ended for each mutant, None where they did not run."""
    found: dict[str, int | None] = {}
    for file in sorted((folder / "mutants").rglob("*.py.meta")):
        found |= json.loads(file.read_text())["exit_code_by_key"]
    return found


def report(folder: Path, chosen: Sequence[str], *, whole: bool) -> int:
    """Print what survived without a reason; return the exit status."""
    codes = exit_codes(folder)
    survived = [mutant(folder, name) for name in chosen if codes[name] in {_SURVIVED, _UNREACHED, None}]
    reasons: dict[tuple[str, str, str], str] = {
        (entry["function"], entry["before"], entry["after"]): entry["reason"] for entry in _read_reasons()
    }
    known = [one for one in survived if one[1:] in reasons]
    wording = [one for one in survived if one not in known and one.is_wording]
    left = [one for one in survived if one not in known and one not in wording]
    for one in left:
        print(f"{one.name} survives:\n  - {one.before}\n  + {one.after}")  # noqa: T201
    stale = reasons.keys() - {one[1:] for one in survived} if whole else set()
    for function, before, after in sorted(stale):
        print(f"survivors.yaml: {function}: {before} -> {after} does not survive any more: take it out")  # noqa: T201
    noticed = len(chosen) - len(survived)
    print(  # noqa: T201
        f"{len(chosen)} mutants of {len(codes)}: {noticed} noticed, {len(known)} with a reason, "
        f"{len(wording)} of the wording of messages, {len(left)} survive"
    )
    per_module = Counter(one.function.rpartition(".")[0] for one in left)
    for module, number in per_module.most_common():
        print(f"  {number:4} {module}")  # noqa: T201
    return 1 if left or stale else 0


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
