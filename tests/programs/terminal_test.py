"""What the programs draw in terminals of all kinds: narrow ones, dumb ones, without colours, with any locale."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
import unittest

import common
from common import Programs
from sweep_case import SweepCase

programs: Programs
COLUMNS = 30
ESCAPE = "\x1b"


def in_terminal(command: list[str], columns: int = COLUMNS, **environment: str) -> tuple[int, str]:
    """Runs a program in a terminal. Gives the exit code and all that it wrote there."""
    master, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 10, columns, 0, 0))
    own = {name: value for name, value in os.environ.items() if name not in ("TERM", "COLORTERM", "NO_COLOR", "LC_ALL")}
    process = subprocess.Popen(command, stdin=terminal, stdout=terminal, stderr=terminal, cwd=programs.scratch,
                               env=own | {"TERM": "xterm-256color"} | environment)
    os.close(terminal)
    written = b""
    while True:
        try:
            part = os.read(master, 65536)
        except OSError:  # nobody has it open any more
            part = b""
        if not part:
            break
        written += part
    os.close(master)
    return process.wait(timeout=600), written.decode()


def drawn_lines(text: str) -> list[str]:
    """The lines that are drawn over by the next: those that end with "erase what is right of here"."""
    text = re.sub(r"\x1b\[[0-9]*[AJ]", "\n", text)  # up some lines, and away with them
    return [line for line in re.findall(r"([^\r\n\x1b]*)\x1b\[K", text) if line]


class Terminals(SweepCase):
    def pack(self, **environment: str) -> str:
        """The packer, long enough for a few drawings of its progress."""
        code, text = in_terminal([str(programs.bin / "xtasc-preprocess"), "scenes", "--train", "40", "--val", "4",
                                  "--seed", "1", "--size", "64x128", "--workers", "1", "--force", "--output",
                                  str(self.folder / "a.h5")], **environment)
        self.assertEqual(code, 0, text)
        return text

    def check_narrow(self, text: str) -> None:
        lines = drawn_lines(text)
        self.assertTrue(lines, text)
        self.assertLess(max(map(len, lines)), COLUMNS, lines)

    def test_the_live_line_of_the_packer_and_the_trainer_fits_a_narrow_window(self) -> None:
        self.check_narrow(self.pack())
        code, text = in_terminal(programs.command("xtasc-train", *programs.train_arguments(
            "narrow", "train.epochs=1", "train.batch_size=4")))
        self.assertEqual(code, 0, text)
        self.check_narrow(text)

    def test_the_block_of_a_sweep_fits_a_narrow_window(self) -> None:
        self.write_sweep(seeds=[1, 2], rows=["xtasc"])
        for seed in (1, 2):
            (self.folder / str(seed)).write_text("slow")
        os.environ["STAND_IN"] = str(self.folder)
        self.addCleanup(os.environ.pop, "STAND_IN")
        code, text = in_terminal(self.command("run", "--jobs", "2", *self.stand_in()))
        self.assertEqual(code, 0, text)
        self.check_narrow(text)
        self.assertIn("sweep: 0 of 2 done, 2 running", " ".join(drawn_lines(text)))

    def test_a_sweep_outlives_its_terminal(self) -> None:
        self.write_sweep(seeds=[1, 2], rows=["xtasc"])
        (self.folder / "1").write_text("slow")
        master, terminal = pty.openpty()
        driver = subprocess.Popen(self.command("run", *self.stand_in()), stdin=terminal, stdout=terminal,
                                  stderr=terminal, cwd=programs.scratch,
                                  env=self.environment() | {"TERM": "xterm-256color"})
        self.addCleanup(driver.kill)
        os.close(terminal)
        shown = b""
        while b" of 2 done, 1 running" not in shown:
            shown += os.read(master, 65536)
        os.close(master)
        self.assertEqual(driver.wait(timeout=300), 0)
        self.assertEqual(self.states(), ["done"] * 2)

    def test_a_terminal_that_is_dumb_has_plain_lines(self) -> None:
        for kind in ("dumb", ""):
            text = self.pack(TERM=kind, COLORTERM="truecolor")
            self.assertNotIn(ESCAPE, text)
            self.assertNotIn("\r", text.replace("\r\n", "\n"))
            self.assertIn("packed 44 samples", text)

    def test_no_color_is_heeded(self) -> None:
        colour = re.compile(r"\x1b\[[0-9;]*m")
        self.write_sweep(seeds=[1], rows=["xtasc"])
        command = self.command("status", "--set", "data.pack=nothing.h5")
        self.assertRegex(self.pack(), colour)
        self.assertNotRegex(self.pack(NO_COLOR="1"), colour)
        code, text = in_terminal(command, NO_COLOR="1")
        self.assertEqual(code, 0, text)
        self.assertNotIn(ESCAPE, text)

    def test_the_locale_changes_nothing(self) -> None:
        self.check_narrow(self.pack(LC_ALL="xx_YY.ISO-8859-77"))
        for locale in ("C", "POSIX", "C.UTF-8", "de_DE.UTF-8", "xx_YY.ISO-8859-77", "no locale at all"):
            code, text = in_terminal([str(programs.bin / "xtasc-train"), "--config", str(programs.config),
                                      "--set", "train.learning_rate=0.5", "--print-config"], LC_ALL=locale)
            self.assertEqual(code, 0, text)
            self.assertIn("learning_rate = 0.5\r\n", text)


if __name__ == "__main__":
    common.main()
