"""Where records come from: files and standard input here, topics in ``kafka``, trees in ``directory``.

Imports model, core, decode and kafka, and knows no engine. Begin with ``contract``; ``open`` opens what
settings name.
"""
