"""The settings of this process: read from tasks.cfg and one overlay, and checked before anything else is done."""

import configparser
import contextlib
import dataclasses
import difflib
import functools
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import luigi
import luigi.configuration
from luigi.task_register import Register

from models.training.settings import SPHEREFACE, STFT, TRAININGS, split_names
from models.training.settings.declarations import find_silent
from pipeline.errors import UserError
from pipeline.settings import sections
from pipeline.settings.contradictions import find_contradictions
from pipeline.settings.feature_options import FEATURE_OPTIONS
from pipeline.settings.features import SECTION, Feature, read_feature
from pipeline.settings.files import find_overlay, read_settings
from pipeline.settings.parameters import say_limits
from pipeline.settings.sections import (
    SECTIONS,
    anet,
    audio,
    dataset,
    embeddings,
    faces,
    frames,
    joint,
    run,
    store,
    vnet,
)

# Modules ask for a section as `config.faces()`.
__all__ = ["SECTIONS", "anet", "audio", "dataset", "embeddings", "faces", "frames", "joint", "run", "store", "vnet"]

ROOT = Path(__file__).resolve().parents[2]
TASKS_CFG = "tasks.cfg"


#: Sections and options that say where files are and how a run works. They do not change its results.
_PLACES = {"dataset", "store", "audio", "root", "scratch", "threads", "device"}

#: Luigi's own sections; their options are checked where Luigi declares them.
_LUIGI_SECTIONS = {
    "core", "worker", "scheduler", "resources", "retcode", "execution_summary", "email", "batch_notifier", "logging",
    "task_history", "smtp", "sendgrid",
}  # fmt: skip


def load() -> list[Path]:
    """Lay tasks.cfg and the overlay over Luigi's own configuration, and check every section, option and value.

    tasks.cfg is that of the current folder, or else the project's own. LUIGI_CONFIG_PATH names the overlay.

    Returns:
        The files that were read. Where two files set the same option, the later file wins.

    Raises:
        UserError: A file is missing or cannot be parsed, a name is misspelt, or a value is out of its range. The error
            lists all faults of one kind at once.
    """
    base = find_tasks_cfg()
    overlay = find_overlay()
    paths = [base] if overlay is None else [base, overlay]
    faults = [fault for path in paths for fault in _misspelt(path)]
    if faults:
        raise UserError("\n".join(faults))
    lay_files()
    if not (faults := list(_bad_values(paths)) or list(_find_bad_features())):
        label_range = dataset().label_range
        is_mapped = label_range != dict(dataset.get_params())["label_range"]._default
        faults = list(_find_unknown_features())
        faults += list(find_contradictions(Settings.read().describe(), label_range if is_mapped else None))
    if faults:
        raise UserError("\n".join(faults))
    return paths


@functools.cache
def load_once() -> list[Path]:
    """Call `load`, but only once in a process: for callers that ask often."""
    return load()


def lay_files() -> None:
    """Tell Luigi which files to read. Nothing is checked here: `load` reports what is wrong with the files."""
    with contextlib.suppress(configparser.Error, UnicodeDecodeError):
        luigi.configuration.add_config_path(str(find_tasks_cfg()))
    overlay = find_overlay()
    merged = luigi.configuration.get_config()
    if overlay is not None:
        # Luigi has read the overlay before tasks.cfg, or could not read it. Laid over tasks.cfg again, it wins.
        with contextlib.suppress(UserError):
            merged.read_dict(read_settings(overlay), str(overlay))
    if not merged.get("core", "scheduler_host", "") and not merged.get("core", "scheduler_url", ""):
        # No luigid is named. Luigi would look for one on this machine; instead, the scheduler runs in this process.
        merged.set("core", "local_scheduler", "true")
        return
    if not merged.has_option("worker", "keep_alive"):
        # Without it, a host that has no work would exit while other hosts still compute what its FullRun waits for.
        merged.set("worker", "keep_alive", "true")
    if not merged.has_option("core", "rpc_retry_attempts"):
        # One attempt every 30 s: no host gives up when luigid cannot be reached for ten minutes.
        merged.set("core", "rpc_retry_attempts", "25")


def find_tasks_cfg() -> Path:
    """Find tasks.cfg: in the current folder, else in the repository, else in the installed package."""
    places = (Path(TASKS_CFG), ROOT / TASKS_CFG, ROOT / "pipeline" / TASKS_CFG)
    return next((path for path in places if path.is_file()), places[-1])


def _misspelt(path: Path) -> Iterable[str]:
    known = {*SECTIONS, *_LUIGI_SECTIONS}
    for section, values in read_settings(path).items():
        if section not in known and not section.startswith(SECTION):
            yield f"{path}: section [{section}] is unknown{_nearest(section, known)}"
            continue
        options = _options_of(section)
        for option, value in values.items():
            if options is not None and option not in options:
                yield f"{path}: option {option} of [{section}] is unknown{_nearest(option, options)}"
            elif "%" in value.replace("%%", ""):
                yield f"{path}: [{section}] {option} = {value} contains a single %; write %% instead"


def _options_of(section: str) -> set[str] | None:
    if section in SECTIONS:
        return {name for name, _ in SECTIONS[section].get_params()}
    if section.startswith(SECTION):
        return {*FEATURE_OPTIONS}
    extra: set[str] = set()
    if section == "core":
        # Luigi reads these outside its parameters.
        extra = {"no_configure_logging", "default_scheduler_host", "default_scheduler_port", "default_scheduler_url"}
        extra |= {"rpc_retry_attempts", "rpc_retry_wait", "rpc_connect_timeout", "rpc_log_retries"}
    elif section not in {"worker", "retcode", "scheduler", "execution_summary"}:
        return None
    for declared in Register._get_reg().values():
        if getattr(declared, "__name__", "") == section and issubclass(declared, luigi.Config):
            return {name.replace("-", "_") for name, _ in declared.get_params()} | extra
    return None


