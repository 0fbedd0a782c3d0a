# SPDX-License-Identifier: Apache-2.0
"""Which instruction is at fault, and which requirement it breaks, by evidence over all results of a run."""
