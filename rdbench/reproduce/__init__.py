"""A paper made again: its cells are run, its published numbers stand beside ours."""
