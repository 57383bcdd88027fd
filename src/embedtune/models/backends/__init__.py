"""What runs an exported graph; each file is a backend of that name.

A backend has `load(path, device, precision) -> Graph`; see Graph in models/exported_model.py.
"""

from embedtune.registry import Registry

__all__ = ["BACKENDS"]

BACKENDS = Registry(__name__, "encoder backend")
