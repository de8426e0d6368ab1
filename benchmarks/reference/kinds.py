"""The kinds of problems that a reader may have, and which cases stand for them."""

from __future__ import annotations

from fnmatch import fnmatchcase

KINDS: dict[str, tuple[str, ...]] = {
    "a finite alphabet": ("discrete/*",),
    "a density in one dimension": ("scalar/*", "heavy_tailed/t5-d1", "published/beta-1-2"),
    "a density in the plane": ("planar/*", "noisy_sphere/*-d2", "*/ramp-d2", "published/*-d2"),
    "Gaussian, d = 4 to 16": (
        "*/ramp-d5", "*/ramp-d6", "*/ramp-d10", "gaussian_spectra/*-d10", "published/*-d4",
        "published/*-d8", "published/*-d16",
    ),
    "a mixture of few Gaussians, d = 5 to 50": ("multimodal/eight-*", "multimodal/lifted-*"),
    "Gaussian, d = 20 and more": ("*/ramp-d20", "*/ramp-d50", "gaussian_spectra/*-d20", "*-d1000"),
    "independent coordinates that are not Gaussian (rotated)": (
        "high_dimensional/laplacian-*", "high_dimensional/cube-*",
    ),
    "a sphere, sharp or noisy": (
        "high_dimensional/sphere-*", "high_dimensional/noisy-sphere-*", "noisy_sphere/*-d5",
        "noisy_sphere/*-d10",
    ),
    "heavy tails, d = 10 and 50": ("heavy_tailed/t5-d10", "heavy_tailed/t5-d50"),
    "a curved surface under noise": ("curved/*",),
    "pictures with noise": ("noisy_images/*",),
    "points of a data set": ("real_data/*", "mnist_rows/*"),
    "draws of an unknown source": ("elevation/*", "photographs/*"),
}  # fmt: skip


def kind_of(case: str) -> str | None:
    """The first kind that a case, SUITE/NAME, stands for."""
    for kind, globs in KINDS.items():
        if any(fnmatchcase(case, glob) for glob in globs):
            return kind
    return None
