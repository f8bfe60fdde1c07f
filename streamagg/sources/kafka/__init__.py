"""Topics as sources: fetching, leases and rejected records.

Imports model and kafka. Begin with ``topic``; ``fetcher`` is C.
"""
