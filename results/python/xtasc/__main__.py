"""python -m xtasc: a table of runs, and runs for the field's trackers."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import threading
import warnings
from collections.abc import Sequence
from types import FrameType
from typing import IO, NoReturn

import xtasc
from xtasc.errors import XtascError, XtascFailure
from xtasc.folders import Run, find_runs, readable_runs
from xtasc.push import TARGETS, push, summary_of

USAGE, FAILURE = 2, 1  # the programs' exit codes for a wrong input and for any other failure


class Stopped(BaseException):
    """By a signal, whose number it holds."""


def stop(number: int, _: FrameType | None) -> NoReturn:
    raise Stopped(number)


class Parser(argparse.ArgumentParser):
    """Faults are one line; a text that is not taken is one."""

    def exit(self, status: int = 0, message: str | None = None) -> NoReturn:
        sys.stdout.flush()
        super().exit(status, message)

    def _print_message(self, message: str, file: IO[str] | None = None) -> None:
        (file or sys.stderr).write(message)  # the library's own is silent of a full disk

    def error(self, message: str) -> NoReturn:
        raise XtascError(f"{message}; {self.prog} --help")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = Parser(prog="python -m xtasc", description="Runs of the xtasc programs, as a table or for other tools.")
    parser.add_argument("--version", action="version", version=f"xtasc {xtasc.__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    table = commands.add_parser("runs", help="print a table: a row a run, with the metrics of its best epoch")
    table.add_argument("folders", nargs="+", metavar="FOLDER", help="run folders, or folders with runs below them")
    table.add_argument("--protocol", choices=("paper", "dataset"), default="paper", help="of the metrics; default: paper")
    table.add_argument("--checkpoint", choices=("best", "last"), default="best", help="of which epoch; default: best")
    to = commands.add_parser("push", help="write runs for Weights & Biases, MLflow or TensorBoard, offline, into a folder")
    to.add_argument("folders", nargs="+", metavar="RUNS", help="run folders, or folders with runs below them")
    to.add_argument("--to", required=True, choices=tuple(TARGETS), help="for which of them; its package must be there")
    to.add_argument("--project", default="xtasc", help="the name that groups the runs there; default: xtasc")
    to.add_argument("--to-folder", metavar="DIR", help="where to write; default: one called as the tool, here")
    warnings.showwarning = lambda message, *_: print(f"xtasc: warning: {message}", file=sys.stderr)
    logging.raiseExceptions = False  # a tracker's log that cannot be written, as on a full disk, says nothing of itself
    threading.excepthook = lambda _: None  # a writer's: it raises its error again in close()
    sys.stdout = sys.stdout or open(os.devnull, "w", encoding="utf-8")  # closed: nobody wants it
    sys.stderr = sys.stderr or sys.stdout
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) != signal.SIG_IGN:  # as under nohup
            signal.signal(number, stop)
    try:
        options = parser.parse_args(arguments)
        runs = readable_runs(options.folders)
        if not runs:
            if any(True for folder in options.folders for _ in find_runs(folder)):
                raise XtascFailure(f"no run in {', '.join(options.folders)} can be read")
            raise XtascError(f"no run in {', '.join(options.folders)}: give a run folder, or one that has runs below it")
        if options.command == "runs":
            print(text_of(runs, options.checkpoint, options.protocol))
        else:
            for line in push(runs, options.to, options.project, options.to_folder):
                print(line)
        sys.stdout.flush()
    except Stopped as stopped:
        print(f"xtasc: stopped by {signal.Signals(stopped.args[0]).name}", file=sys.stderr)
        return 128 + int(stopped.args[0])
    except XtascError as error:
        print(f"xtasc: error: {error}", file=sys.stderr)
        return FAILURE if isinstance(error, XtascFailure) else USAGE
    except OSError as error:
        print(f"xtasc: error: cannot write {error.filename or 'standard output'}: {error.strerror}", file=sys.stderr)
        if not error.filename:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes once more at its end
        return FAILURE
    return 0


def text_of(runs: Sequence[Run], checkpoint: str, protocol: str) -> str:
    """A table in columns: run, state, epochs, then the metrics of a checkpoint in a protocol."""
    head = f"{checkpoint}.{protocol}."
    found = [{name.removeprefix(head): value for name, value in summary_of(run).items() if name.startswith(head)}
             for run in runs]
    metrics = list(dict.fromkeys(name for one in found for name in one))
    rows = [["run", "state", "epochs", *metrics]]
    rows += [[run.id, run.state, str(len(run.epochs)), *(f"{one[name]:.4f}" if name in one else "-" for name in metrics)]
             for run, one in zip(runs, found)]
    widths = [max(map(len, column)) for column in zip(*rows)]
    return "\n".join("  ".join([row[0].ljust(widths[0]), row[1].ljust(widths[1]),
                                *(cell.rjust(width) for cell, width in zip(row[2:], widths[2:]))]) for row in rows)


if __name__ == "__main__":
    sys.exit(main())
