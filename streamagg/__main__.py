"""``python -m streamagg``: the command line without its script."""

from streamagg.cli import main

if __name__ == "__main__":
    main()
