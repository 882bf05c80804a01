"""What users give to programs besides what they mean to: pipes, links, other encodings, paths of a shell, bad pictures."""

from __future__ import annotations

import os
import pathlib
import shutil
import subprocess

import common
from common import Programs, sets
from png import write_png

programs: Programs
ALL = ["xtasc-preprocess", "xtasc-train", "xtasc-evaluate", "xtasc-predict", "xtasc-export", "xtasc-inspect",
       "xtasc-tabulate", "xtasc-sweep", "xtasc-bench"]


class Case(common.OneLine):
    def setUp(self) -> None:
        self.folder = programs.scratch / self.id().rsplit(".", 1)[-1]
        self.folder.mkdir()

    def run_here(self, program: str, *arguments: str | bytes, **environment: str):
        """In the test's own folder, with these variables set, or, where None, not set. A hang fails the test."""
        variables = {name: value for name, value in (dict(os.environ) | environment).items() if value is not None}
        return subprocess.run([str(programs.bin / program), *arguments], capture_output=True, text=True, timeout=60,
                              cwd=self.folder, env=variables, check=False)

    def train(self, *assignments: str, config: str = "", **environment: str):
        arguments = sets([*common.SMALL, "train.epochs=1", "train.max_steps=1", *assignments])
        return self.run_here("xtasc-train", "--config", config or str(programs.config), *arguments, **environment)


class Kinds(Case):
    def test_a_pipe_blocks_no_program(self) -> None:
        os.mkfifo(self.folder / "pipe")
        (self.folder / "sweep.toml").write_text('base = "pipe"\nseeds = [1]\n[[point]]\nname = "a"\n')
        pipe = "it is a named pipe, "
        self.one_line(self.train(config="pipe"), 2, "cannot read 'pipe': ", pipe + "a config (TOML) is expected")
        self.one_line(self.train(config="."), 2, "cannot read '.': it is a folder, a config (TOML) is expected")
        self.one_line(self.train("data.pack=pipe"), 1, "cannot read 'pipe': ", pipe + "an HDF5 file is expected")
        self.one_line(self.train("model.encoder_weights=pipe"), 1, "'pipe'", pipe)
        for program, *arguments in (("xtasc-preprocess", "verify", "pipe"), ("xtasc-preprocess", "show", "pipe", "--output", "a.png"),
                                    ("xtasc-preprocess", "scenes", "--train", "1", "--val", "1", "--output", "pipe", "--force"),
                                    ("xtasc-inspect", "pack", "pipe"), ("xtasc-inspect", "checkpoint", "pipe"),
                                    ("xtasc-sweep", "plan", "pipe"), ("xtasc-sweep", "plan", "sweep.toml"),
                                    ("xtasc-evaluate", "--config", str(programs.config), "--weights", "pipe"),
                                    ("xtasc-predict", "--run", "none", "--images", "pipe")):
            with self.subTest(program=program, arguments=arguments):
                done = self.run_here(program, *arguments)
                self.assertIn(done.returncode, (1, 2))
                self.assertIn(pipe, done.stderr)
        self.assertTrue((self.folder / "pipe").is_fifo())

    def test_results_are_written_where_a_link_leads(self) -> None:
        (self.folder / "far").mkdir()
        for name in ("scenes.h5", "tables.md", "faults.txt"):
            (self.folder / name).symlink_to(f"far/{name}")
        done = self.run_here("xtasc-preprocess", "scenes", "--train", "1", "--val", "1", "--output", "scenes.h5")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertTrue((self.folder / "scenes.h5").is_symlink())
        self.assertGreater((self.folder / "far/scenes.h5").stat().st_size, 1000)
        self.one_line(self.run_here("xtasc-preprocess", "scenes", "--train", "1", "--val", "1", "--output", "scenes.h5"), 2,
                      "'scenes.h5' exists already")


