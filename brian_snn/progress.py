"""Progress of calls that take long: bars on a terminal and in notebooks, or whatever the caller wants called."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

#: Called with how much is done, and of how much.
Progress = Callable[[int, int], None]

#: A call that is over by then shows no bar.
_DELAY_S = 1.0


@contextmanager
def bar(progress: Progress | bool | None, what: str, unit: str) -> Iterator[Progress | None]:
    """Yield what is to be called with (done, total).

    Parameters
    ----------
    progress : callable, bool or None
        A callable is yielded as it is. True: what moves a bar on the standard error, or one of the notebook; False:
        None; None: such a bar where somebody looks, that is on a terminal and in a notebook, unless the environment
        has ``TQDM_DISABLE=1``.
    what, unit : str
        What goes on, and what is counted.
    """
    if callable(progress):
        yield progress
    elif progress is False or (progress is None and not _is_seen()):
        yield None
    else:
        from tqdm.auto import tqdm

        with tqdm(desc=what, unit=f" {unit}", delay=_DELAY_S, dynamic_ncols=True, disable=False) as shown:

            def move(done: int, total: int) -> None:
                shown.total = total
                shown.update(done - shown.n)

            yield move


def _is_seen() -> bool:
    """Whether the standard error is a terminal, or this is a notebook, and bars are not turned off."""
    if os.environ.get("TQDM_DISABLE", "0") not in ("", "0"):
        return False
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    in_notebook = shell is not None and "IPKernelApp" in shell.config
    return in_notebook or (sys.stderr is not None and sys.stderr.isatty())
