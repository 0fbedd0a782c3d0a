# SPDX-License-Identifier: Apache-2.0
"""How runtimes are named: on the command line, and in a project's own file."""

from pathlib import Path

import pytest

from bpf_isa.adapters.registry import DEFAULT, SpecError, choose, parse_spec

CONFIGURATION = """
[runtimes]
short = "plugin:./p:--jit"

[runtimes.long]
use = "plugin:./build/p"
args = ["--jit", "two words"]
timeout = 2.5
memory = "512 MiB"
contained = false
groups = ["base64"]
byte-order = "big"
environment = {LEVEL = "3"}
empty-memory = true
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that is the current one."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_plugin_with_a_name_and_arguments(folder: Path) -> None:
    spec = parse_spec("ubpf-jit=plugin:./ubpf_plugin:--jit --level=2")
    assert (spec.name, spec.kind, spec.argument) == ("ubpf-jit", "plugin", "./ubpf_plugin:--jit --level=2")
    spec = parse_spec("plugin:./p:--level=2")
    assert (spec.name, spec.argument) == ("plugin:./p:--level=2", "./p:--level=2")


def test_arguments_for_plugins_that_have_none(folder: Path) -> None:
    specs = choose(["plugin:./a", "b=plugin:./b:--own", "reference"], "--jit 'x y'")
    assert [spec.options for spec in specs] == [{"args": ("--jit", "x y")}, {}, {}]
    with pytest.raises(SpecError, match="no plugin without arguments of its own is named"):
        choose(["reference"], "--jit")
    with pytest.raises(SpecError, match="--plugin-args: No closing quotation"):
        choose(["plugin:./a"], "'")


def test_configured_runtimes(folder: Path) -> None:
    (folder / "bpf-isa.toml").write_text(CONFIGURATION)
    inside = folder / "a" / "b"
    inside.mkdir(parents=True)
    short, long, renamed = (parse_spec(text) for text in ("short", "long", "other=short"))
    assert (short.name, short.kind, short.argument, short.options) == (
        "short",
        "plugin",
        "./p:--jit",
        {"folder": folder},
    )
    assert renamed.name == "other"
    assert long.options == {
        "args": ("--jit", "two words"),
        "timeout": 2.5,
        "memory": "512 MiB",
        "contained": False,
        "groups": ("base64",),
        "byte_order": "big",
        "environment": {"LEVEL": "3"},
        "empty_memory": True,
        "folder": folder,
    }
    assert [spec.name for spec in choose([])] == [*DEFAULT, "short", "long"]
    assert long.allowing(9).options["timeout"] == 2.5
    assert short.allowing(9).options["timeout"] == 9


def test_the_file_is_looked_for_upwards_and_the_first_counts(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "pyproject.toml").write_text('[tool.bpf-isa.runtimes]\nouter = "plugin:./p"\n')
    inside = folder / "a" / "b"
    inside.mkdir(parents=True)
    (inside / "pyproject.toml").write_text("[project]\nname = 'has nothing to say about runtimes'\n")
    monkeypatch.chdir(inside)
    assert parse_spec("outer").options == {"folder": folder}
    (inside / "bpf-isa.toml").write_text('[runtimes]\ninner = "plugin:./p"\n')
    assert parse_spec("inner").options == {"folder": inside}
    with pytest.raises(SpecError, match=r"'outer' is no kind of runtime: known are .*inner"):
        parse_spec("outer")


BAD_FILES = {
    "no TOML": ("[runtimes", "bpf-isa.toml: "),
    "unknown table": ("[runtime]", "unknown field 'runtime'; did you mean 'runtimes'?"),
    "unknown key": (
        '[runtimes.a]\nuse = "plugin:p"\ntimeuot = 3',
        "runtimes.a: unknown field 'timeuot'; did you mean 'timeout'?",
    ),
    "nothing to use": ("[runtimes.a]\ntimeout = 3", "runtimes.a: 'use' is missing"),
    "memory": ('[runtimes.a]\nuse = "plugin:p"\nmemory = "1 byte"', 'a text like "512 MiB"'),
    "little memory": ('[runtimes.a]\nuse = "plugin:p"\nmemory = "16 MiB"', "memory: must be at least 64 MiB"),
    "timeout": ('[runtimes.a]\nuse = "plugin:p"\ntimeout = "3"', "a number above 0"),
    "name": ('[runtimes]\n"a b" = "plugin:p"', "a name consists of"),
    "group": (
        '[runtimes.a]\nuse = "plugin:p"\ngroups = ["base128"]',
        "'base128' is no conformance group; known are base32",
    ),
    "name of a kind": ('[runtimes]\nlinux = "plugin:p"', "'linux' is the name of a kind of runtime"),
    "option of another kind": ('[runtimes.a]\nuse = "reference"\ntimeout = 3', "a: reference takes no timeout"),
    "kind": ('[runtimes]\na = "pluggin:p"', "a: use: 'pluggin' is no kind of runtime: did you mean 'plugin'?"),
    "use of another": ('[runtimes]\na = "b"\nb = "linux"', "a: use: 'b' is no kind of runtime: known are reference"),
    "variable": (
        '[runtimes.a]\nuse = "plugin:p"\nenvironment = {"A=B" = "1"}',
        "runtimes.a.environment: a name is not acceptable",
    ),
}


@pytest.mark.parametrize("text,message", BAD_FILES.values(), ids=BAD_FILES)
def test_what_is_wrong_with_a_file_is_said(folder: Path, text: str, message: str) -> None:
    (folder / "bpf-isa.toml").write_text(text)
    with pytest.raises(SpecError) as error:
        parse_spec("a")
    assert message in str(error.value)


def test_somebody_elses_broken_file_is_not_ours_to_judge(folder: Path) -> None:
    (folder / "pyproject.toml").write_text("[broken")
    assert [spec.name for spec in choose([])] == list(DEFAULT)


@pytest.mark.parametrize(
    "text,message",
    [
        ("plugin", "plugin takes PATH or PATH:ARGUMENTS"),
        ("plugin:", "plugin takes PATH or PATH:ARGUMENTS"),
        ("batch", "batch takes COMMAND"),
        ("batch:a 'b", "No closing quotation"),
        ("=plugin:p", "the name before '=' is missing"),
        ("dpdk-jit:x", "dpdk-jit takes no argument"),
    ],
)
def test_what_is_wrong_with_a_name_is_said(folder: Path, text: str, message: str) -> None:
    with pytest.raises(SpecError) as error:
        parse_spec(text)
    assert message in str(error.value)
