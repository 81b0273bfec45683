"""Ranks: processes that an MPI launcher or ``torchrun`` has started to train one model together.

``group`` is what training sees of them; ``transport`` says what they can do, ``mpi`` (extra ``mpi``) and
``gloo`` (extra ``torch``) do it; ``backend`` makes a step on all of them, ``sums`` adds their gradients.
"""
