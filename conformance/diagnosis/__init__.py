# SPDX-License-Identifier: Apache-2.0
"""What is wrong with a runtime: the instruction at fault and the requirement it breaks, by evidence over a run."""
