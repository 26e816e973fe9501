"""What may be written into generated C++: whole numbers of 32 bits and names, and nothing else.

Records check what they hold, wherever it comes from. This is a second look, where a number becomes code.
"""

from __future__ import annotations

import re
from typing import Any

from brian_snn.errors import ModelError

#: A name as C++ has it, with its namespaces.
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(::[A-Za-z_][A-Za-z0-9_]*)*")

_MOST = 2**31 - 1


def rendered(value: Any) -> Any:
    """Return a value that may be written into C++ as it is; lists, tuples and dicts of such ones too.

    Parameters
    ----------
    value : int, bool, str or None
        A number from 0 to 2**31 - 1; a name of a variable or a type; a flag, or nothing, which a template asks for.

    Raises
    ------
    ModelError
        If it is anything else.
    """
    # Of a subclass the text may be another than that of its value.
    if type(value) in (list, tuple):
        return type(value)(map(rendered, value))
    if type(value) is dict:
        return {key: rendered(item) for key, item in value.items()}
    is_number = type(value) is int and 0 <= value <= _MOST
    is_name = type(value) is str and _NAME.fullmatch(value)
    if value is None or type(value) is bool or is_number or is_name:
        return value
    raise ModelError(f"{value!r:.200} is no number of 32 bits and no name, and is not written into C++.")
