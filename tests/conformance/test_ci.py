# SPDX-License-Identifier: Apache-2.0
"""The recipes for continuous integration, run: their shell steps, on the C runtime of examples/c-runtime.

The package is installed by the recipe's own step into a virtual environment, without a network: pip is told by its
environment to take what it depends on from where these tests run.
"""

import configparser
import json
import os
import re
import shlex
import shutil
import site
import subprocess
import sysconfig
import venv
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml

from bpf_isa.adapters.needs import missing_platform
from bpf_isa.conformance.results import document as results
from bpf_isa.conformance.results import expectations
from bpf_isa.conformance.suite.suite import load_suite

ROOT = Path(__file__).resolve().parent.parent.parent
EXAMPLE = ROOT / "examples" / "c-runtime"
SAMPLE = ROOT / "tests" / "conformance" / "data" / "sample.yaml"
ACTION = yaml.safe_load((ROOT / "action.yml").read_text())
GITLAB = yaml.safe_load((ROOT / "ci" / "gitlab.yml").read_text())[".bpf-isa"]
#: The suite takes a minute on this runtime; the recipes are about the way there.
FEW = f"--vectors {SAMPLE}"
OFFLINE = {
    "PIP_NO_INDEX": "1",
    "PIP_NO_DEPS": "1",
    "PIP_NO_BUILD_ISOLATION": "false",  # sets the option that --no-build-isolation sets to false
    "PIP_DISABLE_PIP_VERSION_CHECK": "1",
}

pytestmark = pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler (package gcc)")


class Done(NamedTuple):
    """What the steps of a recipe came to: the last status, what they wrote, and the folder they worked in."""

    status: int
    output: str
    folder: Path


