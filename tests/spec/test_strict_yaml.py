# SPDX-License-Identifier: Apache-2.0
"""Every way in which the reader of YAML refuses a text, with the place; and what it accepts."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from bpf_isa.spec import strict_yaml
from bpf_isa.spec.strict_yaml import DEEPEST, LARGEST_FILE, YamlError, load, loads

BOMB = "a: &a [x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 8)}]\n" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)

REFUSED = {
    "duplicate key": ("a: 1\nb: 2\na: 3\n", 3, 1, "duplicate key 'a'"),
    "duplicate key in flow": ("{a: 1, a: 2}", 1, 8, "duplicate key 'a'"),
    "duplicate key, quoted": ("a: 1\n'a': 2\n", 2, 1, "duplicate key 'a'"),
    "tab as indent": ("a:\n\tb: 1\n", 2, 1, "a tab"),
    "tab in a value": ("a: 'x\ty'\n", 1, 6, "a tab"),
    "anchor on a scalar": ("a: &x 1\n", 1, 4, "anchors and tags"),
    "anchor on a mapping": ("a: &x {b: 1}\n", 1, 4, "anchors and tags"),
    "anchor on a key": ("&x a: 1\n", 1, 1, "a key must be a plain word"),
    "alias": ("a: [b, *b]\n", 1, 8, "aliases"),
    "billion laughs": (BOMB, 1, 4, "anchors and tags"),
    "tag on a scalar": ("a: !!int '3'\n", 1, 4, "anchors and tags"),
    "tag on a sequence": ("a: !x [1]\n", 1, 4, "anchors and tags"),
    "tag that runs code": ("!!python/object/apply:os.abort []\n", 1, 1, "anchors and tags"),
    "tag on a key": ("!!str a: 1\n", 1, 1, "a key must be a plain word"),
    "tag without a name": ("a: ! no\n", 1, 4, "anchors and tags"),
    "key that is a sequence": ("? [a]\n: 1\n", 1, 3, "a key must be a plain word"),
    "key that is an alias": ("*a : 1\n", 1, 1, "a key must be a plain word"),
    "two documents": ("a: 1\n---\nb: 1\n", 2, 1, "a second document"),
    "integer of 65 bits": ("a: 18446744073709551616\n", 1, 4, "more than 64 bits"),
    "negative integer of 65 bits": ("a: -9223372036854775809\n", 1, 4, "more than 64 bits"),
    "integer of 5000 digits": (f"a: {'1' * 5000}\n", 1, 4, "more than 64 bits"),
    "hex integer of 68 bits": ("- 0x10000000000000000\n", 1, 3, "more than 64 bits"),
    "nested too deeply": ("[" * 100_000, 1, DEEPEST + 2, "nested too deeply"),
    "nested too deeply in mappings": ("{a: " * 100_000, 1, 4 * DEEPEST + 5, "nested too deeply"),
    "nested too deeply by indentation": ("- " * 3000, 1, 2 * DEEPEST + 3, "nested too deeply"),
    "nested too deeply, after characters of several bytes": ("é: " + "[" * 2000, 1, DEEPEST + 4, "nested too deeply"),
    "anchor before too deep a nesting": ("[&x " + "[" * 2000, 1, 2, "anchors and tags"),
    "no YAML": ("a: b: c\n", 1, 5, "not YAML"),
    "unclosed": ("a: [1, 2\n", 2, 1, "not YAML"),
    "control character": ("a: 1\nb: é\x07\n", 2, 5, "not text"),
    "NUL": ("a\x00", 1, 2, "not text"),
    "lone surrogate": ("a: 1\nb: \ud800", 2, 4, "not text"),
}


@pytest.fixture(params=["CSafeLoader", "SafeLoader"])
def parser(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Read with PyYAML's C parser, and as where it was built without that."""
    monkeypatch.setattr(strict_yaml, "_Parser", getattr(yaml, request.param))


@pytest.mark.usefixtures("parser")
@pytest.mark.parametrize(("text", "line", "column", "reason"), REFUSED.values(), ids=REFUSED)
def test_refused(text: str, line: int, column: int, reason: str) -> None:
    with pytest.raises(YamlError, match=reason) as caught:
        loads(text, "some.yaml")
    error = caught.value
    assert (error.file, error.line, error.column) == ("some.yaml", line, column)
    assert str(error) == f"some.yaml:{line}:{column}: {error.message}"


