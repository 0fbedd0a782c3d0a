# SPDX-License-Identifier: Apache-2.0
"""Runtimes that implement the batch protocol: one process for many programs, JSON Lines in both directions.

``docs/batch-protocol.md`` specifies it, ``schema/`` has a JSON Schema for each message.
"""
