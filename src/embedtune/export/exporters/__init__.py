"""Formats that a model is exported in; each file is a format of that name.

A format has OPTIONS, its class of ExportOptions, and `export(source, folder, options)`, which yields
a line of words each time the folder holds a candidate; see Exporter in export/exporting.py. SAME_SPACE,
where it is False, says that cosines to the model's vectors mean nothing.
"""

from embedtune.registry import Registry

__all__ = ["EXPORTERS"]

EXPORTERS = Registry(__name__, "format")
