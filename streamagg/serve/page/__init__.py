"""Files of the page, served as they are at ``/``. Imports nothing."""
