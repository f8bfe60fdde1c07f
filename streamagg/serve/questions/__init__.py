"""Questions about what is stored, each a function of a ``Reading``; they know no HTTP.

Imports serve's ``records``, ``store``, ``theta`` and ``times``. Begin with ``asked``.
"""
