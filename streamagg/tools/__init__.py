"""Verbs without a pipeline: replay, generate, and the recount that checks the rest.

Imports kafka, sources and model; ``verify`` and ``recount`` share no code with core, decode and engine.
"""
