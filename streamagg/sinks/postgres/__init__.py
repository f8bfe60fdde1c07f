"""A PostgreSQL database as sink: results, checkpoint, state and epoch in one transaction.

Imports model and core. Begin with ``schema.sql``, then ``transaction``.
"""
