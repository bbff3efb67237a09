"""fhir-app-operator: Microsoft Entra application registrations for FHIR, managed from Git.

Only the version lives here. The command line is in `cli`, the reconcile loop in `controller`.
"""

from importlib.metadata import version as _installed_version

__version__ = _installed_version("fhir-app-operator")
