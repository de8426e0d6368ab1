"""``rdbench run``: check everything, run what is missing, show what was found.

What imports torch is imported where it is used: the fork server is started first, so that it and
this process import at the same time.
"""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console

from rdbench import registry
from rdbench.cli import parse
from rdbench.cli.looks import looks_of
from rdbench.cli.messages import complain, note, warn
from rdbench.cli.options import RunOptions
from rdbench.outcomes import RdbenchError, one_line
from rdbench.run.executors import handle
from rdbench.run.provenance import gather
from rdbench.run.records import CellRecord
from rdbench.run.store import Store, writable

if TYPE_CHECKING:
    from rdbench.codecs.points import CodecPoint
    from rdbench.run.executors import Executor
    from rdbench.run.plan import Cell, Plan
    from rdbench.run.settings import Settings


def execute(options: RunOptions) -> int:
    """Carry out what was asked and return the exit code.

    Raises:
        RdbenchError: bad input, before anything runs.
    """
    _check(options)
    codecs = _codecs(options)
    if not options.dry_run and options.executor == "local":
        handle.start()
    from rdbench.cli.progress import Progress, announce, console, interrupted
    from rdbench.run.plan import shard as take_shard
    from rdbench.run.pool import Settings, is_done, run_cells
    from rdbench.run.session import vanished
    from rdbench.run.waiting import telling

    out = console()
    with telling(note):
        plan = _plan(options)
    cells = list(plan.cells)
    if codecs and len({(cell.suite, cell.case) for cell in cells}) > 1:
        raise RdbenchError("--points belong to one case: choose it by --cases (and --dims)")
    _check_codecs(codecs, cells[0].distortion)
    if options.shard is not None:
        cells = take_shard(cells, *parse.shard(options.shard))
    store = None if options.dry_run else Store(options.results, draws=False)
    held = store or writable(options.results)
    for line in held.warnings:
        warn(line)
    for line in plan.notes:
        note(line)
    missing = [
        cell
        for cell in cells
        if options.fresh or not is_done(held.records.get(cell.id), retry=options.retry)
    ]
    announce(cells, missing, options.results, out, listed=options.dry_run)
    to_run = {cell.id for cell in missing}
    untraced = sum(not held.records[cell.id].trace for cell in cells if cell.id not in to_run)
    if options.trace and untraced:
        note(f"{untraced} of the stored cells have no trace; --fresh runs them again")
    if store is None:
        return 0
    if missing:
        local = options.executor == "local"
        if options.jobs > 1 or not local:  # the longest first, so that none runs alone at the end
            missing.sort(key=lambda cell: cell.dim * len(cell.slopes), reverse=True)
        settings = Settings(
            # the device is one of who runs the cells
            gather(options.device if local else "cpu", options.threads, options.jobs),
            options.jobs,
            options.threads,
            options.timeout,
            options.trace,
            options.draws,
            options.audit_timeout,
        )
        executor = None if local else _on_dask(settings, missing, options.scheduler)
        width = options.jobs if executor is None else executor.width
        progress = Progress(missing, width, options.units, out)
        try:
            with progress:
                run_cells(missing, store, settings, progress, executor)
        except KeyboardInterrupt:
            return interrupted(progress.count, len(missing))
    told = len(store.warnings)
    store.refresh()
    for line in store.warnings[told:]:
        warn(line)
    records = [store.records[cell.id] for cell in cells if cell.id in store.records]
    store.close()
    _show(records, options, out)
    if records and (codecs or options.data is not None):
        _answer(records, codecs, options, out)
    if len(records) < len(cells):
        return complain(vanished(len(cells) - len(records), len(cells), options.results), 1)
    return 0 if all(is_done(record) for record in records) else 1


def _on_dask(settings: Settings, cells: Sequence[Cell], scheduler: str | None) -> Executor:
    from rdbench.run.executors.dask import DaskExecutor

    return DaskExecutor(settings, cells, scheduler)


def _codecs(options: RunOptions) -> Sequence[CodecPoint]:
    if options.points is None and options.points_units == "nats,sum":
        return ()  # what reads points imports numpy
    from rdbench.cli.answers import codecs_of

    return codecs_of(options.points, options.points_units)


def _check_codecs(codecs: Sequence[CodecPoint], distortion: str) -> None:
    """Refuse units that the distortion measure does not have."""
    if codecs:
        from rdbench.codecs.units import check_measure

        for point in codecs:
            check_measure(point.units, distortion)


