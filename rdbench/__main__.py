"""``python -m rdbench``."""

if __name__ == "__main__":  # a worker's start imports the main module again
    import sys

    from rdbench.cli import main

    sys.exit(main())
