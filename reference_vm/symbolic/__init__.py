# SPDX-License-Identifier: Apache-2.0
"""What instructions do, as terms of z3: the typed tree over bit-vectors. Needs the extra ``adequacy``."""
