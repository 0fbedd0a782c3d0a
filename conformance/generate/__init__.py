# SPDX-License-Identifier: Apache-2.0
"""Generated vector files: one module per family, each a function that returns :class:`~.draft.Draft` vectors.

The families are listed in :data:`.files.FILES`; ``bpf-isa generate`` writes them, byte for byte the same each time.
"""
