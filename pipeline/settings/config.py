"""The settings as this process has them: read from tasks.cfg and one overlay, checked before anything else."""

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
from pipeline.settings.features import SECTION, Feature, read_feature
from pipeline.settings.files import find_overlay, read_settings
from pipeline.settings.parameters import say_limits
from pipeline.settings.sections import (
    FEATURE_OPTIONS,
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


#: Sections and options that say where things are and how they are run, not what comes out.
_PLACES = {"dataset", "store", "audio", "root", "scratch", "threads", "device"}

#: Luigi's own sections; their options are checked where Luigi declares them.
_LUIGI_SECTIONS = {
    "core", "worker", "scheduler", "resources", "retcode", "execution_summary", "email", "batch_notifier", "logging",
    "task_history", "smtp", "sendgrid",
}  # fmt: skip


def load() -> list[Path]:
    """Lay tasks.cfg and the overlay over Luigi's own configuration, and check every section, option and value.

    The files are tasks.cfg of the current folder, else the project's own, and the one named by LUIGI_CONFIG_PATH.

    Returns:
        The files read, the one that wins last.

    Raises:
        UserError: A file is missing or cannot be parsed, a name is misspelt, or a value is out of its range; all
            faults are listed at once.
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
    """Do as `load`, the first time; for what asks often."""
    return load()


def lay_files() -> None:
    """Tell Luigi which files count, and judge nothing: what is wrong with them is `load`'s to say."""
    with contextlib.suppress(configparser.Error, UnicodeDecodeError):
        luigi.configuration.add_config_path(str(find_tasks_cfg()))
    overlay = find_overlay()
    merged = luigi.configuration.get_config()
    if overlay is not None:
        # Luigi has read it already, below tasks.cfg, or could not: laid over it again it wins.
        with contextlib.suppress(UserError):
            merged.read_dict(read_settings(overlay), str(overlay))
    if not merged.get("core", "scheduler_host", "") and not merged.get("core", "scheduler_url", ""):
        # Luigi would look for luigid on this machine; without one named, the scheduler lives in this process.
        merged.set("core", "local_scheduler", "true")
        return
    if not merged.has_option("worker", "keep_alive"):
        # A host without work would leave while others still compute what its FullRun waits for.
        merged.set("worker", "keep_alive", "true")
    if not merged.has_option("core", "rpc_retry_attempts"):
        # Asked every 30 s: a luigid that is away for ten minutes costs no host.
        merged.set("core", "rpc_retry_attempts", "25")


def find_tasks_cfg() -> Path:
    """Find tasks.cfg: that of the current folder, else the repository's, else the one inside an installed package."""
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
    """Say what is wrong with each declared feature as a whole; its values are right one by one."""
    for section, values in _read_feature_sections().items():
        try:
            read_feature(section, values)
        except ValueError as error:
            yield str(error)


def _find_unknown_features() -> Iterable[str]:
    """Say which features `[vnet]` and `[anet] features` name that are not declared, or not of faces or of sound."""
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
    """Tell whether this process schedules for itself alone; otherwise luigid does, for several hosts."""
    merged = luigi.configuration.get_config()
    return merged.getboolean("core", "local_scheduler", False)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The values of every section, read once: a run and all its stages have those it was opened with.

    `features` are those that the user declares, in the order of their names.
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
        """Take the values as `load` has left them."""
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
        """Give all sections as JSON has them."""
        return {
            section: {name: _as_plain(value) for name, value in self.values(section).items()} for section in SECTIONS
        }

    def describe_training(self, network: str) -> dict[str, Any]:
        """Give the values of a training's section that its checkpoints are known by."""
        values = self.values(network)
        silent = find_silent(TRAININGS[network], values)
        return {option: value for option, value in values.items() if option not in silent}

    def find_changed(self) -> dict[str, list[Any]]:
        """Give "[section] option" -> [default, value] of the settings that are not the defaults, places left out."""
        found = {}
        for name, section in SECTIONS.items():
            values = self.values(name)
            for option, parameter in section.get_params():
                default = parameter._default
                if is_result(f"[{name}] {option}") and values[option] != default:
                    found[f"[{name}] {option}"] = [_as_plain(default), _as_plain(values[option])]
        return found


def is_result(setting: str) -> bool:
    """Tell whether a setting, "[section] option", says what comes out, and not where things are or how they are run."""
    section, _, option = setting.removeprefix("[").partition("] ")
    return section not in _PLACES and option not in _PLACES


def find_default(setting: str) -> Any:
    """Give the default of a setting, "[section] option", as JSON has it; None where there is no such setting."""
    section, _, option = setting.removeprefix("[").partition("] ")
    defaults = dict(SECTIONS[section].get_params()) if section in SECTIONS else {}
    return _as_plain(defaults[option]._default) if option in defaults else None


def _as_plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
