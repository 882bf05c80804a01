"""Holds README.md, CONTRIBUTING.md and docs/*.md to what is there.

    python tests/docs_test.py --bin DIR      exit code 1 and one line per fault
    python tests/docs_test.py --self-test    proves on made-up pages and programs that each rule fires

Commands are looked for in code: fenced and indented blocks, and spans that begin with one. Rules:
  program   a command is a program in DIR (xtasc-NAME), or a script of the repository (launch/NAME.sh, tests/NAME.py)
  option    the subcommand and each --option stand in its --help, and so does a value where the help lists the values
  key       what --set names is a key of `xtasc-train --print-config`, unless the next line shows that it is refused
  preset    what --preset names is in CMakePresets.json
  file      a path below a folder of the repository exists, in code or prose, but for what a command writes
  link      a relative link leads to a file, and its #anchor to a heading
  test      a test FILE::NAME is there, and each row of docs/faults.md names one or says that there is none
  length    README.md has 180 lines at most
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import stat
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from support import named_tests

README_LINES = 180
FOLDERS = ("cmake", "configs", "docs", "launch", "preprocess", "results", "slurm", "src", "sweeps", "tests")
WRITTEN = ("results/runs", "results/gpu")  # by commands shown
WRITES = ("--output", "--json", "--report")  # options whose values are not looked for
PROGRAM = re.compile(r"xtasc-[a-z]+")
SCRIPT = re.compile(r"(?:launch|slurm|tests|results)/(?:[\w.]+/)*\w+\.(?:sh|py)")
PATH = re.compile(r"(?<![\w./-])(?:%s)/[\w./*{},-]*" % "|".join(FOLDERS))
OPTION = re.compile(r"(?<![\w-])--[a-z][\w-]*")
FENCE = re.compile(r"^\s*```\s*(\w*)")
FENCES = {"", "sh", "bash", "console"}  # whose text may hold commands
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
LAUNCHERS = ("mpirun", "python", "python3")
PLACEHOLDER = re.compile(r"[A-Z]{3,}|\.\.\.")


@dataclass(frozen=True)
class Snippet:
    """A line of code of a page, and the line after it where that is code too."""

    page: str
    line: int
    text: str
    following: str = ""


@dataclass
class Help:
    subcommands: set[str] = field(default_factory=set)
    options: dict[str, set[str]] = field(default_factory=dict)  # name -> the values that it takes; empty: any


def read_help(text: str) -> Help:
    """What a program's --help offers: CLI11's columns, argparse's, or a script's prose."""
    found = Help()
    in_subcommands = False
    for line in text.splitlines():
        if line and not line.startswith(" "):
            in_subcommands = line.startswith("Subcommands")
        elif in_subcommands and (word := re.match(r"  ([a-z]\w*)\s", line)):
            found.subcommands.add(word[1])
        for option in OPTION.findall(line):
            found.options.setdefault(option, set())
        if listed := re.match(r"  (?:-\w,)?(--[\w-]+) TEXT:\{([^}]*)\}", line):
            found.options[listed[1]] = set(listed[2].split(","))
    return found


def snippets(page: str, text: str) -> list[Snippet]:
    """Lines of fenced and indented blocks, continuation lines joined, and spans of prose."""
    lines = text.splitlines()
    code: list[tuple[int, str]] = []
    prose: list[Snippet] = []
    fence: str | None = None
    for number, line in enumerate(lines, start=1):
        if opened := FENCE.match(line):
            fence = opened[1] if fence is None else None
        elif fence is not None:
            if fence in FENCES:
                code.append((number, line.strip()))
        elif line.startswith("    "):
            code.append((number, line.strip()))
        else:
            prose += [Snippet(page, number, span) for span in re.findall(r"`([^`]+)`", line)]
    found = []
    prompts = prompt_blocks(code)
    for position, (number, line) in enumerate(code):
        if number in prompts and not line.startswith("$ "):
            continue
        after = position + 1
        while after < len(code) and code[after][0] == code[after - 1][0] + 1 and (
            line.endswith("\\") or code[after][1].startswith("[--")
        ):
            line = line.removesuffix("\\") + " " + code[after][1]
            after += 1
        adjacent = after < len(code) and code[after][0] == code[after - 1][0] + 1
        found.append(Snippet(page, number, line, code[after][1] if adjacent else ""))
    return found + prose


def prompt_blocks(code: list[tuple[int, str]]) -> set[int]:
    """The lines of blocks in which a prompt ($) tells commands from what they print."""
    found: set[int] = set()
    block: list[int] = []
    with_prompt = False
    for number, line in [*code, (-1, "")]:
        if block and number != block[-1] + 1:
            found.update(block if with_prompt else [])
            block, with_prompt = [], False
        block.append(number)
        with_prompt = with_prompt or line.startswith("$ ")
    return found


def words_of(text: str) -> list[str]:
    """A command's or a synopsis's words: brackets of what may be left out are dropped, A|B becomes two words."""
    text = re.sub(r"(?<!\S)#.*", "", text.removeprefix("$ "))
    text = re.sub(r"[\[\]]|\.\.\.", " ", re.sub(r"=\[[^\]]*\]", "=x", text))
    try:
        return shlex.split(text)
    except ValueError:
        return text.split()


def commands(text: str) -> list[list[str]]:
    """The parts of a line that call a program or a script of ours, each beginning with its name."""
    found = []
    for part in re.split(r"&&|;|(?<=\s)\|(?=\s)", text):
        words = words_of(part)
        for position, word in enumerate(words):
            before = [earlier for earlier in words[:position] if not re.match(r"[A-Z_]+=", earlier)]
            name = word.rsplit("/bin/", 1)[-1]
            if (not before or before[0] in LAUNCHERS) and (PROGRAM.fullmatch(name) or SCRIPT.fullmatch(word)):
                found.append([name, *words[position + 1 :]])
                break
    return found


class Checker:
    def __init__(self, root: Path, bin_folder: Path):
        self.root = root
        self.bin = bin_folder
        self.faults: list[str] = []

    def fault(self, page: str, line: int, what: str) -> None:
        self.faults.append(f"{page}:{line}: {what}")

    @cache
    def output(self, *command: str) -> str:
        environment = dict(os.environ, OMP_NUM_THREADS="1")
        done = subprocess.run(command, cwd=self.root, capture_output=True, text=True, timeout=120, env=environment)
        if done.returncode != 0:
            said = (done.stdout + done.stderr).strip()[-300:]
            raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}: {said}")
        return done.stdout

    @cache
    def help_of(self, name: str, subcommand: str = "") -> Help:
        if PROGRAM.fullmatch(name):
            command = [str(self.bin / name), subcommand, "--help"] if subcommand else [str(self.bin / name), "--help"]
        else:
            command = [sys.executable if name.endswith(".py") else "bash", str(self.root / name), "--help"]
        text = self.output(*command)
        if "options of launch/setup.sh" in text:
            text += self.output("bash", str(self.root / "launch/setup.sh"), "--help")
        return read_help(text)

    @cache
    def keys(self) -> set[str]:
        text = self.output(str(self.bin / "xtasc-train"), "--config", "configs/base.toml", "--print-config")
        found, section = set(), ""
        for line in text.splitlines():
            if heading := re.match(r"\[([\w.]+)\]", line):
                section = heading[1]
            elif key := re.match(r"(\w+) =", line):
                found.add(f"{section}.{key[1]}")
        return found

    @cache
    def presets(self) -> set[str]:
        described = json.loads((self.root / "CMakePresets.json").read_text())
        return {preset["name"] for preset in described["configurePresets"] if not preset.get("hidden")}

    def exists(self, path: str) -> bool:
        path = path.rstrip("./,")
        is_written = any(path == out or path.startswith(out + "/") for out in WRITTEN)
        if not path or is_written or PLACEHOLDER.search(path):
            return True
        braces = re.search(r"\{([^}]*)\}", path)
        if braces:
            return all(self.exists(path.replace(braces[0], word)) for word in braces[1].split(","))
        return any(self.root.glob(path)) if "*" in path else (self.root / path).exists()

    def check_command(self, where: Snippet, words: list[str]) -> None:
        name, *rest = words
        if PROGRAM.fullmatch(name):
            if not (self.bin / name).exists():
                return self.fault(where.page, where.line, f"there is no program {name}")
        elif not (self.root / name).exists():
            return None  # check_paths says so
        if not rest:
            return None
        known = self.help_of(name)
        if known.subcommands:
            listed = [word for word in rest[:1] if not word.startswith("-") and re.fullmatch(r"[a-z]\w*", word)]
            if listed and listed[0] not in known.subcommands:
                return self.fault(where.page, where.line, f"{name} has no subcommand {listed[0]}")
            if listed:
                name, rest = f"{name} {listed[0]}", rest[1:]
                known = self.help_of(words[0], listed[0])
        refused = "error:" in where.following
        for position, word in enumerate(rest):
            if not (option := re.match(r"--[a-z][\w-]*", word)):
                continue
            if option[0] not in known.options and option[0] not in ("--help", "--version"):
                self.fault(where.page, where.line, f"{name} has no option {option[0]}")
                continue
            value = word[len(option[0]) + 1 :] or (rest[position + 1] if position + 1 < len(rest) else "")
            self.check_value(where, name, option[0], value, known, refused)
        return None

    def check_value(self, where: Snippet, name: str, option: str, value: str, known: Help, refused: bool) -> None:
        if option == "--set" and not refused:
            key = value.split("=")[0]
            if "." in key and key != "section.key" and key not in self.keys():
                self.fault(where.page, where.line, f"--set {value}: there is no key {key}")
        if option == "--preset" and value.islower() and value not in self.presets():
            self.fault(where.page, where.line, f"there is no preset {value}")
        values = known.options.get(option, set())
        for word in re.split(r"[,|]", value) if values and not value.startswith("-") else []:
            if word not in values and not word.isupper():
                self.fault(where.page, where.line, f"{name} {option} takes {', '.join(sorted(values))}, not {word}")

    def check_paths(self, page: str, text: str) -> None:
        for number, line in enumerate(text.splitlines(), start=1):
            line = re.sub(r"\]\([^)]*\)|https?://\S+", "", line)
            for option in WRITES:
                line = re.sub(rf"{option}[ =]\S+", "", line)
            for path in PATH.findall(line):
                if not self.exists(path):
                    self.fault(page, number, f"there is no {path.rstrip('.,')}")
            # Headers as sources include them: core/error.hpp is src/core/error.hpp.
            for header in re.findall(r"(?<![\w./-])([a-z_]+/[\w/]+\.(?:hpp|cpp|cu))\b", line):
                if header.split("/")[0] not in FOLDERS and not (self.root / "src" / header).exists():
                    self.fault(page, number, f"there is no src/{header}")

    def check_links(self, page: str, text: str) -> None:
        here = (self.root / page).parent
        for number, line in enumerate(text.splitlines(), start=1):
            for target in LINK.findall(line):
                if re.match(r"[a-z]+:", target):
                    continue
                path, _, anchor = target.partition("#")
                file = here / path if path else self.root / page
                if not file.exists():
                    self.fault(page, number, f"the link {target} leads nowhere")
                elif anchor and anchor not in anchors(file.read_text()):
                    self.fault(page, number, f"{path or page} has no heading #{anchor}")

    def check_page(self, page: str) -> None:
        text = (self.root / page).read_text()
        if page == "README.md" and len(text.splitlines()) > README_LINES:
            self.fault(page, README_LINES + 1, f"has {len(text.splitlines())} lines; {README_LINES} at most")
        for snippet in snippets(page, text):
            for words in commands(snippet.text):
                self.check_command(snippet, words)
        for line, what in named_tests.faults(self.root, page, text):
            self.fault(page, line, what)
        self.check_paths(page, text)
        self.check_links(page, text)


def anchors(text: str) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", re.sub(r"^```.*?^```", "", text, flags=re.M | re.S), flags=re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def pages(root: Path) -> list[str]:
    found = [root / name for name in ("README.md", "CONTRIBUTING.md") if (root / name).exists()]
    return [str(file.relative_to(root)) for file in [*found, *sorted((root / "docs").glob("*.md"))]]


def check(root: Path, bin_folder: Path) -> tuple[list[str], int]:
    """The faults, and the number of commands that were looked at."""
    checker = Checker(root, bin_folder)
    num_commands = 0
    for page in pages(root):
        checker.check_page(page)
        found = snippets(page, (root / page).read_text())
        num_commands += sum(len(commands(snippet.text)) for snippet in found)
    return checker.faults, num_commands


# ---- self-test -------------------------------------------------------------------------------------------------------
HELP = """Usage
Options:
  -h,--help                   Print this help message and exit
  --set TEXT ...              Override one key
  --split TEXT:{val,train}=val
                              Which images
  --config TEXT               A config
  --print-config
