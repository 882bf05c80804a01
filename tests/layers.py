"""Holds the sources to the layers that src/CMakeLists.txt defines: its xtasc_module(...) lines are the only list.

    python tests/layers.py [--root DIR]     exit code 1 and one line per fault
    python tests/layers.py --self-test      proves on a made-up tree that each rule fires

Rules:
  order      a module USES only modules defined above it, and one without TORCH comes before all with TORCH
  include    a file in src/NAME includes only headers of NAME and of the modules that NAME USES by name
  unused     a file in src/NAME includes a header of each module that NAME USES, and a file of a program of each that it names
  torch      a module without TORCH, and the programs that link no LibTorch, include no torch header and no TORCH module
  listed     each source in src/ is in its module's SOURCES, CUDA_SOURCES or NO_CUDA_SOURCES, and each listed one exists
  cuda       no file asks whether its build has CUDA: what differs is a source in CUDA_SOURCES and one in NO_CUDA_SOURCES
  once       each header of the project has #pragma once
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

HEADERS = {".hpp", ".h", ".cuh"}
SOURCES = {".cpp", ".cc", ".cu", ".c"}
TORCH_HEADER = re.compile(r"^(torch|ATen|c10|caffe2)/")
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')
TORCH_FREE_PROGRAMS = ("preprocess", "results", "sweeps")
PROGRAM_FOLDERS = ("launch", *TORCH_FREE_PROGRAMS)
ALL_FOLDERS = ("src", "launch", "preprocess", "results", "sweeps", "tests")
SOURCE_KEYWORDS = ("SOURCES", "CUDA_SOURCES", "NO_CUDA_SOURCES")
KEYWORDS = {"TORCH", *SOURCE_KEYWORDS, "USES", "LIBRARIES"}


@dataclass(frozen=True)
class Module:
    name: str
    torch: bool
    sources: tuple[str, ...]
    uses: tuple[str, ...]


def read_modules(cmake: Path) -> list[Module]:
    """The xtasc_module(...) calls, in their order."""
    text = re.sub(r"#.*", "", cmake.read_text())
    modules = []
    for call in re.findall(r"\bxtasc_module\(([^)]*)\)", text):
        name, *words = call.split()
        lists: dict[str, list[str]] = {keyword: [] for keyword in KEYWORDS}
        current = ""
        for word in words:
            if word in KEYWORDS:
                current = word
            else:
                lists[current].append(word)
        sources = [source for keyword in SOURCE_KEYWORDS for source in lists[keyword]]
        modules.append(Module(name, "TORCH" in words, tuple(sources), tuple(lists["USES"])))
    return modules


def includes(file: Path) -> list[tuple[int, str, str]]:
    """(line number, '<' or '"', path) of each include."""
    found = []
    for number, line in enumerate(file.read_text().splitlines(), start=1):
        if match := INCLUDE.match(line):
            found.append((number, match[1], match[2]))
    return found


def files_below(folder: Path, suffixes: set[str]) -> list[Path]:
    return sorted(file for file in folder.rglob("*") if file.suffix in suffixes) if folder.is_dir() else []


def check_order(modules: list[Module]) -> list[str]:
    faults = []
    above: dict[str, Module] = {}
    torch_seen = ""
    for module in modules:
        for used in module.uses:
            if used not in above:
                faults.append(f"order: module '{module.name}' uses '{used}', which is not defined above it")
            elif above[used].torch and not module.torch:
                faults.append(f"torch: module '{module.name}' has no TORCH, but uses '{used}', which has")
        if module.torch:
            torch_seen = torch_seen or module.name
        elif torch_seen:
            faults.append(f"order: module '{module.name}' has no TORCH, but stands below '{torch_seen}', which has")
        above[module.name] = module
    return faults


def check_includes(root: Path, modules: list[Module]) -> list[str]:
    faults = []
    by_name = {module.name: module for module in modules}
    for module in modules:
        for file in files_below(root / "src" / module.name, HEADERS | SOURCES):
            for number, bracket, path in includes(file):
                where = f"{file.relative_to(root)}:{number}"
                if not module.torch and TORCH_HEADER.match(path):
                    faults.append(f"torch: {where}: includes {path}, but module '{module.name}' has no TORCH")
                    continue
                other = path.split("/")[0]
                if bracket == '"' and other in by_name and other not in (module.name, *module.uses):
                    faults.append(f"include: {where}: includes {path}, but '{module.name}' does not use '{other}'")
    for program in TORCH_FREE_PROGRAMS:
        for file in files_below(root / program, HEADERS | SOURCES):
            for number, bracket, path in includes(file):
                other = by_name.get(path.split("/")[0])
                if TORCH_HEADER.match(path) or (bracket == '"' and other is not None and other.torch):
                    faults.append(f"torch: {file.relative_to(root)}:{number}: includes {path}, but links no LibTorch")
    return faults


def check_unused(root: Path, modules: list[Module]) -> list[str]:
    faults = []
    names = {module.name for module in modules}
    for module in modules:
        files = files_below(root / "src" / module.name, HEADERS | SOURCES)
        included = {path.split("/")[0] for file in files for _, bracket, path in includes(file) if bracket == '"'}
        for used in module.uses:
            if used in names and used not in included:
                faults.append(f"unused: module '{module.name}' uses '{used}', but none of its files includes it")
    return faults


def check_programs(root: Path, modules: list[Module]) -> list[str]:
    """What the xtasc_program(...) calls say that they use; a list in a variable counts as one that wants no look."""
    faults = []
    names = {module.name for module in modules}
    for cmake in (root / folder / "CMakeLists.txt" for folder in PROGRAM_FOLDERS):
        text = re.sub(r"#.*", "", cmake.read_text()) if cmake.is_file() else ""
        for program, sources, used in re.findall(r"\bxtasc_program\((\S+)\s+SOURCES([^)]*?)\bUSES([^)]*)\)", text):
            files = [cmake.parent / source for source in sources.split()]
            files += [header for header in (file.with_suffix(".hpp") for file in files) if header.is_file()]
            included = {path.split("/")[0] for file in files for _, bracket, path in includes(file) if bracket == '"'}
            faults += [f"unused: {program} uses '{name}', but none of its files includes it"
                       for name in used.split() if name in names and name not in included]
    return faults


def check_listed(root: Path, modules: list[Module]) -> list[str]:
    listed = {root / "src" / module.name / source for module in modules for source in module.sources}
    found = set(files_below(root / "src", SOURCES))
    folders = {root / "src" / module.name for module in modules}
    faults = [f"listed: {file.relative_to(root)} is in no module" for file in sorted(found - listed)]
    faults += [f"listed: {file.relative_to(root)} is listed, but does not exist" for file in sorted(listed - found)]
    for header in files_below(root / "src", HEADERS):
        if folders.isdisjoint(header.parents):
            faults.append(f"listed: {header.relative_to(root)} is in no module's folder")
    return faults


def check_once(root: Path) -> list[str]:
    faults = []
    for folder in ALL_FOLDERS:
        for header in files_below(root / folder, HEADERS):
            if not re.search(r"^#pragma once$", header.read_text(), re.MULTILINE):
                faults.append(f"once: {header.relative_to(root)} lacks #pragma once")
    return faults


def check_cuda(root: Path) -> list[str]:
    return [f"cuda: {file.relative_to(root)} asks for XTASC_WITH_CUDA"
            for folder in ALL_FOLDERS for file in files_below(root / folder, HEADERS | SOURCES)
            if "XTASC_WITH_CUDA" in file.read_text()]


def check(root: Path) -> list[str]:
    modules = read_modules(root / "src" / "CMakeLists.txt")
    if not modules:
        return ["order: src/CMakeLists.txt has no xtasc_module(...)"]
    return (check_order(modules) + check_includes(root, modules) + check_unused(root, modules) +
            check_programs(root, modules) + check_listed(root, modules) + check_once(root) + check_cuda(root))


# ---- self-test -------------------------------------------------------------------------------------------------------
GOOD_TREE = {
    "src/CMakeLists.txt": """
        # xtasc_module(comment SOURCES none.cpp)
        xtasc_module(core SOURCES a.cpp LIBRARIES spdlog::spdlog)
        xtasc_module(io
          SOURCES b.cpp  # a comment
          USES core)
        xtasc_module(model TORCH SOURCES c.cpp CUDA_SOURCES d.cu NO_CUDA_SOURCES n.cpp USES core)
        xtasc_module(train TORCH SOURCES e.cpp USES core model)
    """,
    "src/core/a.hpp": "#pragma once\n",
    "src/core/a.cpp": '#include "core/a.hpp"\n#include <vector>\n#include "generated.inc"\n',
    "src/io/b.hpp": '#pragma once\n#include "core/a.hpp"\n',
    "src/io/b.cpp": '#include "io/b.hpp"\n// #include "model/c.hpp"\n',
    "src/model/c.hpp": "#pragma once\n#include <ATen/core/Tensor.h>\n",
    "src/model/c.cpp": '#include "model/c.hpp"\n#include "core/a.hpp"\n',
    "src/model/d.cu": '#include "model/c.hpp"\n',
    "src/model/n.cpp": '#include "model/c.hpp"\n',
    "src/train/e.cpp": '#include "model/c.hpp"\n#include "core/a.hpp"\n',
    "preprocess/main.cpp": '#include "io/b.hpp"\n',
    "launch/CMakeLists.txt": """
        xtasc_program(trainer SOURCES train.cpp
          USES ${torch_modules} model train)
    """,
    "launch/train.cpp": '#include "launch/train.hpp"\n#include "model/c.hpp"\n',
    "launch/train.hpp": '#pragma once\n#include "train/e.hpp"\n',
}


def self_test() -> int:
    """Each trial changes one file of a good tree; exactly one fault, of the rule named, must come of it."""
    cmake = GOOD_TREE["src/CMakeLists.txt"]
    trials: list[tuple[str, str, str, str]] = [  # rule, words of the fault, file, its new text
        ("order", "'io' uses 'later'", "src/CMakeLists.txt", cmake.replace("core)", "core later)", 1)),
        ("order", "'late' has no TORCH", "src/CMakeLists.txt", cmake + "xtasc_module(late)"),
        ("torch", "'train' has no TORCH", "src/CMakeLists.txt", cmake.replace("train TORCH", "train")),
        ("include", "does not use 'io'", "src/model/c.cpp", '#include "core/a.hpp"\n#include "io/b.hpp"\n'),
        ("include", "does not use 'io'", "src/model/d.cu", '  #  include "io/b.hpp"\n'),
        ("include", "does not use 'io'", "src/core/a.hpp", '#pragma once\n#include "io/b.hpp"\n'),
        ("include", "does not use 'io'", "src/train/e.cpp",
         '#include "model/c.hpp"\n#include "core/a.hpp"\n#include "io/b.hpp"\n'),
        ("unused", "'train' uses 'core'", "src/train/e.cpp", '#include "model/c.hpp"\n'),
        ("unused", "trainer uses 'train'", "launch/train.hpp", "#pragma once\n"),
        ("unused", "'train' uses 'io'", "src/CMakeLists.txt", cmake.replace("core model)", "core io model)")),
        ("torch", "torch/torch.h", "src/core/a.cpp", "#include <torch/torch.h>\n"),
        ("torch", "ATen/ATen.h", "src/io/b.cpp", '#include "ATen/ATen.h"\n'),
        ("torch", "c10/util/Half.h", "preprocess/main.cpp", "#include <c10/util/Half.h>\n"),
        ("torch", "model/c.hpp", "preprocess/main.cpp", '#include "model/c.hpp"\n'),
        ("listed", "src/core/extra.cpp is in no module", "src/core/extra.cpp", ""),
        ("listed", "src/other/x.hpp is in no module's folder", "src/other/x.hpp", "#pragma once\n"),
        ("listed", "src/io/gone.cpp is listed", "src/CMakeLists.txt", cmake.replace("b.cpp", "b.cpp gone.cpp")),
        ("listed", "src/model/m.cpp is listed", "src/CMakeLists.txt", cmake.replace("n.cpp", "n.cpp m.cpp")),
        ("cuda", "src/train/e.cpp", "src/train/e.cpp",
         '#include "model/c.hpp"\n#include "core/a.hpp"\n#ifdef XTASC_WITH_CUDA\n#endif\n'),
        ("once", "src/io/b.hpp", "src/io/b.hpp", '#include "core/a.hpp"\n'),
        ("once", "launch/l.hpp", "launch/l.hpp", "// #pragma once\n"),
    ]
    failures = 0
    for rule, words, changed, text in [("", "", "", ""), *trials]:
        with tempfile.TemporaryDirectory(prefix="xtasc-layers-") as name:
            root = Path(name)
            tree = GOOD_TREE | ({changed: text} if changed else {})
            for path, content in tree.items():
                (root / path).parent.mkdir(parents=True, exist_ok=True)
                (root / path).write_text(content)
            faults = check(root)
        wanted = [fault for fault in faults if fault.startswith(f"{rule}: ") and words in fault]
        # A module that loses its TORCH breaks the order as well as the torch rule.
        surplus = [fault for fault in faults if fault not in wanted and not (rule == "torch" and "below" in fault)]
        if (rule and len(wanted) != 1) or surplus:
            failures += 1
            print(f"self-test: {changed or 'the good tree'}: expected {rule or 'no fault'} {words}, got {faults}")
    print(f"self-test: {len(trials) + 1 - failures} of {len(trials) + 1} trees judged as they should be")
    return 1 if failures else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    here = Path(__file__).resolve().parent.parent
    parser.add_argument("--root", type=Path, default=here, help="the project's folder")
    parser.add_argument("--self-test", action="store_true", help="prove that each rule fires")
    arguments = parser.parse_args()
    if arguments.self_test:
        return self_test()
    faults = check(arguments.root)
    print("\n".join(faults) if faults else "layers: as src/CMakeLists.txt defines them")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
