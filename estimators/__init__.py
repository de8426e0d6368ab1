"""One file, one algorithm: the estimators that ship with rdbench."""

if __name__ != "rdbench.estimators":
    raise ImportError("import this package as rdbench.estimators, so that no class exists twice")
