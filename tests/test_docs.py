# SPDX-License-Identifier: Apache-2.0
"""What the documentation says about the commands is so: commands, options, files, exit statuses."""

import json
import re
import shlex
from pathlib import Path

import click
import pytest

from bpf_isa.conformance.cli import COMMANDS, main
from bpf_isa.conformance.cli.failing import CLOSED, FAILED, INTERRUPTED, OK, UNUSABLE
from bpf_isa.conformance.pytest_plugin import Hooks
from bpf_isa.conformance.results import expectations
from bpf_isa.conformance.results.gate import Kind
from bpf_isa.conformance.run.verdict import Failure

pytest_plugins = ["pytester"]

ROOT = Path(__file__).resolve().parent.parent
PAGES = [*sorted((ROOT / "docs").glob("*.md")), ROOT / "README.md", ROOT / "examples" / "c-runtime" / "README.md"]
EXPECTATIONS = (ROOT / "docs" / "expectations.md").read_text()
CI = (ROOT / "docs" / "ci.md").read_text()
COMMAND_LINE = (ROOT / "docs" / "command-line.md").read_text()


def commands(page: Path) -> list[str]:
    blocks = re.findall(r"^```sh\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    return [part for line in lines for part in re.split(" && | [|] ", line) if part.startswith("bpf-isa ")]


@pytest.mark.parametrize(
    ("page", "line"), [(page, line) for page in PAGES for line in commands(page)], ids=lambda value: Path(value).name
)
def test_commands_in_the_documentation_exist_with_their_options(page: Path, line: str) -> None:
    words = shlex.split(line, comments=True)
    assert words[1] in COMMANDS, page
    known = options_of(words[1]) | {"--help"}
    if words[1] == "kernel":  # some of whose commands hand on what they do not know
        known |= options_of("run")
    options = [word.partition("=")[0] for word in words[2:] if re.match(r"--?[a-z]", word)]
    assert [option for option in options if option not in known] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_pages_link_to_what_is_there(page: Path) -> None:
    links = [link for link in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text()) if "://" not in link]
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_the_example_of_an_expectation_file_is_one(tmp_path: Path) -> None:
    (block,) = re.findall(r"^```yaml\n(.*?)^```", EXPECTATIONS, re.MULTILINE | re.DOTALL)
    file = tmp_path / "example.yaml"
    file.write_text(block)
    first, second = expectations.load(file).known
    assert (first.failure, second.verdict) == ("wrong-result", "unsupported")


def test_the_tables_of_the_gate_are_complete() -> None:
    keys = re.findall(r"^\| `([\w -]+)` \|", EXPECTATIONS, re.MULTILINE)
    fields = {"runtime", "vectors"} | (set(expectations.Known.__dataclass_fields__) - {"patterns", "line"})
    assert set(keys) == fields | {kind.value for kind in Kind}
    assert all(f"`{failure.value}`" in EXPECTATIONS for failure in Failure)


def test_the_exit_statuses_are_those_of_the_code() -> None:
    statuses = [int(status) for status in re.findall(r"^\| (\d+) \|", COMMAND_LINE, re.MULTILINE)]
    assert statuses == [OK, FAILED, UNUSABLE, INTERRUPTED, CLOSED]


def test_the_exit_statuses_of_all_commands_are_told() -> None:
    table = COMMAND_LINE.partition("| command | 0 | 1 |")[2].partition("## Completion")[0]
    assert {name for name in COMMANDS if not re.search(rf"`{name}\b", table)} == set()


def test_the_table_of_json_documents_is_complete() -> None:
    """Each command with `--json`, the schema it follows, and keys that the schema has."""
    rows = re.findall(r"^\| `(\w+)` \| (.*) \| (.*) \|$", COMMAND_LINE.partition("## JSON")[2], re.MULTILINE)
    documents = {name: (told, schema) for name, told, schema in rows if "schema" in schema or schema == "the same"}
    context = click.Context(main)
    with_json = {
        name
        for name in COMMANDS
        if (command := main.get_command(context, name)) and any("--json" in param.opts for param in command.params)
    }
    assert documents.keys() == with_json
    folder = ROOT / "conformance" / "schema"
    assert [
        schema for _, schema in documents.values() if "." in schema and not (folder / schema.strip("`")).exists()
    ] == []
    definitions = json.loads((folder / "commands.schema.json").read_text())["definitions"]
    for name in documents.keys() & definitions.keys():
        keys = set(definitions[name]["properties"]) - {"format", "version"}
        assert [key for key in keys if f"`{key}`" not in documents[name][0]] == [], name


def test_options_of_the_command_line_page_exist() -> None:
    known = {option for name in COMMANDS for option in options_of(name)}
    named = set(re.findall(r"(?<![\w-])--[a-z][\w-]*", COMMAND_LINE.replace("'./runtime --cpus=v3,v4'", "")))
    assert named - known == {"--help"}
    lines = set(re.findall(r"`([^`]*_BPF_ISA_COMPLETE[^`]*)`", COMMAND_LINE.replace("\\|", "|")))
    told = {line.strip().split(maxsplit=1)[-1] for line in (main.epilog or "").splitlines() if "_COMPLETE" in line}
    assert lines == told


def options_of(name: str) -> set[str]:
    command = main.get_command(click.Context(main), name)
    assert command is not None
    commands = [command, *command.commands.values()] if isinstance(command, click.Group) else [command]
    return {option for one in commands for parameter in one.params for option in parameter.opts}


def test_the_options_and_hooks_of_the_pytest_plugin_exist(pytester: pytest.Pytester) -> None:
    help_text = pytester.runpytest_inprocess("--help").stdout.str()
    named = set(re.findall(r"--bpf-[\w-]+|\bbpf_[a-z]+(?= =)", CI))
    assert len(named) > 5
    assert [name for name in named if name not in help_text] == []
    assert set(re.findall(r"pytest_bpf_\w+", CI)) == {name for name in vars(Hooks) if name.startswith("pytest_")}
