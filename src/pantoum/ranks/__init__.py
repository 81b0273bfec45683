"""Ranks: the processes that train one model together, and how they exchange messages and arrays.

``interface`` says what a group of ranks can do, and has the group of one process; ``mpi`` (extra
``mpi``) that of an MPI launcher; ``config.launcher`` tells them apart by the environment, without MPI.
Nothing here knows what is sent.
"""
