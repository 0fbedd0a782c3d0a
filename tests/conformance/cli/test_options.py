# SPDX-License-Identifier: Apache-2.0
"""The conventions that options of all commands keep, and what their help texts name."""

import ast
import re
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

import bpf_isa.conformance
from bpf_isa.adapters.registry import separate
from bpf_isa.conformance.cli import COMMANDS, main, options
from bpf_isa.conformance.cli.echo import echo
from bpf_isa.conformance.cli.options import FILE, Several, by_commas, paths

#: What is installed: the folders of the packages.
PACKAGES = Path(bpf_isa.conformance.__file__).parent.parent
FOLDERS = ("spec", "reference_vm", "adapters", "conformance")
#: Commands that say nothing that a machine could want, or have another form for it.
WITHOUT_JSON = {"expect", "export", "fmt", "generate", "kernel", "plugin", "report"}


def command(name: str) -> click.Command:
    found = main.get_command(click.Context(main), name)
    assert found is not None
    return found


def all_options() -> list[tuple[str, click.Option]]:
    return [(name, param) for name in COMMANDS for param in command(name).params if isinstance(param, click.Option)]


# Lists


def test_every_option_that_can_be_repeated_takes_commas_and_says_so() -> None:
    lists = [(name, option) for name, option in all_options() if option.multiple]
    assert len(lists) > 20
    assert [(name, option.name) for name, option in lists if not isinstance(option.type, Several)] == []
    assert [(name, option.name) for name, option in lists if not str(option.metavar).endswith(",...")] == []


def test_no_help_text_says_in_its_own_words_that_an_option_can_be_repeated() -> None:
    told = [(name, option.name) for name, option in all_options() if "repeat" in (option.help or "")]
    assert told == []


@click.command
@options.groups_option("--group", "groups")
@options.listing("--size", "sizes", metavar="N", element=click.IntRange(1))
@options.paths_option("--file", "files")
@options.runtimes_option("-r", "names")
def lists(groups: tuple[str, ...], sizes: tuple[int, ...], files: tuple[Path, ...], names: tuple[str, ...]) -> None:
    echo(repr((groups, sizes, tuple(map(str, files)), names)))


@pytest.mark.parametrize(
    ("arguments", "values"),
    [
        ("", ((), (), (), ())),
        ("--group a,b --group c", (("a", "b", "c"), (), (), ())),
        ("--size 1,20 --size 3", ((), (1, 20, 3), (), ())),
        ("--file here/a,b --file c", ((), (), ("here/a", "b", "c"), ())),
        ("-r jit,x=linux -r plugin:./p:--a,b", ((), (), (), ("jit", "x=linux", "plugin:./p:--a,b"))),
    ],
)
def test_lists(arguments: str, values: tuple[tuple[object, ...], ...]) -> None:
    done = CliRunner().invoke(lists, arguments.split())
    assert (done.exit_code, done.output) == (0, f"{values!r}\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--group", "a,,b"], "'a,,b' has an empty entry: a list is written as in a,b"),
        (["--group", ""], "'' has an empty entry"),
        (["--file", "a,"], "'a,' has an empty entry"),
        (["--size", "1,0"], "0 is not in the range"),
        (["--size", "1 2"], "'1 2' is not a valid integer range"),
    ],
)
def test_lists_that_are_none(arguments: list[str], message: str) -> None:
    done = CliRunner().invoke(lists, arguments)
    assert done.exit_code == 2
    assert message in done.stderr


def test_blanks_beside_commas_do_not_matter() -> None:
    assert by_commas("a, b ,c") == ["a", "b", "c"]


def test_a_path_that_exists_with_its_commas_is_one(tmp_path: Path) -> None:
    file = tmp_path / "a,b"
    assert paths(str(file)) == [str(tmp_path / "a"), "b"]
    file.touch()
    assert paths(str(file)) == [str(file)]


@pytest.mark.parametrize(
    ("text", "runtimes"),
    [
        ("linux", ["linux"]),
        ("linux, jit:big,x=reference", ["linux", "jit:big", "x=reference"]),
        ("linux,batch:./rt --cpu=v3,v4", ["linux", "batch:./rt --cpu=v3,v4"]),
        ("x=plugin:./a,b", ["x=plugin:./a,b"]),
        ("python:m:A,miniature:wrong", ["python:m:A", "miniature:wrong"]),
        ("plugin,jit", ["plugin", "jit"]),
        ("jit,", ["jit", ""]),
        ("", [""]),
    ],
)
def test_the_argument_of_a_command_reaches_to_the_end(text: str, runtimes: list[str]) -> None:
    assert separate(text) == runtimes


# --json, sections


def test_json_is_a_file_in_every_command_that_has_it_and_no_command_is_forgotten() -> None:
    found = {name: option for name, option in all_options() if "--json" in option.opts}
    assert found.keys() == COMMANDS.keys() - WITHOUT_JSON
    for option in found.values():
        assert (option.name, option.type, option.is_flag, option.metavar) == ("json_file", FILE, False, "FILE")


def test_a_section_is_one_of_the_rfc_and_that_of_an_object_is_called_so() -> None:
    assert {name for name, option in all_options() if "--section" in option.opts} == {"run"}
    assert {name for name, option in all_options() if "--elf-section" in option.opts} == {"exec", "disasm", "verify"}


# Files that texts name


def paths_in(text: str) -> list[str]:
    """What looks like the path of a file of a project: a folder and something in it, or a name with a suffix."""
    return [
        word.rstrip(".,:;)")
        for word in re.findall(r"[\w.~*<>-]+(?:/[\w.~*<>-]+)+|\b[\w-]+\.(?:md|yaml|py|toml|lark|ini|yml)\b", text)
        if not re.fullmatch(r"\w+(/\w+)?", word) or word.split("/")[0] in {*FOLDERS, "docs", "tests", "examples"}
    ]


def is_installed(path: str) -> bool:
    return any((PACKAGES / folder / path).exists() for folder in ("", *FOLDERS))


def is_theirs(path: str) -> bool:
    """Whether a path is an example of what users have."""
    return path.startswith("./") or path in {"pyproject.toml", "bpf-isa.toml"}


def test_paths_are_found_in_texts() -> None:
    assert paths_in("see docs/ci.md, spec/isa.yaml (all forms) and/or vectors.md") == [
        "docs/ci.md",
        "spec/isa.yaml",
        "vectors.md",
    ]


@pytest.mark.parametrize("name", ["", *COMMANDS])
def test_help_names_no_file_that_is_not_installed(name: str) -> None:
    done = CliRunner().invoke(main, [*([name] if name else []), "--help"], terminal_width=1000)
    assert done.exit_code == 0
    named = set(paths_in(done.output))
    assert [path for path in named if not is_theirs(path) and not is_installed(path)] == []


def test_no_message_refers_to_the_documentation_of_the_checkout() -> None:
    """Texts in the code but for docstrings, which only readers of the code see."""
    found = []
    for folder in FOLDERS:
        for file in sorted((PACKAGES / folder).rglob("*.py")):
            tree = ast.parse(file.read_text(encoding="utf-8"))
            described = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
            found += [
                f"{file.name}:{node.lineno}: {node.value}"
                for node in ast.walk(tree)
                if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in described
                if re.search(r"\b(docs|tests|examples)/\w", node.value)
            ]
    assert found == []
