"""A topic as sink: windows and checkpoint in one transaction.

Imports what its parent may. Begin with ``transaction``.
"""
