"""Verbs without a pipeline: replay, generate, and the recount that checks the rest.

Imports kafka, sources, telemetry and model. Begin with ``replay``, and with ``verify``: that, ``comparison``,
``published``, ``recount``, ``exact`` and ``periods`` share no code with core, decode and engine.
"""
