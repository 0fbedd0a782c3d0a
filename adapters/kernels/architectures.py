# SPDX-License-Identifier: Apache-2.0
"""The architectures whose kernels can be tested here: how QEMU emulates each, and what Debian calls its kernels."""

from __future__ import annotations

from typing import NamedTuple

from ...spec.encoding import ByteOrder


class Architecture(NamedTuple):
    """An architecture.

    ``name`` is that of runtimes, ``machine`` what ``uname -m`` says there (and the guest is called by), ``debian``
    Debian's name. ``metapackages`` are those that depend on the kernel of a suite, the first one that a suite has is
    taken. ``qemu`` is the program of Debian's ``package``, with ``options`` for a machine that such kernels start on;
    ``bus`` ends the name of the device with virtio ports. ``console`` is the kernel's name for the serial port, and
    ``parameters`` are further ones of the kernel's command line.
    """

    name: str
    machine: str
    byte_order: ByteOrder
    debian: str
    metapackages: tuple[str, ...]
    qemu: str
    package: str
    options: tuple[str, ...]
    console: str
    bus: str = "pci"
    parameters: str = ""


ARCHITECTURES = {
    one.name: one
    for one in (
        Architecture(
            "x86_64", "x86_64", "little", "amd64", ("linux-image-amd64",),
            "qemu-system-x86_64", "qemu-system-x86", ("-cpu", "max"), "ttyS0", parameters="no_timer_check",
        ),
        Architecture(
            "arm64", "aarch64", "little", "arm64", ("linux-image-arm64",),
            "qemu-system-aarch64", "qemu-system-arm", ("-M", "virt", "-cpu", "max,pauth-impdef=on"), "ttyAMA0",
        ),
        Architecture(
            "riscv64", "riscv64", "little", "riscv64", ("linux-image-riscv64",),
            "qemu-system-riscv64", "qemu-system-misc", ("-M", "virt"), "ttyS0",
        ),
        Architecture(
            "ppc64le", "ppc64le", "little", "ppc64el", ("linux-image-powerpc64le",),
            "qemu-system-ppc64", "qemu-system-ppc", ("-M", "pseries"), "hvc0",
        ),
        Architecture(
            "s390x", "s390x", "big", "s390x", ("linux-image-s390x",),
            "qemu-system-s390x", "qemu-system-misc", ("-M", "s390-ccw-virtio", "-cpu", "max"), "ttysclp0", "ccw",
        ),
        Architecture(
            "armhf", "armv7l", "little", "armhf", ("linux-image-armmp-lpae", "linux-image-armmp"),
            "qemu-system-arm", "qemu-system-arm", ("-M", "virt", "-cpu", "cortex-a15"), "ttyAMA0",
        ),
        Architecture(
            "i386", "i686", "little", "i386", ("linux-image-686-pae", "linux-image-686"),
            "qemu-system-i386", "qemu-system-x86", ("-cpu", "max"), "ttyS0", parameters="no_timer_check",
        ),
        Architecture(
            "mips64el", "mips64", "little", "mips64el", ("linux-image-5kc-malta", "linux-image-mips64r2el"),
            "qemu-system-mips64el", "qemu-system-mips", ("-M", "malta", "-cpu", "5KEc"), "ttyS0",
        ),
        Architecture(
            "loong64", "loongarch64", "little", "loong64", ("linux-image-loong64", "linux-image-loongarch64"),
            "qemu-system-loongarch64", "qemu-system-misc", ("-M", "virt", "-cpu", "la464-loongarch-cpu"), "ttyS0",
        ),
    )
}  # fmt: skip
