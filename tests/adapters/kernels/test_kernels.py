# SPDX-License-Identifier: Apache-2.0
"""Names of kernels, what leads to their packages, and what a machine starts with; nothing is started or fetched."""

from typing import Any

import pytest

from bpf_isa.adapters.kernels.adapter import VirtualMachine
from bpf_isa.adapters.kernels.architectures import ARCHITECTURES
from bpf_isa.adapters.kernels.debian import newest, stanzas
from bpf_isa.adapters.kernels.initramfs import initramfs
from bpf_isa.adapters.linux.guest.build import TARGETS
from bpf_isa.adapters.protocol import Unavailable
from bpf_isa.adapters.registry import SpecError, parse_spec, separate


def test_options_follow_the_architecture() -> None:
    spec = parse_spec("linux-vm:s390x,kernel=6.1,jit=0")
    assert (spec.name, spec.argument) == ("linux-vm:s390x,kernel=6.1,jit=0", "s390x")
    assert spec.options == {"kernel": "6.1", "jit": "0"}
    named = parse_spec("old=linux-vm:arm64,image=./Image")
    assert (named.name, named.options) == ("old", {"image": "./Image"})


def test_in_lists_options_belong_to_the_name_before_them() -> None:
    text = "jit, linux-vm:s390x,kernel=sid,jit=0,old=linux-vm:arm64,linux"
    assert separate(text) == ["jit", "linux-vm:s390x,kernel=sid,jit=0", "old=linux-vm:arm64", "linux"]


@pytest.mark.parametrize("text", ["linux-vm:s390x,cpu=max", "linux-vm:s390x,jit"])
def test_other_options_are_refused(text: str) -> None:
    with pytest.raises(SpecError, match=r"linux-vm takes image=, jit=, kernel=, not '(cpu=max|jit)'"):
        parse_spec(text)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("vax", {}, "no such architecture; known are x86_64, arm64,"),
        ("s390x", {"jit": "2"}, "jit is 0, 1 or harden"),
        ("s390x", {"image": "nowhere/Image"}, "there is no such file"),
        ("s390x", {"image": "/dev/null", "kernel": "sid"}, "not both"),
    ],
)
def test_what_cannot_be_is_said(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(Unavailable, match=message):
        VirtualMachine(name, **options)


def test_there_is_a_guest_for_every_architecture() -> None:
    assert {one.machine for one in ARCHITECTURES.values()} <= TARGETS.keys()


#: As in an index of Debian 12, and in one of 2026.
_OLD = """\
Package: linux-image-686-pae
Version: 6.1.1-1
Depends: linux-image-6.1.0-50-686-pae (= 6.1.1-1)
Filename: pool/meta.deb
SHA256: 00

Package: linux-image-6.1.0-50-686-pae
Depends: kmod, linux-base (>= 4.3~), initramfs-tools (>= 0.120+deb8u2) | linux-initramfs-tool
Filename: pool/image.deb
SHA256: 01

Package: linux-base
Version: 4.9
Filename: pool/base.deb
SHA256: 02
"""
_NEW = """\
Package: linux-base-7.2.13+deb14-amd64
Filename: pool/base.deb
SHA256: 01

Package: linux-base-amd64
Depends: linux-base-7.2.13+deb14-amd64 (= 7.2.13-1)
Filename: pool/x.deb
SHA256: 02

Package: linux-binary-7.2.13+deb14-amd64
Depends: linux-base-7.2.13+deb14-amd64 (= 7.2.13-1)
Filename: pool/binary.deb
SHA256: 03

Package: linux-image-7.2.13+deb14-amd64
Depends: dracut, linux-binary-7.2.13+deb14-amd64 (= 7.2.13-1), linux-modules-7.2.13+deb14-amd64 (= 7.2.13-1)
Filename: pool/image.deb
SHA256: 04

Package: linux-image-amd64
Depends: linux-base-amd64 (= 7.2.13-1), linux-image-7.2.13+deb14-amd64 (= 7.2.13-1)
Filename: pool/meta.deb
SHA256: 05
"""


@pytest.mark.parametrize(
    ("name", "index", "release", "files"),
    [
        ("i386", _OLD, "6.1.0-50-686-pae", [("image", "01")]),
        ("x86_64", _NEW, "7.2.13+deb14-amd64", [("binary", "03"), ("base", "01")]),
    ],
)
def test_the_metapackage_leads_to_image_and_configuration(
    name: str, index: str, release: str, files: list[tuple[str, str]]
) -> None:
    packages = {fields["Package"]: fields | {"Mirror": "m:/"} for fields in stanzas(f"Package: apt\n\n{index}")}
    kernel = newest(ARCHITECTURES[name], "suite", packages)
    assert kernel is not None
    assert kernel.release == release
    assert kernel.packages == tuple((f"m:/pool/{file}.deb", checksum) for file, checksum in files)


def test_a_suite_without_the_architecture_has_no_kernel() -> None:
    assert newest(ARCHITECTURES["s390x"], "suite", {}) is None


def test_the_archive_has_what_the_kernel_looks_for() -> None:
    archive = initramfs(b"guest", b"some jobs")
    names = []
    at = 0
    while at < len(archive):
        assert archive[at : at + 6] == b"070701"
        fields = [int(archive[at + 6 + 8 * number : at + 14 + 8 * number], 16) for number in range(13)]
        length, size = fields[11], fields[6]
        name = archive[at + 110 : at + 109 + length].decode()
        start = (at + 110 + length + 3) // 4 * 4
        names.append((name, oct(fields[1]), tuple(fields[9:11]), archive[start : start + size]))
        at = (start + size + 3) // 4 * 4
    assert names == [
        ("dev", "0o40755", (0, 0), b""),
        ("proc", "0o40755", (0, 0), b""),
        ("sys", "0o40755", (0, 0), b""),
        ("dev/console", "0o20600", (5, 1), b""),
        ("init", "0o100755", (0, 0), b"guest"),
        ("jobs", "0o100600", (0, 0), b"some jobs"),
        ("TRAILER!!!", "0o0", (0, 0), b""),
    ]
