# SPDX-License-Identifier: Apache-2.0
"""DPDK's BPF library, librte_bpf, through ctypes: its interpreter and its JIT, each in a process that may die.

It is used without DPDK's environment (``rte_eal_init``): loading and running programs needs none of that.
"""
