"""``python -m rdbench``."""

if __name__ == "__main__":
    import sys

    from rdbench.cli import main

    sys.exit(main())
