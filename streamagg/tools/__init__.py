"""Verbs without a pipeline: replay, generate, and the recount that checks the rest.

Imports kafka, sources, telemetry and model. Begin with ``replay``, and with ``verify``: that and ``recount``
share no code with core, decode and engine.
"""
