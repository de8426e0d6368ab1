"""Accuracy and cost, watched from commit to commit; README.md says what is where.

asv imports the modules of this package, and of no folder below it that has no ``__init__.py``.
"""