def _check(options: RunOptions) -> None:
    """Refuse what is wrong by itself, whatever the suites and estimators are."""
    if (options.suite is None) == (options.data is None):
        raise RdbenchError("give --suite NAMES or --data FILE" + ", not both" * bool(options.data))
    _check_data(options)
    given = (options.rates, options.distortions, options.betas)
    if sum(one is not None for one in given) > 1:
        raise RdbenchError("give one of --rates, --distortions and --betas")
    parse.units(options.units)
    parse.at_least_one("--jobs", options.jobs)
    parse.at_least_one("--threads", options.threads)
    if options.draws < 0:
        raise RdbenchError(f"--draws takes a number of draws, 0 or more, got {options.draws}")
    if options.n_train is not None:
        parse.at_least_one("--n-train", options.n_train)
    for flag, seconds in (
        ("--timeout", options.timeout),
        ("--audit-timeout", options.audit_timeout),
    ):
        if not (math.isfinite(seconds) and seconds > 0.0):
            raise RdbenchError(f"{flag} takes a positive number of seconds, got {seconds}")
    _check_executor(options)
    if options.executor == "local":
        _check_device(options.device)
    if options.shard is not None:
        parse.shard(options.shard)
    _check_names(options)


def _check_names(options: RunOptions) -> None:
    """Refuse names that nothing has, before what they name is imported: that takes seconds."""
    if options.suite is not None and options.suite.strip() != "all":
        for name in filter(None, map(str.strip, options.suite.split(","))):
            registry.find("suite", name)
    if options.estimators is not None and options.estimators.strip() != "all":
        for spec in registry.split_list(options.estimators):
            name = registry.name_of(spec)
            if ".py:" not in name:
                registry.find("estimator", name.removesuffix(registry.LOWER))


def _check_executor(options: RunOptions) -> None:
    parse.one_of("--executor", options.executor, ("local", "dask"))
    if options.executor == "local":
        if options.scheduler is not None:
            raise RdbenchError("--scheduler belongs to --executor dask")
        return
    if importlib.util.find_spec("distributed") is None:
        raise RdbenchError(
            "--executor dask needs Dask, which is not installed: pip install 'rdbench[dask]'"
        )
    if options.scheduler is not None and options.jobs != 1:
        raise RdbenchError(
            "--jobs does not go with --scheduler: its workers say how many cells they take"
        )


def _check_data(options: RunOptions) -> None:
    """Refuse options of data where there are none, and of suites where there are data."""
    of_data = {
        "--of": options.of != "population",
        "--groups": options.groups is not None,
        "--distortion": options.distortion != "squared_error",
        "--patches": options.patches is not None,
    }
    of_suites = {"--dims": options.dims is not None, "--cases": options.cases is not None}
    wrong = [name for name, given in (of_suites if options.data else of_data).items() if given]
    if wrong:
        raise RdbenchError(f"{wrong[0]} belongs to {'--suite' if options.data else '--data'}")


def _plan(options: RunOptions) -> Plan:
    from rdbench.run.plan import make_plan

    if options.data is not None:
        return _plan_data(options)
    assert options.suite is not None
    choices = registry.choose_all("all" if options.estimators is None else options.estimators)
    if options.estimators is None:  # a comparison is of channels; lower bounds are asked for
        choices = [choice for choice in choices if choice.estimator.info.side == "upper"]
    return make_plan(
        registry.load_suites(options.suite),
        registry.sandwiched(choices) if options.sandwich else choices,
        dims=_integers("--dims", options.dims, 1),
        cases=options.cases,
        seeds=parse.integers("--seeds", options.seeds, 0),
        rates=_numbers("--rates", options.rates),
        betas=_numbers("--betas", options.betas),
        distortions=_numbers("--distortions", options.distortions),
        budgets=_budgets(options.budget),
        n_train=options.n_train,
        device=options.device,
    )


def _plan_data(options: RunOptions) -> Plan:
    from rdbench.data import build, described
    from rdbench.run.ladders import Asked
    from rdbench.run.plan import left_out, plan_data, usual

    assert options.data is not None
    spec = described(
        options.data,
        of=options.of,
        groups=options.groups,
        distortion=options.distortion,
        patches=options.patches,
    )
    asked = Asked(
        rates=_numbers("--rates", options.rates),
        distortions=_numbers("--distortions", options.distortions),
        betas=_numbers("--betas", options.betas),
    )
    seeds = parse.integers("--seeds", options.seeds, 0)
    chosen = None if options.estimators is None else registry.choose_all(options.estimators)
    budgets = _budgets(options.budget)
    data = build(spec)
    for line in data.notes:
        note(line)
    if chosen is None:
        chosen = registry.choose_all(usual(data))
        if missing := left_out(data):
            note(missing)
    return plan_data(
        data,
        registry.sandwiched(chosen) if options.sandwich else chosen,
        asked=asked,
        seeds=seeds,
        budgets=budgets,
        n_train=options.n_train,
        device=options.device,
    )


def _budgets(text: str) -> list[str]:
    from rdbench.run.budgets import seconds_of

    found = list(dict.fromkeys(part.strip() for part in text.split(",")))
    for budget in found:
        seconds_of(budget)  # refuses what is none
    return found


def _integers(flag: str, text: str | None, minimum: int) -> list[int] | None:
    return None if text is None else parse.integers(flag, text, minimum)


def _numbers(flag: str, text: str | None) -> list[float] | None:
    return None if text is None else parse.positive_numbers(flag, text)


def _check_device(device: str) -> None:
    parse.one_of("--device", device, ("cpu", "cuda"))
    if device == "cuda":
        import torch

        if not torch.cuda.is_available():
            raise RdbenchError("--device cuda: torch finds no CUDA device here; valid: cpu")


