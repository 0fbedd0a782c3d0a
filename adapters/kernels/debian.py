# SPDX-License-Identifier: Apache-2.0
"""Finds and fetches the kernels that Debian builds, for any architecture, from the mirror that this machine uses.

Nothing of this machine's packages is changed: apt gets a state of its own for each architecture and suite. What was
fetched is kept in the user's cache folder. No version is named here: suites have packages that depend on their kernel.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path
from time import time
from typing import NamedTuple

from platformdirs import user_cache_path

from ...spec.output import write_json
from ..protocol import Unavailable
from .architectures import Architecture

#: Suites, the oldest first. Which of them a mirror has for an architecture is found out.
SUITES = ("bullseye", "bookworm", "bookworm-backports", "trixie", "trixie-backports", "sid", "experimental")
_HELPER = "/usr/lib/apt/apt-helper"
_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
#: Seconds for which an index is taken for current.
_FRESH = 86400
#: A package of the kernel: its image or what that depends on.
_PART = re.compile(r"linux-(image|binary|base)-")
_IMAGE = re.compile(r"vmlinu[xz](-.*)?")
_CONFIGURATION = re.compile(r"config(-.*)?")


class Kernel(NamedTuple):
    """A kernel of ``suite``: its release, and address and SHA-256 of the packages with image and configuration."""

    architecture: str
    suite: str
    release: str
    packages: tuple[tuple[str, str], ...]


class Files(NamedTuple):
    """A kernel on disk: the image, and its configuration if that was found."""

    image: Path
    configuration: Path | None


def find(architecture: Architecture, suite: str, *, fresh: float = _FRESH) -> Kernel | None:
    """Return the kernel that ``suite`` has for ``architecture``; None if it has none.

    Args:
        architecture: of the kernel.
        suite: one of :data:`SUITES`, or another that the mirror has.
        fresh: seconds for which what was found is not looked up again.

    Raises:
        Unavailable: the mirror cannot be asked, or has no such suite.
    """
    kept = _folder("indexes") / f"{architecture.name}-{suite}.json"
    with suppress(OSError, ValueError):
        if kept.stat().st_mtime > time() - fresh:
            found = json.loads(kept.read_text())
            return None if found is None else Kernel(**found | {"packages": tuple(map(tuple, found["packages"]))})
    kernel = newest(architecture, suite, _index(architecture, suite))
    write_json(None if kernel is None else kernel._asdict(), kept)
    return kernel


def fetch(architecture: Architecture, suite: str) -> tuple[Kernel, Files]:
    """Return the kernel that ``suite`` has for ``architecture``, fetched if it is not at hand.

    Raises:
        Unavailable: there is none, or it cannot be fetched.
    """
    why = ""
    # An index goes stale while a suite changes: then what it names is not there any more.
    for fresh in (_FRESH, 0):
        kernel = find(architecture, suite, fresh=fresh)
        if kernel is None:
            raise Unavailable(f"Debian's {suite} has no kernel for {architecture.name}: bpf-isa kernel list")
        folder = _folder("kernels") / f"{architecture.name}-{kernel.release}"
        try:
            return kernel, at_hand(folder) or _unpacked(kernel, folder)
        except _Gone as error:
            why = f"the kernel {kernel.release} cannot be fetched: {error}"
    raise Unavailable(why)


def fetch_any(architecture: Architecture, name: str) -> Files:
    """Return the kernel of the suite ``name``, or the newest whose release begins with ``name``.

    Raises:
        Unavailable: there is none, or it cannot be fetched.
    """
    if not name[:1].isdigit():
        return fetch(architecture, name)[1]
    missing = ""
    for suite in reversed(SUITES):
        try:
            kernel = find(architecture, suite)
        except Unavailable as error:
            missing = f"; {error}"
            continue
        if kernel is not None and re.match(rf"{re.escape(name)}(?!\d)", kernel.release):
            return fetch(architecture, suite)[1]
    raise Unavailable(f"no suite has Linux {name} for {architecture.name}: bpf-isa kernel list{missing}")


def at_hand(folder: Path) -> Files | None:
    """Return the kernel that is kept in ``folder``, None if there is none."""
    images = [file for file in folder.glob("*") if _IMAGE.fullmatch(file.name)]
    configurations = [file for file in folder.glob("*") if _CONFIGURATION.fullmatch(file.name)]
    return Files(images[0], configurations[0] if configurations else None) if images else None


def kept() -> list[Path]:
    """Return the folders of the kernels that are at hand."""
    return sorted(path for path in _folder("kernels").iterdir() if at_hand(path))


class _Gone(Exception):
    """A package that could not be fetched."""


def _folder(name: str) -> Path:
    path = user_cache_path("bpf-isa") / "kernels" / name
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path


def _run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        raise Unavailable(
            f"kernels are fetched by Debian's apt, and {command[0]} is not here ({error.strerror}): "
            "name an image of your own, as in linux-vm:ARCH,image=./Image"
        ) from None


def _mirror() -> str:
    """Return the address of this machine's mirror of Debian.

    Raises:
        Unavailable: it has none.
    """
    targets = _run("apt-get", "indextargets", "--format", "$(REPO_URI)|$(ORIGIN)|$(RELEASE)", "Created-By: Packages")
    for line in targets.stdout.splitlines():
        address, origin, release = line.split("|")
        if origin == "Debian" and "security" not in f"{address} {release}":
            return address
    raise Unavailable("this machine's apt knows no mirror of Debian, or was never updated: apt-get update")


def _index(architecture: Architecture, suite: str) -> dict[str, dict[str, str]]:
    """Return the packages of a suite that belong to kernels, by name."""
    mirror = _mirror()
    with tempfile.TemporaryDirectory(prefix="bpf-isa-apt.") as name:
        folder = Path(name)
        folder.chmod(0o755)  # apt gives up its privileges to download
        for part in ("lists/partial", "cache/archives/partial"):
            (folder / part).mkdir(parents=True)
        signed = f"[signed-by={_KEYRING}] " if _KEYRING.exists() else ""
        (folder / "sources.list").write_text(f"deb {signed}{mirror} {suite} main\n")
        settings = {
            "APT::Architecture": architecture.debian,
            "APT::Architectures": architecture.debian,
            "Dir::State": folder,
            "Dir::State::Lists": folder / "lists",
            "Dir::State::status": "/dev/null",
            "Dir::Cache": folder / "cache",
            "Dir::Etc::SourceList": folder / "sources.list",
            "Dir::Etc::SourceParts": "/nonexistent",
            "Acquire::Languages": "none",
        }
        options = [word for key, value in settings.items() for word in ("-o", f"{key}={value}")]
        done = _run("apt-get", *options, "update")
        if done.returncode:
            said = next((line for line in done.stderr.splitlines() if line.startswith("E:")), "E: it failed").strip()
            raise Unavailable(f"apt cannot look up {suite} for {architecture.name}: {said}")
        lists = [file for file in (folder / "lists").iterdir() if "_Packages" in file.name]
        text = "".join(_run(_HELPER, "cat-file", file).stdout for file in lists)
    return {fields["Package"]: fields | {"Mirror": mirror} for fields in stanzas(text)}


def stanzas(text: str) -> list[dict[str, str]]:
    """Return the fields of the packages of kernels."""
    found = re.findall(r"^Package: linux-(?:image|binary|base)\b.*?(?=^$|\Z)", text, re.MULTILINE | re.DOTALL)
    return [dict(re.findall(r"^([A-Za-z0-9-]+): (.*)$", stanza, re.MULTILINE)) for stanza in found]


def newest(architecture: Architecture, suite: str, packages: dict[str, dict[str, str]]) -> Kernel | None:
    """Return the kernel that the suite's metapackage leads to."""
    start = next((name for name in architecture.metapackages if name in packages), None)
    if start is None:
        return None
    seen: list[str] = []
    pending = [start]
    while pending:
        name = pending.pop()
        if name in packages and name not in seen:
            seen.append(name)
            depends = packages[name].get("Depends", "")
            pending += [other for other in re.findall(r"linux-[a-z0-9.+~-]+", depends) if _PART.match(other)]
    real = [name for name in seen if re.search(r"-\d+\.\d", name)]
    images = [name for name in real if name.startswith("linux-binary-")] or [
        name for name in real if name.startswith("linux-image-")
    ]
    if not images:
        return None
    release = images[0].split("-", 2)[2]
    wanted = [*images, *(name for name in real if name.startswith("linux-base-"))]
    parts = tuple((packages[name]["Mirror"] + packages[name]["Filename"], packages[name]["SHA256"]) for name in wanted)
    return Kernel(architecture.name, suite, release, parts)


