# SPDX-License-Identifier: Apache-2.0
"""What every test may use: the checkout's folder, and hypothesis without deadlines."""

from pathlib import Path

import pytest
from hypothesis import settings

# A deadline would make a test depend on how busy the machine is.
settings.register_profile("bpf-isa", settings(), deadline=None)
settings.load_profile("bpf-isa")


@pytest.fixture(scope="session")
def checkout() -> Path:
    """The folder that holds pyproject.toml and the four packages."""
    return Path(__file__).resolve().parent.parent
