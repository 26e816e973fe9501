"""One thread for NumPy's matrix products while compiled simulations run: those of a BLAS spin for a while after each.

The number of threads belongs to the whole process, but simulations overlap in any order: two streams that are read by
turns, or threads that simulate. So the first one to begin sets it, and the last one to end sets it back.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from threadpoolctl import threadpool_limits


class _SharedLimit:
    """A limit of one thread that holds as long as anybody uses it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._n_users = 0
        self._limits: threadpool_limits | None = None

    @contextmanager
    def used(self) -> Iterator[None]:
        """Use the limit."""
        with self._lock:
            if self._limits is None:
                self._limits = threadpool_limits(limits=1, user_api="blas")
            self._n_users += 1
        try:
            yield
        finally:
            with self._lock:
                self._n_users -= 1
                if not self._n_users:
                    self._limits.restore_original_limits()
                    self._limits = None


one_blas_thread = _SharedLimit().used
