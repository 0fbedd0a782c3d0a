# SPDX-License-Identifier: Apache-2.0
"""The running Linux kernel as a runtime, through the bpf(2) system call."""
