# SPDX-License-Identifier: Apache-2.0
"""The conformance suite: vectors, their loader and runner, results and reports."""
