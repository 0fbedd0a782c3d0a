# SPDX-License-Identifier: Apache-2.0
"""Kernels of any architecture and version as runtimes, in virtual machines.

:mod:`.architectures` is the table of what can be emulated, :mod:`.debian` finds and fetches kernels that Debian builds,
:mod:`.initramfs` writes what a machine starts with, :mod:`.machine` runs QEMU, and :mod:`.adapter` puts these together
with :mod:`adapters.linux <..linux>`, which knows how a vector becomes calls and who makes them.
"""
