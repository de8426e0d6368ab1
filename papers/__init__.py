"""One folder, one paper: its cells, its published numbers, its figures, what we found."""

if __name__ != "rdbench.papers":
    raise ImportError("import this package as rdbench.papers, so that no class exists twice")
