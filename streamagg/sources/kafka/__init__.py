"""Topics as sources: fetching, leases, rejected records, and what holds up a reading that shall end.

Imports what its parent may. Begin with ``reader``; ``fetcher`` is C.
"""
