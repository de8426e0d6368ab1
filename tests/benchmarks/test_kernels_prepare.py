"""What a commit lacks is not available; what the environment lacks is an error."""

import platform
import resource
import sys
import types

import pytest

from benchmarks._kernel import Kernel, prepares, scratch
from benchmarks._kernels import KERNELS


def kernel() -> Kernel:
    return Kernel(lambda: 1, lambda found: None)


def test_a_kernel_is_handed_on():
    assert prepares(kernel)().work() == 1


def test_a_module_or_a_name_that_rdbench_lacks_is_not_available():
    def module():
        import rdbench.no_such_module  # type: ignore[import-not-found]

        return rdbench.no_such_module.kernel

    def name():
        from rdbench.types import no_such_name  # type: ignore[attr-defined]

        return no_such_name

    def attribute():
        from rdbench import types

        return types.no_such_name  # type: ignore[attr-defined]

    def method():
        from rdbench.types import Bracket

        return Bracket.exact(1.0).no_such_method()  # type: ignore[attr-defined]

    for lacking in (module, name, attribute, method):
        with pytest.raises(NotImplementedError, match="no such kernel"):
            prepares(lacking)()


def test_a_broken_environment_stays_an_error(monkeypatch):
    def package():
        import no_such_package  # type: ignore[import-not-found]

        return no_such_package.kernel

    def ours():
        import rdbench

        return rdbench.kernel  # type: ignore[attr-defined]

    def slip():
        return types.SimpleNamespace().kernel

    with pytest.raises(ModuleNotFoundError, match="no_such_package"):
        prepares(package)()
    with pytest.raises(AttributeError):
        prepares(slip)()
    monkeypatch.setitem(sys.modules, "rdbench", None)
    with pytest.raises(ModuleNotFoundError, match="rdbench"):
        prepares(ours)()


def test_a_temporary_folder_goes_with_its_owner():
    def owner() -> None:
        return None

    folder = scratch(owner)
    (folder / "file").write_text("x")
    del owner
    assert not folder.exists()


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="an allocator of its own")
def test_later_calls_take_no_new_memory():
    kernel = KERNELS["distances_squared_d20"]()  # 16 MB, 4000 pages
    for _ in range(8):  # the first few still find their places
        kernel.work()
    faults = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        kernel.work()
        faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
    assert min(faults) < 1000
