# SPDX-License-Identifier: Apache-2.0
"""Verification of programs before they run: :mod:`.structural`."""