def _nearest(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, sorted(known), 1, 0.5)
    return f"; did you mean {near[0]}?" if near else f"; it must be one of {', '.join(sorted(known))}"


def _read_feature_sections() -> dict[str, dict[str, str]]:
    merged = luigi.configuration.get_config()
    sections = sorted(section for section in merged.sections() if section.startswith(SECTION))
    return {
        section: {option: merged.get(section, option) for option in merged.options(section)} for section in sections
    }


def _find_bad_features() -> Iterable[str]:
    """Say what is wrong with each declared feature as a whole, after each of its values was found valid by itself."""
    for section, values in _read_feature_sections().items():
        try:
            read_feature(section, values)
        except ValueError as error:
            yield str(error)


def _find_unknown_features() -> Iterable[str]:
    """Report names in `[anet] features` that are not features of sound, and in `[vnet] features` not of faces."""
    settings = Settings.read()
    heard = [STFT, *(feature.name for feature in settings.features if feature.is_sound)]
    for name in split_names(settings.anet.features):
        if name not in heard:
            yield f"[anet] features = {settings.anet.features}: {name} is not a feature of sound{_nearest(name, heard)}"
    known = [SPHEREFACE, *(feature.name for feature in settings.features if not feature.is_sound)]
    for name in split_names(settings.vnet.features):
        if name not in known:
            yield f"[vnet] features = {settings.vnet.features}: {name} is not a feature of faces{_nearest(name, known)}"


def _bad_values(paths: list[Path]) -> Iterable[str]:
    merged = luigi.configuration.get_config()
    declared = {name: section.get_params() for name, section in SECTIONS.items()}
    declared |= {name: [*FEATURE_OPTIONS.items()] for name in _read_feature_sections()}
    for name, parameters in declared.items():
        for option, parameter in parameters:
            if not merged.has_option(name, option):
                continue
            try:
                text = merged.get(name, option)
                parameter.parse(text)
            except Exception as error:  # each kind of parameter raises its own
                where = next(
                    (path for path in reversed(paths) if option in read_settings(path).get(name, {})), "luigi.cfg"
                )
                yield (
                    f"{where}: [{name}] {option} = {text}: {error}; it may be {say_limits(parameter)} "
                    f"(docs/settings.md)"
                )


def is_scheduler_local() -> bool:
    """Tell whether the scheduler runs in this process. Otherwise luigid schedules the work of several hosts."""
    merged = luigi.configuration.get_config()
    return merged.getboolean("core", "local_scheduler", False)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The values of every section, read once: a run and all its stages use the values it was opened with.

    `features` are the features that the user declares, in the order of their names.
    """

    dataset: sections.dataset
    store: sections.store
    run: sections.run
    audio: sections.audio
    frames: sections.frames
    faces: sections.faces
    embeddings: sections.embeddings
    anet: Any
    vnet: Any
    joint: Any
    features: tuple[Feature, ...] = ()

    @classmethod
    def read(cls) -> "Settings":
        """Read the values from Luigi's configuration; `load` or `lay_files` must have been called before."""
        found: dict[str, Any] = {name: section() for name, section in SECTIONS.items()}
        features = tuple(read_feature(name, values) for name, values in _read_feature_sections().items())
        return cls(**found, features=features)

    def replace(self, section: str, **values: Any) -> "Settings":
        """Give the same settings with other values in one section."""
        changed: Any = SECTIONS[section](**{**self.values(section), **values})
        return dataclasses.replace(self, **{section: changed})

    def values(self, section: str) -> dict[str, Any]:
        """Give a section's values as plain data."""
        return {name: getattr(getattr(self, section), name) for name, _ in SECTIONS[section].get_params()}

    @property
    def num_threads(self) -> int:
        """`[run] threads`, or the number of cores this process may use."""
        return self.run.threads or len(os.sched_getaffinity(0))

    def describe(self) -> dict[str, dict[str, Any]]:
        """Give the values of all sections as plain JSON data."""
        return {
            section: {name: _as_plain(value) for name, value in self.values(section).items()} for section in SECTIONS
        }

    def describe_training(self, network: str) -> dict[str, Any]:
        """Give the values of a network's section that are part of its checkpoints' fingerprints."""
        values = self.values(network)
        silent = find_silent(TRAININGS[network], values)
        return {option: value for option, value in values.items() if option not in silent}

    def find_changed(self) -> dict[str, list[Any]]:
        """Give "[section] option" -> [default, value] of each setting that changes results and is not its default."""
        found = {}
        for name, section in SECTIONS.items():
            values = self.values(name)
            for option, parameter in section.get_params():
                default = parameter._default
                if is_result(f"[{name}] {option}") and values[option] != default:
                    found[f"[{name}] {option}"] = [_as_plain(default), _as_plain(values[option])]
        return found


def is_result(setting: str) -> bool:
    """Tell whether a setting, "[section] option", changes results: paths, threads and the like do not."""
    section, _, option = setting.removeprefix("[").partition("] ")
    return section not in _PLACES and option not in _PLACES


def find_default(setting: str) -> Any:
    """Give the default of a setting, "[section] option", as plain JSON data; None where there is no such setting."""
    section, _, option = setting.removeprefix("[").partition("] ")
    defaults = dict(SECTIONS[section].get_params()) if section in SECTIONS else {}
    return _as_plain(defaults[option]._default) if option in defaults else None


def _as_plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
