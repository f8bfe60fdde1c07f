"""A topic as sink: windows and checkpoint in one transaction.

Imports model, core, kafka and sources. Begin with ``topic``, then ``transaction``.
"""
