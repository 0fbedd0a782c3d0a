# SPDX-License-Identifier: Apache-2.0
"""Loops of a program: which there are, how their addresses move, which conditions bound them."""
