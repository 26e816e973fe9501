"""Brian2's C++ code object with this package's templates in front of Brian2's own."""

from __future__ import annotations

from brian2.devices.cpp_standalone.codeobject import CPPStandaloneCodeObject


class TemplateCodeObject(CPPStandaloneCodeObject):
    """A code object whose template is looked up in ``brian_snn/backends/templates`` first."""

    templater = CPPStandaloneCodeObject.templater.derive("brian_snn.backends")
