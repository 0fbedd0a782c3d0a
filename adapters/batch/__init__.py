# SPDX-License-Identifier: Apache-2.0
"""Any runtime that has a command for the batch protocol: one process for many programs, JSON Lines both ways.

``docs/batch-protocol.md`` specifies it, ``schema/`` has a JSON Schema for each message.
"""
