# SPDX-License-Identifier: Apache-2.0
"""How strong the vectors are: faults seeded into the specification, and who notices them."""
