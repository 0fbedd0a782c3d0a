# SPDX-License-Identifier: Apache-2.0
"""What programs do: the reference virtual machine, derived from the rows of spec/isa.yaml."""
