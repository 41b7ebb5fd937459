"""Run the tests of the compiled code under the address and undefined-behaviour sanitizers: `make sanitize`.

The tree is copied, and its kernels are compiled there with every check, by gcc and by clang where they are installed:
nothing that is installed is touched. AVX-512's kernels are compiled with emulated instructions
(emulated_avx512.h), so that they run on any processor with AVX2. New memory is filled with bytes that are no numbers.
Where there is a second compiler, its ordinary build has to pass the same tests too. Any report, warning, failure or
skipped test ends it with exit code 1.
"""

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import tomllib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
COPIED = ("models", "pipeline", "store", "tests", "valar", "pyproject.toml", "tasks.cfg", "demo.cfg")
TESTS = (
    "tests/models/test_compiled.py",
    "tests/models/mtcnn/test_native_engine.py",
    "tests/models/sphereface/test_native_engine.py",
    "tests/pipeline/faces/test_images.py",
)
WARNINGS = ("-Wall", "-Wextra", "-Wshadow", "-Wconversion", "-Wno-sign-conversion", "-Werror")
CHECKS = (
    *("-O1", "-g1", "-fno-omit-frame-pointer", "-fsanitize=address,undefined,float-cast-overflow"),
    *("-fno-sanitize-recover=all", "-DIS_SANITIZED", "-Wno-psabi"),
    *("-include", "tests/native/emulated_avx512.h"),
)
# Leaks are not reported, because Python itself leaks. Bytes of 255 make each number in new memory a NaN.
ASAN_OPTIONS = "detect_leaks=0:abort_on_error=1:max_malloc_fill_size=1000000000:malloc_fill_byte=255"
# Names of each compiler's library that has to be loaded before everything else.
RUNTIMES = {"gcc": ("libasan.so", "libubsan.so"), "clang": ("libclang_rt.asan-x86_64.so", "libclang_rt.asan.so")}


def find_compilers() -> dict[str, str]:
    """Find a gcc and a clang; Debian's clang has its version in its name."""
    names = {"gcc": ["gcc"], "clang": ["clang", *(f"clang-{version}" for version in range(30, 13, -1))]}
    found = {kind: next(filter(shutil.which, names[kind]), None) for kind in names}
    return {kind: name for kind, name in found.items() if name is not None}


def copy_tree(to: Path) -> None:
    """Copy what the tests need, without any compiled module."""
    for name in COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, to / name, ignore=shutil.ignore_patterns("*.so", "__pycache__"))
        else:
            shutil.copy(ROOT / name, to / name)


def build(tree: Path, compiler: str, flags: tuple[str, ...]) -> None:
    """Compile every module of pyproject.toml; a warning is an error, and a module that is missing is one too."""
    settings = tomllib.loads((tree / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    common = [compiler, "-fPIC", "-isystem", sysconfig.get_paths()["include"], *WARNINGS]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        objects = {
            module["name"]: list(
                pool.map(
                    lambda source, own=tuple(module["extra-compile-args"]): _compile(
                        tree, source, [*common, *own, *flags]
                    ),
                    module["sources"],
                )
            )
            for module in settings["ext-modules"]
        }
    for name, parts in objects.items():
        to = tree / Path(*name.split(".")).with_suffix(sysconfig.get_config_var("EXT_SUFFIX"))
        shared = ["-shared-libasan"] if "clang" in compiler and flags else []
        linked = [flag for flag in flags if flag.startswith("-fsanitize")]
        subprocess.run([compiler, "-shared", *linked, *shared, "-o", str(to), *parts, "-lm"], cwd=tree, check=True)


def _compile(tree: Path, source: str, command: list[str]) -> str:
    to = source.replace("/", "-").removesuffix(".c") + ".o"
    subprocess.run([*command, "-c", source, "-o", to], cwd=tree, check=True)
    return to


def find_runtime(kind: str, compiler: str) -> str:
    """Return the libraries to load first, because the interpreter was not linked with them."""
    said = (
        subprocess.run(
            [compiler, f"-print-file-name={name}"], capture_output=True, text=True, check=True
        ).stdout.strip()
        for name in RUNTIMES[kind]
    )
    found = [path for path in said if Path(path).is_absolute() and Path(path).exists()]
    if not found:
        raise FileNotFoundError(f"{compiler} has no sanitizers: install its runtime (libclang-rt-dev)")
    return " ".join(found)


def run_tests(tree: Path, environment: dict[str, str], options: list[str]) -> int:
    """Run the kernels' tests in a tree, and give pytest's exit code."""
    # pytest must not capture what a sanitizer writes to the process's own stream: the process ends with it.
    command = [sys.executable, "-m", "pytest", "-q", "-x", "--capture=sys", "-p", "no:cacheprovider", *options, *TESTS]
    return subprocess.run(command, cwd=tree, env={**os.environ, "VALAR_REQUIRE_KERNEL": "1", **environment}).returncode


def check_that_reports_are_seen(environment: dict[str, str]) -> None:
    """Read beyond the end of some memory: if that is not reported, no other fault would be reported either."""
    code = """if True:
        import ctypes
        c = ctypes.CDLL(None)
        c.malloc.restype = ctypes.c_void_p
        c.memset(ctypes.c_void_p(c.malloc(8)), 0, 9)"""
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **environment}, capture_output=True, text=True
    )
    if done.returncode == 0 or "AddressSanitizer" not in done.stderr:
        raise RuntimeError(f"the address sanitizer does not see a write beyond the end (exit code {done.returncode})")


def sanitize(kind: str, compiler: str) -> int:
    """Build with every check and run the tests."""
    with tempfile.TemporaryDirectory(prefix="valar-sanitize-") as folder:
        tree = Path(folder)
        copy_tree(tree)
        build(tree, compiler, CHECKS)
        environment = {
            "LD_PRELOAD": find_runtime(kind, compiler),
            "ASAN_OPTIONS": ASAN_OPTIONS,
            "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1",
        }
        check_that_reports_are_seen(environment)
        return run_tests(tree, environment, ["-p", "tests.native.every_instruction"])


def build_as_installed(compiler: str) -> int:
    """Build as pip does, but by another compiler, and run the tests."""
    with tempfile.TemporaryDirectory(prefix="valar-compiler-") as folder:
        tree = Path(folder)
        copy_tree(tree)
        build(tree, compiler, ())
        return run_tests(tree, {}, [])


def main() -> int:
    """Sanitize by every compiler, and try the other ones' ordinary builds."""
    compilers = find_compilers()
    if not compilers:
        print("make sanitize needs gcc or clang", file=sys.stderr)
        return 2
    for number, (kind, compiler) in enumerate(compilers.items()):
        print(f"sanitizing by {compiler}", flush=True)
        if sanitize(kind, compiler) != 0 or (number > 0 and build_as_installed(compiler) != 0):
            print(f"failed: the build by {compiler}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
