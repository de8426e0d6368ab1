"""The plug-in does what rdbench asks of an estimator."""

from rdbench_kmeans import KMeans

from rdbench.check import assert_conforms


def test_it_conforms():
    """Raises AssertionError with what is wrong, in words, one check a line."""
    assert_conforms(KMeans)