def _show(records: Sequence[CellRecord], options: RunOptions, out: Console) -> None:
    """Table and picture; nothing that goes wrong here may cost the run, which is stored."""
    try:
        from rdbench.report.points import print_points, titled, untold
        from rdbench.report.tables import print_summary

        blank = [record for record in records if untold(record)]
        if blank:
            print_points(blank, options.units, out)
        told = [record for record in records if not untold(record)]
        if told and options.data is not None:
            out.print(titled(told[0]), markup=False, soft_wrap=True)
        if told or not blank:
            print_summary(told, options.units, out, verbose=options.verbose)
    except Exception as problem:
        warn(f"no table: {one_line(problem)}")
    try:
        from rdbench.cli.truth import TruthSources
        from rdbench.report.figures import file_stem, save_run_figures
        from rdbench.report.points import untold
        from rdbench.report.race import save_race
        from rdbench.report.series import by_suite
        from rdbench.report.upper import save_points

        figures = options.results / "figures"
        named = variants(options, records)
        blank = [record for record in records if untold(record)]
        records = [record for record in records if not untold(record)]
        looks = looks_of(blank)
        ends = (".png", ".svg") if blank else ()
        stem = file_stem("data", named.get("data", ""))
        saved = [save_points(blank, figures / f"{stem}{e}", options.units, looks) for e in ends]
        if records:
            saved += save_run_figures(
                records, figures, options.units, looks_of(records), TruthSources(), named
            )
        for suite, members in by_suite(records).items():
            stem = file_stem(suite, named[suite]) + "-race"
            saved += save_race(members, figures, stem, options.units, looks_of(records))
        for path in saved:
            out.print(f"picture: {path}", markup=False, soft_wrap=True)
    except Exception as problem:
        warn(f"no picture: {one_line(problem)}")


def _answer(
    records: Sequence[CellRecord], codecs: Sequence[CodecPoint], options: RunOptions, out: Console
) -> None:
    """R(D) from both sides, and codecs beside it; one that cannot be is told, and drawn."""
    from rdbench.cli.answers import axes_of, draw, reply

    rates = _numbers("--rates", options.rates)
    distortions = _numbers("--distortions", options.distortions)
    for beside in [codecs, ()] if codecs else [()]:  # without codecs that cannot be
        try:
            told = reply(records, beside, rates=rates, distortions=distortions, units=options.units)
        except RdbenchError as problem:
            warn(str(problem))
            continue
        for line in ["", *told]:
            out.print(line, markup=False, highlight=False, soft_wrap=True)
        break
    try:
        from rdbench.report.figures import file_stem

        first = records[0]
        folder = options.results / "figures"
        folder.mkdir(parents=True, exist_ok=True)
        stem = file_stem(first.suite, variants(options, records)[first.suite])
        stem += "-codecs" if codecs else "-band"
        path = draw(records, folder / f"{stem}.png", axes_of(None, options.units), codecs)
        out.print(f"picture: {path}", markup=False, soft_wrap=True)
    except Exception as problem:
        warn(f"no picture of both sides: {one_line(problem)}")


def variants(options: RunOptions, records: Sequence[CellRecord] = ()) -> dict[str, str]:
    """By suite, the options that set this run apart from one of the suite as it is.

    They are part of the names of the pictures, so that no run replaces the picture of another.
    """
    asked = {
        "dims": _listed(_integers("--dims", options.dims, 1)),
        "cases": options.cases,
        "estimators": None if options.estimators == "all" else options.estimators,
        "rates": _listed(_numbers("--rates", options.rates)),
        "distortions": _listed(_numbers("--distortions", options.distortions)),
        "betas": _listed(_numbers("--betas", options.betas)),
        "seeds": _listed(_integers("--seeds", options.seeds, 0)),
        "n-train": options.n_train,
        "budget": options.budget,
        "device": options.device,
        "shard": options.shard,
        "sandwich": "both" if options.sandwich else None,
        "units": options.units,
    }
    usual = {"seeds": "0", "budget": "default", "device": "cpu"}
    if options.data is not None:
        # the names of the cases, which hold the digests of the data, are what tells runs apart
        names = "+".join(sorted({record.case for record in records}))
        return {"data": "-".join([names, *_changed(asked, usual | {"units": "nats"})])}
    found = {}
    assert options.suite is not None
    for suite in registry.load_suites(options.suite):
        own = asked if suite.default_dims is not None else asked | {"dims": None}
        same = usual | {"units": "nats", "dims": _listed(suite.default_dims)}
        found[suite.name] = "-".join(_changed(own, same))
    return found


def _changed(asked: dict[str, Any], usual: dict[str, Any]) -> list[str]:
    """The options that are not as usual."""
    return [f"{key}={value}" for key, value in asked.items() if value not in (None, usual.get(key))]


def _listed(values: Sequence[float] | None) -> str | None:
    return None if values is None else ",".join(f"{value:.12g}" for value in values)
