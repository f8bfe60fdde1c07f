"""Values that the parts of the program hand to each other; nothing here works on them.

Imports no other folder. Begin with ``settings`` and ``messages``.
"""