class Names(Case):
    def test_no_program_takes_what_is_not_utf8(self) -> None:
        for program in ALL:
            done = self.run_here(program, "--config", b"caf\xe9/a.toml")
            self.one_line(done, 2, f"{program}: error: argument 2, 'caf\\xe9/a.toml', is not UTF-8: rename what it names")
        done = self.run_here("xtasc-train", "--config", str(programs.config), "--set", b"data.pack=caf\xe9/p.h5")
        self.one_line(done, 2, "argument 4, 'data.pack=caf\\xe9/p.h5', is not UTF-8")
        for head in ("", "base = \"base.toml\"\n"):
            (self.folder / "a.toml").write_bytes(head.encode() + b"# caf\xe9\n")
            done = self.run_here(*(("xtasc-sweep", "plan", "a.toml") if head else ("xtasc-train", "--config", "a.toml")))
            self.one_line(done, 2, "a.toml: its line ", " is not UTF-8 (\"# caf\\xe9\"): save it as UTF-8")

    def test_a_folder_of_another_encoding_can_be_worked_in(self) -> None:
        inner = pathlib.Path(os.fsdecode(os.fsencode(self.folder) + b"/ren\xe9"))
        inner.mkdir()
        self.folder = inner
        done = self.train("run.output=runs", SLURM_JOB_ID=os.fsdecode(b"7\xe9"))
        self.assertEqual(done.returncode, 0, done.stderr)
        run = next(inner.glob("runs/*/config.toml")).parent
        self.assertIn('"job": "7\ufffd"', (run / "attempt.json").read_text(encoding="utf-8"))
        self.assertEqual(self.run_here("xtasc-tabulate", "runs").returncode, 0)
        shutil.rmtree(os.fsencode(inner))

    def test_home_is_filled_in_and_no_folder_is_called_so(self) -> None:
        home = self.folder / "home"
        home.mkdir()
        shutil.copy(programs.pack, home / "scenes.h5")
        (self.folder / "a.toml").write_text('[data]\npack = "~/scenes.h5"\n[run]\noutput = "~/runs"\n')
        done = self.train(config="a.toml", HOME=str(home))
        self.assertEqual(done.returncode, 0, done.stderr)
        config = next(home.glob("runs/*/config.toml")).read_text()
        self.assertIn(f'pack = "{home}/scenes.h5"', config)
        self.one_line(self.train(config="a.toml", HOME=None), 2, "a.toml:2:8: data.pack: HOME is not set")
        self.one_line(self.train("run.output=$HOME/runs"), 2, "$HOME is not filled in")
        (self.folder / "sweep.toml").write_text('base = "~/a.toml"\nseeds = [1]\n[set]\nrun.output = "~/runs"\n'
                                                '[[point]]\nname = "a"\ndata.pack = "$X/p.h5"\n')
        (home / "a.toml").write_text((self.folder / "a.toml").read_text())
        done = self.run_here("xtasc-sweep", "plan", "sweep.toml", HOME=str(home))
        self.one_line(done, 2, "sweep.toml:7:13: data.pack: $X is not filled in: write \"$X/p.h5\" out")
        self.one_line(self.run_here("xtasc-preprocess", "scenes", "--train", "1", "--val", "1", "--output=~/p.h5"), 2,
                      "--output is '~/p.h5': the shell fills in ~ at the beginning of a word alone")
        self.assertEqual(sorted(path.name for path in self.folder.iterdir()), ["a.toml", "home", "sweep.toml"])

    def test_one_rule_for_the_time(self) -> None:
        pack = ["xtasc-preprocess", "scenes", "--train", "1", "--val", "1", "--output"]
        words = "a whole number of seconds since 1970 is needed, 0 to 253402300799"
        for value in ("-1", "-0", "soon", "99999999999999999999"):
            self.one_line(self.run_here(*pack, "a.h5", SOURCE_DATE_EPOCH=value), 2, f'SOURCE_DATE_EPOCH is "{value}"', words)
            self.one_line(self.train("run.output=runs", SOURCE_DATE_EPOCH=value), 2, f'SOURCE_DATE_EPOCH is "{value}"', words)
        self.assertFalse((self.folder / "a.h5").exists())
        self.assertEqual(list(self.folder.glob("runs/*/checkpoint")), [])
        self.assertEqual(self.run_here(*pack, "b.h5", SOURCE_DATE_EPOCH="").returncode, 0)
        self.assertEqual(self.train("run.output=runs", SOURCE_DATE_EPOCH="").returncode, 0)


class Pictures(Case):
    def test_the_beginnings_of_all_are_looked_at_before_the_first_is_predicted(self) -> None:
        self.assertEqual(self.train("run.output=runs").returncode, 0)
        for name in ("a", "b"):
            write_png(self.folder / f"{name}.png", 20, 30, 3, lambda y, x: (x * 8 % 256, y * 12 % 256, 77))
        good = (self.folder / "a.png").read_bytes()
        (self.folder / "cut.png").write_bytes(good[:-40])
        (self.folder / "c.webp").write_bytes(b"RIFF\x10\0\0\0WEBPVP8 ")
        predict = ["--run", "runs", "--output", "out", "--images"]
        done = self.run_here("xtasc-predict", *predict, "a.png", "cut.png", "b.png", "c.webp", "none.png")
        self.one_line(done, 2, "2 of 5 images cannot be used, nothing was predicted")
        for line in ("cannot read 'none.png': No such file or directory",
                     "cannot read 'c.webp': found a picture of the format WebP, a PNG or JPEG image is expected: save it as PNG"):
            self.assertIn(line, done.stderr)
        self.assertFalse((self.folder / "out").exists())
        self.one_line(self.run_here("xtasc-predict", *predict, "a.png", "cut.png"), 1, "cannot read 'cut.png': truncated PNG")
        self.assertFalse((self.folder / "out/panel.png").exists())
        done = self.run_here("xtasc-predict", *predict, "a.png", "b.png")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertTrue((self.folder / "out/panel.png").exists())


if __name__ == "__main__":
    common.main()
