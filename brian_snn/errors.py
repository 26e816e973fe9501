"""The exceptions that brian_snn raises for a user's input.

Each derives from `BrianSnnError` and from the built-in that fits, so that a caller may catch either. The command
line turns every one of them into a single line and exit code 2.
"""

import tokenize
import zipfile
import zlib

#: What Python, NumPy, zipfile and gzip raise for a file that is damaged or not what its name says. MemoryError is a
#: header that asks for terabytes, RuntimeError a zip file with a password or a feature that Python lacks; the last
#: four are what content of another kind comes to.
READ_ERRORS = (
    OSError,
    EOFError,
    ValueError,
    SyntaxError,
    MemoryError,
    RuntimeError,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
    LookupError,
    ArithmeticError,
    TypeError,
    AttributeError,
)


class BrianSnnError(Exception):
    """Base of all errors that brian_snn raises on purpose."""


class ModelError(BrianSnnError, ValueError):
    """A model file or a layer that cannot be converted; the message names the file or the layer."""


def no_rate_coded_form(label: str, activation: str) -> ModelError:
    """Return the error for an activation inside a model that no firing rate stands for."""
    return ModelError(f"{label}: the activation {activation!r} has no rate-coded form; replace it by ReLU and retrain.")


def value_jumps(label: str, threshold: float) -> ModelError:
    """Return the error for x where x >= threshold, else 0: the rate of a neuron has no jump, whatever its weights are.

    No layers of ReLUs have one either, since each is continuous.
    """
    return ModelError(
        f"{label}: its value jumps from 0 to its threshold of {threshold:g}, and firing rates change without jumps "
        "with the input; a threshold of 0 can be converted, so retrain with that."
    )


class DataError(BrianSnnError, ValueError):
    """Images, labels or a data file of the wrong kind, shape or content."""


class SettingError(BrianSnnError, ValueError):
    """A setting outside its range."""


class OptionError(SettingError, TypeError):
    """An option of a name that there is not."""


class CompilerError(BrianSnnError, RuntimeError):
    """No C++ compiler, or a compiler that failed."""


class SimulationError(BrianSnnError, RuntimeError):
    """A compiled simulation that stopped before its end."""


class OutputError(BrianSnnError, OSError):
    """A folder or file that cannot be written or read."""


class LimitError(BrianSnnError, OSError):
    """A process, a thread or memory that the system does not give."""


class Interrupted(BrianSnnError, KeyboardInterrupt):
    """Ctrl-C, with what was saved until then."""
