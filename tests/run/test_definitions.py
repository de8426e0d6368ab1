"""Digests of definitions, on a small package that is edited."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from rdbench.run.meaning import definitions, modules
from rdbench.run.meaning.definitions import digest_of, reached
from rdbench.run.meaning.modules import IMPORTED

FILES = {
    "__init__.py": '"""A package."""\nfrom pack.helpers import shift\n',
    "main.py": '''"""The module of the root."""
import math
import numpy as np
from rdbench.types import EstimatorInfo
from pack import shift
from pack import helpers
from pack.helpers import weight as heavy

class Root:
    """What is asked about."""
    size: int = 3
    """How large."""
    kind: str
    info = EstimatorInfo(summary="good", citation="A, 2020", colour="red", presets={"a": 1})

    def run(self, x: float) -> float:
        """Documented."""
        from pack.late import late
        return shift(x) * heavy(x) + helpers.scale(x) + np.sum(x) + math.pi + late(self.size)
''',
    "helpers.py": '''import functools
LIMIT = 7
OTHER = 9
def shift(x): return _up(x) + LIMIT
def _up(x): return x + 1
def weight(x): return x
def scale(x): return 2 * x
def unused(x): return OTHER
@functools.singledispatch
def _size(x): return 0
''',
    "late.py": "from pack.main import Root\ndef late(n): return n if Root else 0\n",
}  # fmt: skip

Edit = Callable[..., str]


@pytest.fixture
def edit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Edit:
    """``edit(file=(old, new), ...)``: the digest of ``pack.main.Root`` after these edits."""
    monkeypatch.syspath_prepend(str(tmp_path))
    for name, text in FILES.items():
        (tmp_path / "pack").mkdir(exist_ok=True)
        (tmp_path / "pack" / name).write_text(text)

    def edited(**changes: tuple[str, str]) -> str:
        for stem, (old, new) in changes.items():
            file = tmp_path / "pack" / f"{stem}.py"
            text = file.read_text() if file.exists() else ""
            assert old in text, f"{old!r} is not in {file.name}"
            file.write_text(text.replace(old, new) if old else text + new)
        for cached in (
            definitions.definition_of, definitions._text, modules.read_module, modules.parsed,
        ):  # fmt: skip
            cached.cache_clear()
        return digest_of([("pack.main", "Root")], ("pack",))

    return edited


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("main", '"""Documented."""', '"""Documented better."""'),
        ("main", '"""Documented."""', ""),
        ("main", '"""How large."""', ""),
        ("main", 'summary="good"', 'summary="better" + LIMIT'),
        ("main", ', colour="red"', ', preset_notes={"a": "as published"}'),
        ("main", "x: float) -> float", "x)"),
        ("main", "size: int = 3", "size: float = 3  # of something"),
        ("main", "import math\nimport numpy as np", "import numpy as np\nimport math"),
        ("main", "import weight as heavy", "import weight as heavy, scale"),
        ("main", "class Root", "if TYPE_CHECKING:\n    from pack.late import late\n\nclass Root"),
        ("helpers", "def unused(x): return OTHER", "def unused(x): return LIMIT"),
        ("helpers", "OTHER = 9", "OTHER = 10"),
        ("helpers", "LIMIT = 7", "LIMIT = (\n    7\n)"),
        ("helpers", "LIMIT = 7", "LIMIT: int = 7"),
        ("helpers", "def shift(x)", "@typing.final\ndef shift(x)"),
        ("helpers", "OTHER = 9", "OTHER = 9\nif __name__ == '__main__':\n    print(shift(1))"),
        ("main", "import numpy as np", "import numpy as np\nimport numpy"),
        (
            "helpers",
            "def shift(x): return",
            'def shift(x: int) -> int:\n    "It shifts."\n    return',
        ),
    ],
)
def test_what_means_nothing_changes_nothing(edit: Edit, file: str, old: str, new: str) -> None:
    assert edit() == edit(**{file: (old, new)})


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("main", "size: int = 3", "size: int = 4"),
        ("main", "size: int = 3", "size: ClassVar[int] = 3"),
        ("main", "kind: str", ""),
        ("main", 'presets={"a": 1}', 'presets={"a": 2}'),
        ("main", "from rdbench.types import", "from pack.helpers import"),
        ("main", "import weight as heavy", "import scale as heavy"),
        ("main", "helpers.scale(x)", "helpers.weight(x)"),
        ("main", "from pack import shift", "from pack.helpers import scale as shift"),
        ("main", "import numpy as np", "import scipy as np"),
        ("main", "math.pi", "math.e"),
        ("main", "class Root", "class Root(list)"),
        ("helpers", "LIMIT = 7", "LIMIT = 8"),
        ("helpers", "LIMIT = 7", "LIMIT = 7\nLIMIT += 1"),
        ("helpers", "return x + 1", "return x + 2"),
        ("helpers", "OTHER = 9", "OTHER = 9\nprint(1)"),
        ("late", "return n if", "return 2 * n if"),
        ("helpers", "LIMIT = 7", "if TYPE_CHECKING:\n    LIMIT = 7\nelse:\n    LIMIT = 8"),
        ("helpers", "def _up(x): return x + 1", "_up = functools.cache(lambda x: x + 1)"),
        ("helpers", "OTHER = 9", "OTHER = 9\nfunctools.pi = 3"),
    ],
)
def test_what_means_something_changes_it(edit: Edit, file: str, old: str, new: str) -> None:
    assert edit() != edit(**{file: (old, new)})


def test_a_helper_that_moves_changes_nothing(edit: Edit) -> None:
    before = edit(helpers=("import functools\n", ""), late=("", ""))
    moved = "def _up(x): return x + 1\n"
    assert before == edit(
        helpers=(moved, "from pack.elsewhere import _up\n"), elsewhere=("", moved)
    )
    assert before != edit(elsewhere=("x + 1", "x + 2"))


def test_a_module_that_is_renamed_changes_nothing(edit: Edit) -> None:
    before = edit()
    assert before == edit(
        main=("helpers", "tools"),
        __init__=("helpers", "tools"),
        tools=("", FILES["helpers.py"]),
    )


def test_a_call_turned_to_a_namesake_shows(edit: Edit) -> None:
    before = edit(late=("def late", "def scale(x): return 3 * x\ndef late"))
    assert before != edit(main=("helpers.scale(x)", "pack.late.scale(x)"))
    assert edit(main=("import math", "import math\nimport pack.late")) != before


def test_reading_runs_nothing_and_follows_only_what_it_is_told(edit: Edit) -> None:
    before = edit(helpers=("OTHER = 9", "raise SystemExit"))
    assert len(before) == 64
    names = {symbol.name for symbol in reached([("pack.main", "Root")], ("pack",))} - {IMPORTED}
    assert names == {"Root", "shift", "_up", "LIMIT", "weight", "scale", "late"}
    stopped = reached([("pack.main", "Root")], ("pack",), stop=("pack.late",))
    assert "late" not in {symbol.name for symbol in stopped}


def test_a_choice_counts_by_its_own_text_and_constants(edit: Edit) -> None:
    marked = ("def shift(x)", "@dispatch\ndef shift(x)")
    foreign = edit(helpers=marked)  # not ours: it hides nothing
    assert foreign != edit(helpers=("return x + 1", "return x + 2"))
    ours = ("import functools", "import functools\nfrom rdbench.certify.solve import dispatch")
    before = edit(helpers=ours)
    assert before == edit(helpers=("return x + 2", "return x + 3"))
    assert before != edit(helpers=("LIMIT = 7", "LIMIT = 8"))
    assert before != edit(helpers=("+ LIMIT", "+ OTHER"))


def test_what_a_star_or_a_registration_brings_counts(edit: Edit) -> None:
    before = edit(main=("from pack import shift", "from pack.helpers import *"))
    assert before != edit(helpers=("return x + 1", "return x + 2"))
    before = edit(main=("math.pi", "math.pi + helpers._size(x)"))
    handler = "@_size.register\ndef _(x: int): return 1\n"
    assert before != edit(helpers=("def unused", handler + "def unused"))


def test_a_module_used_as_a_whole_counts_as_a_whole(edit: Edit) -> None:
    before = edit(main=("helpers.scale(x)", "getattr(helpers, 'scale')(x)"))
    assert before != edit(helpers=("def unused(x): return OTHER", "def unused(x): return LIMIT"))


def test_what_cannot_be_parsed_counts_by_its_bytes(edit: Edit) -> None:
    before = edit(late=("return n", "return n +"))
    assert before != edit(late=("return n +", "return n -"))


def test_many_terms_are_no_trouble(edit: Edit) -> None:
    before = edit(helpers=("OTHER = 9", "OTHER = " + "+".join(["9"] * 900)))
    assert before == edit(helpers=("def weight(x): return x", "def weight(x):  return x"))
