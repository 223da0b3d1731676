"""How many threads torch and BLAS would use, asked in this thread or in another."""

import threading

import torch
from threadpoolctl import threadpool_info

PATIENCE = 30.0


def blas_threads():
    return {
        pool["num_threads"]
        for pool in threadpool_info()
        if pool["user_api"] == "blas" and pool.get("threading_layer") != "openmp"
    }


def settings_of_thread():
    """How many threads the present one would have torch and BLAS use."""
    return torch.get_num_threads(), blas_threads()


def in_new_thread(function):
    """Call a function in a thread of its own, and give what it returned; None if it did not end in time."""
    given = []
    thread = threading.Thread(target=lambda: given.append(function()), daemon=True)
    thread.start()
    thread.join(PATIENCE)
    return given[0] if given else None
