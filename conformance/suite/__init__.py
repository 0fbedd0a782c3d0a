# SPDX-License-Identifier: Apache-2.0
"""The suite: vectors read from files, expanded, and chosen."""
