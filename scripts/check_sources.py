"""Checks the rules of the sources: usage check_sources.py ROOT. One line for each offence, as file:line: what."""

import pathlib
import re
import shutil
import subprocess
import sys

# Who may include whom: only what is strictly below. What is not listed may include everything.
BELOW = {
    "fiber": set(),
    "timer": set(),
    "sched": {"fiber", "timer"},
    "channel": {"sched", "fiber", "timer"},
    "io": {"sched", "fiber", "timer"},
}
LINES_MAX = 600
# Spelled so that this file does not offend itself.
UNFINISHED = re.compile(r"\b(?:TO" + r"DO|FIX" + r"ME|XX" + r"X|HA" + r"CK|un" + r"implemented|not " + r"implemented)\b")
TEXT = {".hpp", ".cpp", ".h", ".c", ".py", ".sh", ".md", ".txt", ".cmake", ".in", ""}
COUNTED = {".hpp", ".cpp", ".h", ".c", ".py", ".sh"}


def project_files(root):
    listed = None
    if shutil.which("git"):
        listed = subprocess.run(
            ["git", "-C", root, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            capture_output=True, text=True, check=False)
    if listed and listed.returncode == 0:
        paths = [pathlib.Path(name) for name in listed.stdout.split("\0") if name]
    else:  # an unpacked archive
        paths = [p.relative_to(root) for p in pathlib.Path(root).rglob("*")
                 if not p.relative_to(root).parts[0].startswith(("build", ".git"))]
    return sorted(p for p in paths if (root / p).is_file() and not (root / p).is_symlink())


def check_includes(path, lines):
    folder = path.parts[0]
    if folder not in BELOW or path.suffix not in COUNTED:  # pages show programs
        return
    allowed = BELOW[folder] | {folder}
    for number, line in enumerate(lines, 1):
        include = re.match(r'\s*#\s*include\s*([<"])([^>"]+)[>"]', line)
        if include is None:
            continue
        quote, name = include.groups()
        if quote == '"':
            yield number, f'write #include <zsync/...> instead of "{name}"'
        elif name.startswith("zsync/"):
            parts = name.split("/")
            target = parts[1] if len(parts) > 2 else "the whole of zsync"
            # Folders within a folder know it, and it does not know them.
            if target == folder and len(parts) > 3 and path.parts[1:-1] != tuple(parts[2:-1]):
                yield number, f"{folder} must not include {'/'.join(parts[1:-1])}"
            if target not in allowed:
                yield number, f"{folder} must not include {target}"


def check_text(path, lines):
    if path.suffix in COUNTED and len(lines) > LINES_MAX:
        yield len(lines), f"{len(lines)} lines; at most {LINES_MAX} are good to read"
    for number, line in enumerate(lines, 1):
        mark = UNFINISHED.search(line)
        if mark:
            yield number, f"a mark of unfinished work: {mark.group()}"
        if path.suffix in (".hpp", ".cpp") and line != line.rstrip():
            yield number, "space at the end of the line"
    if path.suffix == ".hpp" and "#pragma once" not in lines:
        yield 1, "a header without #pragma once"


def reachable(root, path, seen):
    if path in seen or not (root / path).is_file():
        return seen
    seen.add(path)
    for name in re.findall(r"^\s*#\s*include <zsync/([^>]+)>", (root / path).read_text(), re.M):
        reachable(root, pathlib.Path(name), seen)
    return seen


def check_surface(root, files):
    """<zsync/zsync.hpp> includes whatever users may use: what is not all in zsync::detail, and does not say so."""
    public = reachable(root, pathlib.Path("zsync.hpp"), set())
    for path in files:
        if path.suffix != ".hpp" or path.parts[0] not in BELOW or len(path.parts) > 2 or path in public:
            continue
        text = (root / path).read_text()
        if re.search(r"^namespace zsync(?!::detail)\b", text, re.M) and "Not a public header" not in text:
            yield path, 1, "zsync.hpp does not include it, and it does not say `Not a public header`"


LITERAL = r'"(?:[^"\\]|\\.)*"'
TEST_CASE = re.compile(r"\bTEST_CASE\(\s*((?:" + LITERAL + r"\s*)+)")


def test_names(root, files):
    """`folder: name`, as ctest shows them."""
    names = {}
    for path in files:
        if path.parts[0] != "tests" or path.suffix != ".cpp":
            continue
        for match in TEST_CASE.finditer((root / path).read_text()):
            name = "".join(part[1:-1] for part in re.findall(LITERAL, match.group(1)))
            names.setdefault(f"{path.parts[1]}: {name}", []).append(path)
    return names


def check_test_names(names):
    for name, places in names.items():
        if len(places) > 1:
            yield places[1], 1, f"two tests of one name: {name}"
        if re.search(r'[*\\";]|^~', name):
            yield places[0], 1, f'a name of a test with one of * \\ " ; in it, which Catch or ctest take apart: {name}'


def check_table(root, names, path, everywhere):
    """Tables name tests: of tests/README.md those that provoke the events of the reliability contract, of
    tests/PLANTED.md those that catch a planted bug."""
    if not (root / path).is_file():
        return
    inside = everywhere
    for number, line in enumerate((root / path).read_text().splitlines(), 1):
        if line.startswith("#"):
            inside = everywhere or "contract" in line.lower()
        if inside and line.startswith("|"):
            for name in re.findall(r"`([^`]+)`", line.split("|")[-2]):
                if ": " in name and not name.startswith("soak") and name not in names:
                    yield path, number, f"there is no such test: {name}"


def main():
    root = pathlib.Path(sys.argv[1]).resolve()
    files = project_files(root)
    offences = []
    for path in files:
        if path.suffix not in TEXT or path.parts[0] == "LICENSE":
            continue
        try:
            lines = (root / path).read_text().splitlines()
        except UnicodeDecodeError:
            continue
        for number, what in [*check_includes(path, lines), *check_text(path, lines)]:
            offences.append((path, number, what))
    names = test_names(root, files)
    offences += [*check_surface(root, files), *check_test_names(names),
                 *check_table(root, names, pathlib.Path("tests/README.md"), False),
                 *check_table(root, names, pathlib.Path("tests/PLANTED.md"), True)]
    for path, number, what in offences:
        print(f"{path}:{number}: {what}")
    return 1 if offences else 0


sys.exit(main())
