# SPDX-License-Identifier: Apache-2.0
"""How fast the suite and the engines are."""
