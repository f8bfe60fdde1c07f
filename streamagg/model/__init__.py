"""Values that the parts of the program hand to each other; nothing here works on them.

Imports nothing else of the program. Begin with ``settings`` and ``messages``.
"""
