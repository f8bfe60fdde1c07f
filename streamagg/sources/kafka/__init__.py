"""Topics as sources: fetching, leases and rejected records.

Imports what its parent may. Begin with ``topic``; ``fetcher`` is C.
"""
