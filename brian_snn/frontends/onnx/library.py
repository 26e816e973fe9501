"""The package onnx, which is imported when a model of its kind is met, and may not be installed."""

from __future__ import annotations

from typing import Any

from brian_snn.errors import SettingError
from brian_snn.escaping import shown


def import_onnx() -> Any:
    """Import onnx with the parts of it that are used here.

    Raises
    ------
    SettingError
        If it is not installed.
    """
    try:
        import onnx
        import onnx.checker
        import onnx.helper
        import onnx.numpy_helper
        import onnx.reference
    except ImportError as error:
        raise SettingError(
            f"ONNX models are read with the package onnx, which cannot be imported ({error}); install it with "
            "pip install 'brian_snn[onnx]'."
        ) from error
    return onnx


def first_line(error: Exception) -> str:
    """Return what an error of another package says, in one line."""
    lines = str(error).strip().splitlines()
    return shown(" ".join(lines[0].split())[:300]).rstrip(".") if lines else type(error).__name__