"""
FAKE = f"""#!/bin/bash
case "$*" in
  *--print-config) printf '[model]\\nencoder = 1\\n' ;;
  'verify --help') cat <<'TEXT'
{HELP}TEXT
  ;;
  *) cat <<'TEXT'
{HELP}
Subcommands:
  verify                      Read every byte
TEXT
  ;;
esac
"""
# A page's text -> what the one fault must say; None: no fault.
CASES = {
    "    $ xtasc-train verify\n    xtasc-train repair: this is what it prints": None,
    "    $ xtasc-train verify --split val --set model.encoder=x": None,
    "```sh\nmpirun -np 2 xtasc-train verify \\\n  --nothing 1\n```": "xtasc-train verify has no option --nothing",
    "see `xtasc-train repair a.h5`": "no subcommand repair",
    "    xtasc-nobody --help": "no program xtasc-nobody",
    "    A=1 xtasc-train [--split val|test] [--config FILE]": "takes train, val, not test",
    "    xtasc-train --set model.encodr=1": "no key model.encodr",
    "    xtasc-train --set model.encodr=1\n    xtasc-train: error: unknown key": None,
    "    xtasc-train --config configs/absent.toml": "no configs/absent.toml",
    "    launch/absent.sh": "no launch/absent.sh",
    "    launch/here.sh --nothing": "launch/here.sh has no option --nothing",
    "    launch/here.sh --preset relese": "no preset relese",
    "see src/absent.hpp": "no src/absent.hpp",
    "see `core/absent.hpp`": "no src/core/absent.hpp",
    "[a](absent.md)": "leads nowhere",
    "[a](#absent)\n# Present": "no heading #absent",
    "[a](#the-one-heading)\n# The `one` heading!": None,
    "see `tests/here_test.py::test_here` and tests/here_test.cpp::Suite.Here.": None,
    "see `tests/here_test.py::test_absent`": "no test tests/here_test.py::test_absent",
    "see `tests/here_test.cpp::Suite.Her`": "no test tests/here_test.cpp::Suite.Her",
    "line\n" * 181: "has 181 lines",
}


def self_test() -> list[str]:
    failures = []
    for text, expected in CASES.items():
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            for name in ("bin", "docs", "launch", "configs", "tests"):
                (root / name).mkdir()
            (root / "CMakePresets.json").write_text('{"configurePresets": [{"name": "release"}]}')
            (root / "configs/base.toml").write_text("")
            (root / "launch/here.sh").write_text("echo 'Usage: here.sh [--preset NAME]'\n")
            (root / "bin/xtasc-train").write_text(FAKE)
            (root / "bin/xtasc-train").chmod(0o700 | stat.S_IXUSR)
            (root / "tests/here_test.py").write_text("    def test_here(self) -> None:\n")
            (root / "tests/here_test.cpp").write_text("TEST_F(Suite,\n       Here) {\n")
            (root / "README.md").write_text(text)
            faults, _ = check(root, root / "bin")
            as_expected = not faults if expected is None else len(faults) == 1 and expected in faults[0]
            if not as_expected:
                failures.append(f"{text[:60]!r}: expected {expected!r}, found {faults}")
    return failures


def main() -> int:
    parser = argparse.ArgumentParser(description="Holds the documents' commands, files and links to what is there.")
    parser.add_argument("--root", type=Path, default=Path(__file__).resolve().parent.parent)
    parser.add_argument("--bin", type=Path, help="folder of the programs")
    parser.add_argument("--self-test", action="store_true")
    options = parser.parse_args()
    if options.self_test:
        faults, done = self_test(), f"{len(CASES)} made-up pages: each rule fires"
    elif options.bin is None:
        parser.error("--bin DIR is needed")
    else:
        try:
            faults, number = check(options.root.resolve(), options.bin.resolve())
        except RuntimeError as error:
            faults, number = [str(error)], 0
        done = f"{number} commands on {len(pages(options.root))} pages parse; their files and links are there"
    print("\n".join(faults) if faults else done)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
