# SPDX-License-Identifier: Apache-2.0
"""DPDK's BPF library, librte_bpf, through ctypes: its interpreter and its JIT, each in a separate process.

DPDK's environment (``rte_eal_init``) is not needed to load and run programs.
"""