def _unpacked(kernel: Kernel, folder: Path) -> Files:
    """Fetch and unpack a kernel, and return its files in ``folder``.

    Raises:
        _Gone: it cannot be fetched.
        Unavailable: there is no image in it.
    """
    with tempfile.TemporaryDirectory(dir=folder.parent) as name:
        for number, (address, checksum) in enumerate(kernel.packages):
            package = Path(name, f"{number}.deb")
            done = _run(_HELPER, "download-file", address, package, f"SHA256:{checksum}")
            if done.returncode:
                raise _Gone((done.stderr.strip().splitlines() or ["apt-helper failed"])[0])
            done = _run("dpkg-deb", "-x", package, Path(name, "files"))
            if done.returncode:
                raise Unavailable(f"{address} cannot be unpacked: {done.stderr.strip()}")
        chosen = Path(name, "chosen")
        chosen.mkdir()
        for file in sorted(Path(name, "files").rglob("*")):
            if file.is_file() and (_IMAGE.fullmatch(file.name) or _CONFIGURATION.fullmatch(file.name)):
                shutil.copyfile(file, chosen / file.name)
        files = at_hand(chosen)
        if files is None:
            raise Unavailable(f"there is no image in the packages of {kernel.release}")
        with suppress(FileNotFoundError):
            shutil.rmtree(folder)
        chosen.rename(folder)
    again = at_hand(folder)
    assert again is not None
    return again