@pytest.mark.parametrize(
    "scalar",
    [
        *("yes", "no", "on", "off", "y", "n", "Yes", "No", "On", "Off", "Y", "N", "YES", "NO", "ON", "OFF"),
        *("True", "False", "TRUE", "FALSE", "Null", "NULL"),
        *("010", "-010", "00", "0o17", "0b11", "-0b1", "1_000", "11_22", "0x1_0", "0X10", "-0x10", "+0xff"),
        *("12:30:45", "1:30", "1:30.5", "2024-01-02", "2024-1-2", "2024-01-02T03:04:05Z"),
        *("4.1", ".5", "1.", "-4.0", "1_0.5", "1e5", "-1E5", "1.5e3", ".inf", "-.inf", ".Inf", ".nan", ".NaN"),
    ],
)
def test_plain_scalars_that_readers_disagree_about_have_to_be_quoted(scalar: str) -> None:
    with pytest.raises(YamlError, match="quote it") as caught:
        loads(f"- fine\n- {scalar}\n")
    assert (caught.value.line, caught.value.column) == (2, 3)
    assert loads(f"- '{scalar}'\n").data == [scalar]
    assert loads(f'- "{scalar}"\n').data == [scalar]


@pytest.mark.usefixtures("parser")
@pytest.mark.parametrize(
    ("text", "data"),
    [
        ("", None),
        ("# nothing\n", None),
        ("a: 0\n", {"a": 0}),
        ("a: -9223372036854775808\n", {"a": -(1 << 63)}),
        ("a: 18446744073709551615\n", {"a": (1 << 64) - 1}),
        ("a: 0xff\n", {"a": 255}),
        ("a: +7\n", {"a": 7}),
        ("a: '7'\n", {"a": "7"}),
        ("a: [true, false, null, ~, '']\n", {"a": [True, False, None, None, ""]}),
        ("no: 1\n010: 2\n", {"no": 1, "010": 2}),
        ("a: |\n  r0 = 1\n  exit\n", {"a": "r0 = 1\nexit\n"}),
        ("a: 'b: #c'  # d\n", {"a": "b: #c"}),
        ("a: 0x\nb: r0\nc: -x\n", {"a": "0x", "b": "r0", "c": "-x"}),
        ("--- {a: []}\n", {"a": []}),
        ("a: 1\r\nb: 2\r\n", {"a": 1, "b": 2}),
    ],
)
def test_accepted(text: str, data: object) -> None:
    assert loads(text).data == data


def test_lines_of_containers() -> None:
    document = loads("a:\n  - {b: 1}\n  - {b: 2}\nc: [3]\n")
    data = document.data
    assert isinstance(data, dict)
    rows = data["a"]
    assert isinstance(rows, list)
    assert [document.line(row) for row in rows] == [2, 3]
    assert document.line(data) == 1
    assert document.line(data["c"]) == 4
    assert document.line("anything else") == 1


def test_files(tmp_path: Path) -> None:
    file = tmp_path / "x.yaml"
    file.write_text("a: 1\n", encoding="utf-8")
    assert load(file).data == {"a": 1}
    assert load(file).name == str(file)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(YamlError, match=r"absent\.yaml:1:1: cannot be read: No such file"):
        load(tmp_path / "absent.yaml")
    with pytest.raises(YamlError, match="cannot be read: Is a directory"):
        load(tmp_path)


def test_binary_file(tmp_path: Path) -> None:
    file = tmp_path / "x.yaml"
    file.write_bytes(b"a: 1\nb: \xff\xfe\n")
    with pytest.raises(YamlError, match=r"not UTF-8 text \(byte 0xff\)") as caught:
        load(file)
    assert caught.value.line == 2


def test_enormous_file(tmp_path: Path) -> None:
    file = tmp_path / "x.yaml"
    with file.open("wb") as stream:
        stream.truncate(LARGEST_FILE + 1)
    for endless in (file, Path("/dev/zero")):
        with pytest.raises(YamlError, match="larger than 64 MiB"):
            load(endless)


@given(st.text())
def test_no_text_raises_anything_else(text: str) -> None:
    try:
        loads(text)
    except YamlError as error:
        assert error.line >= 1
        assert error.column >= 1


@given(
    # The characters that YAML gives a meaning, and those that numbers are made of.
    st.text(st.sampled_from("ace01_+:-,[]{}'\"#&*!|>%@~\n x."))
    | st.text(st.sampled_from("01_+-.eExXobB")).map("- {}".format)
)
def test_what_is_accepted_means_the_same_to_pyyaml(text: str) -> None:
    try:
        data = loads(text).data
    except YamlError:
        return
    compare(data, yaml.load(text, yaml.CBaseLoader), yaml.load(text, yaml.CSafeLoader))


def compare(ours: object, words: object, typed: object) -> None:
    """Compare with what PyYAML reads as words and as typed data; a key is always a word."""
    if isinstance(ours, dict):
        assert isinstance(words, dict) and isinstance(typed, dict)
        assert list(ours) == list(words)
        if len(typed) == len(words):  # 1 and 1.0 are the same key
            for item in zip(ours.values(), words.values(), typed.values(), strict=True):
                compare(*item)
    elif isinstance(ours, list):
        assert isinstance(words, list) and isinstance(typed, list)
        for item in zip(ours, words, typed, strict=True):
            compare(*item)
    else:
        assert ours == typed
        assert type(ours) is type(typed)
        assert not isinstance(ours, str) or ours == words
