"""The kernels of the native core: ``reference``'s operations in C++, on float32 arrays.

The equations stand in ``kernels/reference``, which also lists the operations; what the core promises in
``core/pantoum_core.h``, how it is made in docs/kernels.md.
"""
# ruff: noqa: F403  (a second list of the operations would say nothing: a test compares the two backends)

from pantoum.kernels.native.cross_entropy import *
from pantoum.kernels.native.draws import *
from pantoum.kernels.native.library import *
from pantoum.kernels.native.product import *
from pantoum.kernels.native.scan import *
from pantoum.kernels.native.step import *
from pantoum.kernels.native.tables import *
from pantoum.kernels.native.update import *
