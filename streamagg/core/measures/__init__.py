"""What is computed of the rows of a window.

Imports model. Begin with ``contract``, then ``uniques``.
"""
