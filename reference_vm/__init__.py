# SPDX-License-Identifier: Apache-2.0
"""Execution of programs: the reference virtual machine, derived from the rows of spec/isa.yaml."""
