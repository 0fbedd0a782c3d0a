# SPDX-License-Identifier: Apache-2.0
"""Settings for every test."""

from hypothesis import settings

# A deadline would make a test depend on how busy the machine is.
settings.register_profile("bpf-isa", settings(), deadline=None)
settings.load_profile("bpf-isa")
