"""Where acknowledged records are: a topic, or files in a directory.

Imports kafka and model. Begin with ``contract``.
"""