def shell(script: str, folder: Path, environment: dict[str, str], program: str) -> Done:
    done = subprocess.run(
        [*shlex.split(program), "-c", script],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=300,
    )
    return Done(done.returncode, done.stdout, folder)


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment in which the action's own step has installed the package."""
    folder = tmp_path_factory.mktemp("ci")
    source, there = folder / "action", folder / "venv"
    source.mkdir()
    for file in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / file, source)
    for package in ("spec", "reference_vm", "adapters", "conformance"):
        shutil.copytree(ROOT / package, source / package, ignore=shutil.ignore_patterns("__pycache__"))
    venv.create(there, symlinks=True)
    inside = sysconfig.get_path("purelib", vars={"base": str(there), "platbase": str(there)})
    others = [*site.getsitepackages(), sysconfig.get_path("purelib")]
    Path(inside, "from-the-tests.pth").write_text("".join(f"{path}\n" for path in dict.fromkeys(others)))
    prepared = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "PIP", "PYTEST"))},
        **OFFLINE,
        "PATH": f"{there / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "COLUMNS": "100",
    }
    (install,) = [step for step in ACTION["runs"]["steps"] if step["name"] == "Install"]
    done = shell(install["run"], folder, {**prepared, "PACKAGE": "", "ACTION": str(source)}, "bash -e -o pipefail")
    assert done.status == 0, done.output
    assert (there / "bin" / "bpf-isa").exists()
    return prepared


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The example as a project of its own. Its expectations are about the suite, and not about a few vectors."""
    folder = tmp_path / "project"
    shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns("build"))
    (folder / "expectations.yaml").write_text("runtime: mine\nexpectations: []\n")
    return folder


def broken(project: Path) -> None:
    """Give the runtime a bug that the vectors find: additions are subtractions."""
    file = project / "bpf.c"
    text = file.read_text()
    assert text.count("case ADD: result = a + b;") == 1
    file.write_text(text.replace("case ADD: result = a + b;", "case ADD: result = a - b;"))


# GitHub


def github(project: Path, environment: dict[str, str], *only: str, **inputs: str) -> Done:
    """Do what GitHub does with the action, or some of its steps, after a workflow has built the runtime."""
    values = {name: item.get("default", "") for name, item in ACTION["inputs"].items()}
    values |= {name.replace("_", "-"): value for name, value in inputs.items()}
    assert values.keys() == ACTION["inputs"].keys()
    summary = project / "summary.md"
    summary.touch()

    def value(expression: re.Match[str]) -> str:
        kind, _, name = expression[1].partition(".")
        assert kind == "inputs", expression[0]
        return str(values[name])

    output = ""
    for step in ACTION["runs"]["steps"]:
        assert set(step) <= {"name", "if", "uses", "with", "shell", "env", "run"}
        if "uses" in step or step["name"] == "Install" or (only and step["name"] not in only):
            continue
        given = {name: re.sub(r"\$\{\{ (\S+) \}\}", value, text) for name, text in step.get("env", {}).items()}
        assert "${{" not in step["run"]  # values come through the environment, so that none is taken for code
        assert step["shell"] == "bash"
        done = shell(
            step["run"],
            project,
            {**environment, **given, "GITHUB_STEP_SUMMARY": str(summary)},
            "bash --noprofile --norc -e -o pipefail",
        )
        output += done.output
        if done.status:
            return Done(done.status, output, project)
    return Done(0, output, project)


def build(project: Path, environment: dict[str, str]) -> None:
    workflow = yaml.safe_load((EXAMPLE / ".github/workflows/conformance.yml").read_text())
    steps = workflow["jobs"]["conformance"]["steps"]
    commands = [step["run"] for step in steps if "run" in step]
    done = shell("\n".join(commands), project, environment, "bash -e -o pipefail")
    assert done.status == 0, done.output


def inputs_of_the_example() -> dict[str, str]:
    workflow = yaml.safe_load((EXAMPLE / ".github/workflows/conformance.yml").read_text())
    (step,) = [step for step in workflow["jobs"]["conformance"]["steps"] if "with" in step]
    given: dict[str, str] = step["with"]
    return given


def test_the_action_passes_a_good_runtime(project: Path, environment: dict[str, str]) -> None:
    build(project, environment)
    inputs = {**inputs_of_the_example(), "require": "base64,divmul64,atomic64"}
    done = github(project, environment, **inputs, run_args=FEW)
    assert done.status == 0, done.output
    assert "the gate is open for mine" in done.output
    report = project / "bpf-isa-report"
    data = results.read(report / "results.json")
    assert [(one["name"], one["counts"]["fail"]) for one in data["runtimes"]] == [("mine", 0)]
    assert (report / "html" / "index.html").exists() and (report / "junit.xml").exists()
    assert list((report / "badges").glob("**/*.svg"))
    summary = (project / "summary.md").read_text()
    assert summary.startswith("## BPF conformance (RFC 9669)") and "| **mine**" in summary


def test_the_action_stops_a_bad_runtime_and_keeps_the_report(project: Path, environment: dict[str, str]) -> None:
    broken(project)
    build(project, environment)
    done = github(project, environment, **inputs_of_the_example(), run_args=FEW)
    assert done.status == 1
    assert "new failure: mine: add64-x/carries" in done.output
    assert (project / "bpf-isa-report" / "html" / "index.html").exists()
    assert (project / "summary.md").read_text()
    # What is known is let through.
    expect = "bpf-isa expect bpf-isa-report/results.json --update expectations.yaml"
    assert shell(expect, project, environment, "sh -e").status == 0
    done = github(project, environment, "Gate", **{**inputs_of_the_example(), "require": ""})
    assert done.status == 0, done.output


def test_several_runtimes_and_arguments_in_quotes(project: Path, environment: dict[str, str]) -> None:
    build(project, environment)
    runtimes = "mine\n\nother=plugin:./build/plugin\n"
    arguments = f"{FEW} -k 'add64-x or smod64'"
    done = github(project, environment, "Run", runtimes=runtimes, run_args=arguments, report="here")
    assert done.status == 0, done.output
    data = results.read(project / "here" / "results.json")
    assert [one["name"] for one in data["runtimes"]] == ["mine", "other"]
    assert data["selection"]["expression"] == "add64-x or smod64"


def test_a_mistake_in_the_workflow_is_an_error_of_the_run(project: Path, environment: dict[str, str]) -> None:
    done = github(project, environment, runtimes="mien", run_args=FEW)
    assert done.status == 2
    assert "did you mean 'mine'?" in done.output
    done = github(project, environment, runtimes="mine", run_args=FEW)  # it was not built
    assert done.status == 2
    assert "mine was not run: " in done.output and "build it" in done.output


def test_the_action_uses_all_its_inputs() -> None:
    text = (ROOT / "action.yml").read_text().partition("\nruns:\n")[2]
    assert {name for name in ACTION["inputs"] if f"inputs.{name}" not in text} == set()
    assert set(inputs_of_the_example()) <= ACTION["inputs"].keys()


def test_what_cannot_be_run_here_is_small_and_pinned() -> None:
    """Steps of other actions: which they are, and that the report is kept before the gate shuts."""
    example = yaml.safe_load((EXAMPLE / ".github/workflows/conformance.yml").read_text())
    ours = "OWNER/bpf-isa@v0.1.0"
    used = [step["uses"] for step in ACTION["runs"]["steps"] if "uses" in step]
    assert used == ["actions/setup-python@v5", "actions/upload-artifact@v4"]
    assert [step["uses"] for step in example["jobs"]["conformance"]["steps"] if "uses" in step] == [
        "actions/checkout@v4",
        ours,
    ]
    assert ours in (ROOT / "docs" / "ci.md").read_text()
    names = [step["name"] for step in ACTION["runs"]["steps"]]
    assert names.index("Report") < names.index("Upload") < names.index("Gate") == len(names) - 1


# GitLab


def gitlab(project: Path, environment: dict[str, str], **variables: str) -> Done:
    """Do what GitLab does with the example's job, in the plain shell that it uses where an image has no other."""
    job = yaml.safe_load((EXAMPLE / ".gitlab-ci.yml").read_text())["conformance"]
    assert job["extends"] == ".bpf-isa"
    given = {**GITLAB["variables"], **job["variables"], **variables}
    script = "\n".join([*GITLAB["before_script"], *GITLAB["script"]])
    return shell(script, project, {**environment, **given}, "sh -e")


