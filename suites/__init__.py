"""One file, one suite as data: the problems that ship with rdbench."""

if __name__ != "rdbench.suites":
    raise ImportError("import this package as rdbench.suites, so that no class exists twice")
