"""Who leads, where reading begins, and what becomes of the input meanwhile.

Imports the other parts of the engine, and core, sources, sinks, kafka and model. Begin with ``states``, then
``coordinator``.
"""