def test_the_gitlab_job_passes_a_good_runtime(project: Path, environment: dict[str, str]) -> None:
    done = gitlab(project, environment, BPF_ISA_RUN_ARGS=FEW, BPF_ISA_REQUIRE="base64,atomic64")
    assert done.status == 0, done.output
    assert "the gate is open for mine" in done.output
    for path in ("junit.xml", "results.json", "html/index.html"):
        assert (project / "bpf-isa-report" / path).exists()


def test_the_gitlab_job_stops_a_bad_runtime_and_keeps_the_report(project: Path, environment: dict[str, str]) -> None:
    broken(project)
    done = gitlab(project, environment, BPF_ISA_RUN_ARGS=FEW)
    assert done.status == 1
    assert "new failure: mine: add64-x/carries" in done.output
    assert (project / "bpf-isa-report" / "html" / "index.html").exists()
    assert GITLAB["artifacts"]["when"] == "always"


def test_gitlab_variables_can_name_several_runtimes(project: Path, environment: dict[str, str]) -> None:
    two = "mine\nother=plugin:./build/plugin"
    done = gitlab(project, environment, BPF_ISA_RUN_ARGS=FEW, BPF_ISA_RUNTIMES=two, BPF_ISA_REQUIRE="")
    assert done.status == 0, done.output
    assert "the gate is open for mine, other" in done.output


# tox


