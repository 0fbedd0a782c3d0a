# SPDX-License-Identifier: Apache-2.0
"""Rules that every file of the checkout obeys, whatever is in it."""

import json
import re
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("spec", "reference_vm", "adapters", "conformance")
OTHER_FOLDERS = ("tests", "benchmarks", "docs", "examples", "ci", ".ci", ".github")

LICENCE_LINE = "SPDX-License-Identifier: Apache-2.0"
CODE_SUFFIXES = {".py", ".c", ".h", ".js", ".sh"}
SOURCE_SUFFIXES = CODE_SUFFIXES | {".yaml", ".yml", ".toml", ".ini", ".lark", ".css", ".html"}
# Vectors and tables may be as long as the instruction set makes them; code may not.
MOST_LINES = 400
# The brackets keep this line from convicting itself.
UNFINISHED = re.compile(r"\b(T[O]DO|F[I]XME|X[X]X|H[A]CK)\b")


def files_below(*folders: str) -> list[Path]:
    return [
        file
        for folder in folders
        for file in sorted((ROOT / folder).rglob("*"))
        if file.is_file() and file.parent.name != "__pycache__"
    ]


def house_files() -> list[Path]:
    top_level = sorted(file for file in ROOT.iterdir() if file.is_file())
    return top_level + files_below(*PACKAGES, *OTHER_FOLDERS)


def relative(files: list[Path]) -> list[str]:
    return [file.relative_to(ROOT).as_posix() for file in files]


def is_script(file: Path) -> bool:
    with file.open("rb") as stream:
        return stream.read(2) == b"#!"


def has_licence_line(file: Path) -> bool:
    opening = file.read_text(encoding="utf-8").splitlines()[: 2 if is_script(file) else 1]
    return any(LICENCE_LINE in line for line in opening)


def test_every_source_file_opens_with_the_licence_line() -> None:
    sources = [file for file in house_files() if file.suffix in SOURCE_SUFFIXES or is_script(file)]
    assert Path(__file__).resolve() in sources
    assert relative([file for file in sources if not has_licence_line(file)]) == []


def test_shipped_data_parses() -> None:
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    broken: dict[str, str] = {}
    for file in files_below(*PACKAGES):
        try:
            if file.suffix == ".json":
                json.loads(file.read_text(encoding="utf-8"))
            elif file.suffix in {".yaml", ".yml"}:
                yaml.load(file.read_text(encoding="utf-8"), Loader=loader)
        except (ValueError, yaml.YAMLError) as error:
            broken[file.relative_to(ROOT).as_posix()] = str(error)
    assert broken == {}


def test_code_files_are_short_enough_to_read() -> None:
    code = [file for file in house_files() if file.suffix in CODE_SUFFIXES]
    assert relative([file for file in code if file.read_bytes().count(b"\n") > MOST_LINES]) == []


def test_nothing_is_left_for_later() -> None:
    marks = [
        f"{file.relative_to(ROOT)}:{number}"
        for file in house_files()
        if file.suffix in SOURCE_SUFFIXES | {".md", ".json"}
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1)
        if UNFINISHED.search(line)
    ]
    assert marks == []


def test_every_path_in_the_readme_exists() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    folders = "|".join(re.escape(folder) for folder in PACKAGES + OTHER_FOLDERS)
    named = set(re.findall(rf"[`(]((?:{folders})/[\w./*-]*)[`)#]", readme))
    assert named, "the README names no file of the checkout"
    assert sorted(name for name in named if not any(ROOT.glob(name))) == []


def test_the_readme_opens_with_the_two_commands() -> None:
    """`.ci/run` runs the README's first two shell blocks as they stand."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```sh\n(.*?)^```$", readme, flags=re.MULTILINE | re.DOTALL)
    assert blocks[:2] == ["pip install . && bpf-isa run\n", "pip install tox && tox\n"]


def test_errors_of_input_have_the_base_class() -> None:
    """Else the command line would not know them, and show a traceback."""
    pattern = re.compile(r"^class \w+Error\((?:ValueError|Exception)\)", re.MULTILINE)
    other = [
        f"{relative([file])[0]}: {found[0]}"
        for file in files_below(*PACKAGES)
        if file.suffix == ".py"
        for found in pattern.finditer(file.read_text(encoding="utf-8"))
    ]
    # The base class, and what is caught by who calls.
    assert sorted(other) == [
        "conformance/pytest_plugin.py: class HarnessError(Exception)",
        "reference_vm/flow.py: class TooComplexError(Exception)",
        "spec/errors.py: class InputError(ValueError)",
    ]
