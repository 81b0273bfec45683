"""The kernels in NumPy: their specification, the oracle of their tests, and what runs without a compiler.

One file per operation and per cell. Every function works in float32 and float64 and states its equations.
"""
# ruff: noqa: F403  (each file lists its operations)

from pantoum.kernels.reference.cross_entropy import *
from pantoum.kernels.reference.dropout import *
from pantoum.kernels.reference.product import *
from pantoum.kernels.reference.sample import *
from pantoum.kernels.reference.scan import *
from pantoum.kernels.reference.tables import *
from pantoum.kernels.reference.update import *