def tox(project: Path, environment: dict[str, str], *posargs: str) -> Done:
    """Do what tox does with the commands of the example's environment."""
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(EXAMPLE / "tox.ini")
    section = parser["testenv:conformance"]
    assert section["deps"] == "bpf-isa-conformance"
    output = ""
    for line in f"{section['commands_pre']}\n{section['commands']}".strip().splitlines():
        command = line.strip().replace("{posargs}", shlex.join(posargs))
        done = shell(command.removeprefix("- "), project, environment, "sh -e")
        output += done.output
        if done.status and not command.startswith("- "):
            return Done(done.status, output, project)
    return Done(0, output, project)


def test_the_tox_environment_passes_a_good_runtime(project: Path, environment: dict[str, str]) -> None:
    vectors = [
        str(path)
        for name in ("atomic", "base32", "divmul")
        for path in (ROOT / "conformance/vectors/groups").glob(f"{name}*")
    ]
    arguments = [part for path in vectors for part in ("--vectors", path)]
    done = tox(project, environment, *arguments)
    assert done.status == 0, done.output
    assert "the gate is open for mine" in done.output
    assert (project / "build" / "report" / "index.html").exists()


def test_the_tox_environment_stops_a_bad_runtime(project: Path, environment: dict[str, str]) -> None:
    broken(project)
    done = tox(project, environment, *shlex.split(FEW))
    assert done.status == 1
    assert "new failure: mine: add64-x/carries" in done.output


# The example


def test_the_commands_of_the_readme(project: Path, environment: dict[str, str]) -> None:
    (block,) = re.findall(r"```sh\n(.*?)```", (EXAMPLE / "README.md").read_text(), re.DOTALL)
    script = block.replace("bpf-isa run", f"bpf-isa run {FEW}").replace("base32,", "")
    done = shell(script, project, environment, "bash -e")
    assert done.status == 0, done.output
    assert "10 pass" in done.output and "the gate is open for mine" in done.output


def test_the_files_that_the_readme_names_are_there() -> None:
    named = re.findall(r"^\| `(\S+)` \|", (EXAMPLE / "README.md").read_text(), re.MULTILINE)
    assert len(named) > 3
    assert [name for name in named if not (EXAMPLE / name).exists()] == []


def test_what_the_example_expects_is_so() -> None:
    """All vectors that its patterns match, and there are some, want what the plugin protocol does not have."""
    file = expectations.load(EXAMPLE / "expectations.yaml")
    (known,) = file.known
    vectors = load_suite().vectors
    for pattern in known.patterns:
        one = expectations.Known((pattern,), known.verdict, known.reason)
        matched = [vector for vector in vectors if one.matches(vector.id)]
        assert matched, pattern
        assert [vector.id for vector in matched if not missing_platform(vector.job("little"))] == []


def test_the_c_runtime_has_what_it_claims(project: Path, environment: dict[str, str]) -> None:
    # Those that are written by hand decide nearly all; the rest would take four times as long.
    vectors = " ".join(
        f"--vectors {path}" for path in (ROOT / "conformance" / "vectors").iterdir() if path.stem != "generated"
    )
    done = shell(f"make >&2 && bpf-isa groups -r mine {vectors} --json -", project, environment, "bash -e")
    found = json.loads(done.output[done.output.index("{") :])
    assert (done.status, found["disproved"]) == (0, [])
    assert {name for name, group in found["groups"].items() if group["support"] == "yes"} == set(found["groups"]) - {
        "packet"
    }


def test_the_c_runtime_compiles_without_warnings_and_runs_without_undefined_behaviour(
    project: Path, environment: dict[str, str]
) -> None:
    flags = "-O1 -g -Wall -Wextra -Wpedantic -Werror -fsanitize=undefined -fno-sanitize-recover=all"
    build = shell(f"make CFLAGS='{flags}'", project, environment, "bash -e")
    assert build.status == 0, build.output
    groups = ROOT / "conformance" / "vectors"
    chosen = " ".join(f"--vectors {groups / name}" for name in ("groups", "division.yaml", "movsx.yaml"))
    done = shell(f"bpf-isa run -q -r mine {chosen}", project, environment, "bash -e")
    assert done.status == 0, done.output
