"""Where published records come from: topics, or the files of a directory.

Imports kafka, model and serve's ``records``, ``store`` and ``theta``. Begin with ``contract``.
"""
