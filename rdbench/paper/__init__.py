"""The figures, tables and findings of a paper, made again from records by a recipe."""
