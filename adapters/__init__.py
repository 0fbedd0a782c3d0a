# SPDX-License-Identifier: Apache-2.0
"""Adapters for runtimes, one per runtime, with a common protocol."""
