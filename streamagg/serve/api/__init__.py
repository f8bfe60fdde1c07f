"""Questions and answers as HTTP.

Imports http and serve's ``questions``, ``store`` and ``times``. Begin with ``application``.
"""
