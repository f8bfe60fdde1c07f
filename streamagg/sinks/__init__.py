"""Where results go, together with the checkpoint.

Imports model, core, kafka and, for the letters of a publication, sources; knows no engine. Begin with
``contract``; ``open`` opens what settings name.
"""
