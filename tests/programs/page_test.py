"""The page of `xtasc-tabulate --html` and of `xtasc-sweep status --html` as a reader uses it: in a browser without a
screen that clicks, types and points, on real runs and on made-up ones of a second pack."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import time

from common import main, programs_of_script, sets, SMALL
from page_case import BrowserCase
from tabulate_test import NYUV2, write_run

NAME = 'a </script><img src=x onerror="fail()"> & "q" \u00fc'
EPOCHS = 3


class Pages(BrowserCase):
    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.programs = programs_of_script()
        cls.scratch = cls.programs.scratch
        cls.runs = cls.scratch / "page runs"
        cls.runs.mkdir()
        for seed in (1, 2):
            done = cls.programs.run("xtasc-train", *cls.programs.train_arguments(
                "page runs", f"train.epochs={EPOCHS}", "train.batch_size=8", f"run.seed={seed}"))
            assert done.returncode == 0, done.stderr
        cls.real = sorted(config.parent for config in cls.runs.rglob("config.toml"))
        (cls.real[0] / "log.txt").write_text("12:00:00 warning: told <twice>\n12:00:01 warning: told <twice>\n")
        few = {**NYUV2, "train.epochs": EPOCHS}
        for seed in (1, 2):
            for system, quality in (("base_st_seg", 0), ("base_st_depth", 0), ("base_mt", 0.02), ("xtasc", 0.03)):
                write_run(cls.runs / "made" / f"{system}-{seed}", {**few, "model.system": system}, seed,
                          quality + 0.001 * seed)
        write_run(cls.runs / "made" / NAME.replace("/", "_"), {**few, "model.system": "xtasc", "loss.lambda_1": 0.5}, 1,
                  0.01)
        unfinished = cls.runs / "made" / "base_mt-3"
        write_run(unfinished, {**few, "model.system": "base_mt"}, 3, 0.02)
        (unfinished / "DONE").unlink()
        lines = (unfinished / "metrics.jsonl").read_text().splitlines()
        (unfinished / "metrics.jsonl").write_text("\n".join(lines[:2]) + "\n")
        cls.page = cls.scratch / "page.html"
        done = cls.programs.run("xtasc-tabulate", "--html", str(cls.page), "--panels", "2", "--title", NAME, "--paper",
                                "--only", "III", "--reduced", str(cls.runs))
        assert done.returncode == 0, done.stderr

    def setUp(self) -> None:
        self.open(self.page)

    def test_the_tables_digits_are_those_of_the_markdown(self) -> None:
        for mode, arguments in (("mean", ["--seeds", "mean"]), ("each", [])):
            for protocol in ("paper", "dataset"):
                text = self.programs.run("xtasc-tabulate", "--protocol", protocol, *arguments, str(self.runs)).stdout
                wanted = {}
                for title, body in re.findall(r"\n## (.*)\n\n.*\n\n((?:\|.*\n)+)", text):
                    body = body.replace("**", "").replace("+-", "\u00b1")
                    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in body.splitlines()]
                    wanted[title.split(",")[0]] = [re.sub(r" \[\d+\]", "", cell) for row in rows[2:] for cell in row]
                self.assertEqual(set(wanted), {"nyuv2", "scenes"})
                self.choose("results", protocol)
                self.choose("results", mode)
                for data, cells in wanted.items():
                    self.choose_data(data)
                    found = self.browser.execute_script("""
                        return [...document.querySelectorAll("#results tbody tr > *")].map((cell) => {
                          const copy = cell.cloneNode(true);
                          copy.querySelectorAll("sup").forEach((note) => note.remove());
                          return copy.textContent; });""")
                    self.assertEqual(found, cells, f"{data}, {protocol}, {mode}")

    def test_sorting_and_filtering(self) -> None:
        self.choose_data("nyuv2")
        self.choose("results", "each")
        values = self.column("results", "mIoU")
        self.header("results", "mIoU").click()
        best_first = [text for text in sorted(values, reverse=True) if text != "-"]
        self.assertEqual(self.column("results", "mIoU"), best_first)
        self.assertEqual(self.one("#results th[aria-sort=descending]").text.split(" ")[0], "mIoU")
        self.keys("\ue007")  # Enter on the header, which kept the focus: the other way round
        self.assertEqual(self.column("results", "mIoU"), best_first[::-1])
        self.keys("\ue007")
        self.assertEqual(self.column("results", "mIoU"), values)
        self.header("results", "AbsErr").click()  # lower is better
        self.assertEqual(self.column("results", "AbsErr"), sorted(values := self.column("results", "AbsErr")), values)
        search = self.one("#results input[type=search]")
        search.send_keys("xtasc-net miou>33")
        self.assertEqual(len(self.all("#results tbody tr")), 2)
        self.assertIn("2 of 7 rows", self.one("#results [role=status]").text)
        search.clear()
        search.send_keys("mtan")
        self.assertEqual(self.all("#results tbody tr"), [])
        search.clear()
        search.send_keys(" ")
        num_columns = len(self.all("#results thead tr:last-child th"))
        self.all("#results fieldset:not(.choice) input")[0].click()  # segmentation
        self.assertEqual(len(self.all("#results thead tr:last-child th")), num_columns - 2)
        self.assertEqual([button.text for button in self.all("#results thead button") if "mIoU" in button.text], [])

    def test_the_value_under_the_pointer_is_that_of_the_run(self) -> None:
        from selenium.webdriver import ActionChains  # noqa: PLC0415
        self.choose_data("scenes")
        self.choose("results", "each")
        records = [[json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()] for run in self.real]
        for key, epoch, values in (
                ("paper/miou", EPOCHS, [100 * record[-1]["paper"]["miou"] for record in records]),
                ("loss/depth", 1, [record[0]["val_loss"]["depth"] for record in records])):
            drawing = self.one(f"figure[data-panel='{key}'] svg[role=img]")
            self.browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", drawing)
            across = drawing.size["width"] / 2 - 12
            place = across if epoch > 1 else 30 - across
            ActionChains(self.browser).move_to_element_with_offset(drawing, place, 0).perform()
            tip = self.one(f"figure[data-panel='{key}'] .tip")
            self.assertIn(f"Epoch {epoch}", tip.text)
            found = [float(cell.text) for cell in tip.find_elements("css selector", "td.value")]
            self.assertEqual(sorted(found), sorted(float(f"{value:.7g}") for value in values))
        self.choose("results", "mean")
        drawing = self.one("figure[data-panel='paper/miou'] svg[role=img]")
        drawing.click()
        self.keys("\ue010")  # End: the last epoch, by the keyboard
        mean = sum(100 * record[-1]["paper"]["miou"] for record in records) / 2
        self.assertAlmostEqual(float(self.one("figure[data-panel='paper/miou'] td.value").text.split(" ")[0]), mean, 4)

    def test_what_epochs_asked_of_the_machine_is_folded_away(self) -> None:
        self.choose_data("scenes")
        self.choose("results", "each")
        folded = next(details for details in self.all("#curves details")
                      if details.find_element("css selector", "summary").text == "Use of the machine")
        self.click(folded.find_element("css selector", "summary"))
        curves = json.loads(self.text_of("#data"))["curves"]["curves"]
        self.assertEqual(len(self.real), 2)
        for key, value_of in (("flops/of_peak", lambda machine: 100 * machine["flops"]["of_peak"]),
                              ("memory/host_bytes", lambda machine: machine["memory"]["host_bytes"] / 2 ** 20),
                              ("seconds/backward", lambda machine: machine["seconds"]["backward"])):
            self.assertTrue(folded.find_element("css selector", f"figure[data-panel='machine/{key}'] svg").is_displayed())
            found = sorted(curve["y"][f"machine/{key}"] for curve in curves
                           if f"machine/{key}" in curve["y"] and len(curve["runs"]) == 1)
            machines = [[json.loads(line)["machine"] for line in (run / "metrics.jsonl").read_text().splitlines()]
                        for run in self.real]
            self.assertEqual(found, sorted([float(f"{value_of(machine):.7g}") for machine in of_run]
                                           for of_run in machines))

    def test_curves_are_switched_off_and_on(self) -> None:
        self.choose_data("nyuv2")
        curves = "figure[data-panel='loss/total'] path.curve:not(.train)"
        before = [path.get_attribute("data-curve") for path in self.all(curves)]
        self.assertIn("base_mt-3", before)  # not finished: its two epochs all the same
        button = next(button for button in self.all("#curves .legend button") if button.text == before[1])
        button.click()
        self.assertEqual([path.get_attribute("data-curve") for path in self.all(curves)], before[:1] + before[2:])
        self.assertEqual(self.browser.switch_to.active_element.get_attribute("aria-pressed"), "false")
        self.browser.refresh()  # what was chosen outlives a page that loads itself again
        self.assertEqual(len(self.all(curves)), len(before) - 1)
        next(button for button in self.all("#curves .bar button") if button.text == "All on").click()
        self.assertEqual(len(self.all(curves)), len(before))
        self.click(self.one("#curves .bar input[type=checkbox]"))  # logarithmic
        ticks = [text.text for text in self.all("figure[data-panel='loss/total'] text[text-anchor=end]")]
        self.assertIn("0.7", ticks)  # of the linear scale: 0.5, 1, 1.5

    def test_truth_and_prediction_under_a_slider(self) -> None:
        from selenium.webdriver import ActionChains  # noqa: PLC0415
        pictures = self.all("#predictions .sample")[0].find_elements("css selector", ".picture:has(input)")
        self.assertEqual(len(pictures), 2)  # labels and depth
        self.assertEqual(len(self.all("#predictions .sample")), 2)
        sizes = self.browser.execute_script("""
            return [...document.querySelectorAll("#predictions img")].map((img) => `${img.naturalWidth} x ${img.naturalHeight}`);""")
        self.assertEqual(set(sizes), {"64 x 32"})
        self.browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", pictures[0])
        width = pictures[0].size["width"]
        ActionChains(self.browser).move_to_element_with_offset(pictures[0], int(-0.3 * width), 0).click().perform()
        at = float(re.search(r"--at: ([\d.]+)%", pictures[0].get_attribute("style"))[1])
        self.assertAlmostEqual(at, 20, delta=4)
        self.keys("\ue012")  # arrow to the left
        self.assertIn(f"--at: {at - 1:.0f}%", pictures[0].get_attribute("style"))
        truth, predicted = (image.get_attribute("src") for image in pictures[1].find_elements("css selector", "img"))
        self.assertNotEqual(truth, predicted)

    def test_themes_widths_and_names(self) -> None:
        back = "return getComputedStyle(document.body).backgroundColor"
        for scheme, other in (("light", "dark"), ("dark", "light")):
            for width in (1280, 400):
                self.open(self.page, width, scheme)
                self.browser.execute_script("for (const part of document.querySelectorAll('details')) { part.open = true; }")
                self.assertLessEqual(self.browser.execute_script("return document.documentElement.scrollWidth"), width)
            as_asked = self.browser.execute_script(back)
            self.one("#theme").click()
            turned = self.browser.execute_script(back)
            self.assertNotEqual(as_asked, turned)
            self.open(self.page, 1280, other)
            self.assertEqual(self.browser.execute_script(back), turned)
        self.assertEqual(self.one("h1").text, NAME)
        self.assertEqual(self.browser.title, NAME)
        self.assertIn(NAME.replace("/", "_"), self.text_of("#runs"))
        self.assertEqual(self.all("main img[src=x]"), [])

    def test_printed(self) -> None:
        """All columns on the paper, no buttons and nothing that is folded away or switched off, in either theme."""
        shown = """
            const shown = (css) => [...document.querySelectorAll(css)].filter((one) => one.checkVisibility()).length;
            const cut = [...document.querySelectorAll("#results .table")].some((one) => getComputedStyle(one).overflowX != "visible");
            return [shown("nav a"), shown("#theme"), shown(".legend button[aria-pressed=false]"), cut,
                    getComputedStyle(document.body).backgroundColor];"""
        for scheme in ("light", "dark"):
            self.open(self.page, 1280, scheme)
            self.click(self.all("#curves .legend button")[0])
            links, theme, switched_off, cut, _ = self.browser.execute_script(shown)
            self.assertTrue(links > 0 and theme == 1 and switched_off == 1 and cut, scheme)
            self.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print", "features": [
                {"name": "prefers-color-scheme", "value": scheme}]})
            self.assertEqual(self.browser.execute_script(shown), [0, 0, 0, False, "rgb(255, 255, 255)"], scheme)
            self.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})

    def test_by_the_keyboard_alone(self) -> None:
        reached = set()
        for _ in range(60):
            self.keys("\ue004")  # Tab
            active = self.browser.switch_to.active_element
            reached.add(self.browser.execute_script("""
                const active = arguments[0], inside = active.closest("section");
                const place = inside ? inside.id : active.closest("header, nav, body").tagName;
                return `${place} ${active.tagName} ${active.type ?? ""}`;""", active))
        for wanted in ("BODY A ", "HEADER BUTTON button", "NAV A ", "results SELECT select-one", "results INPUT radio",
                       "results INPUT search", "results INPUT checkbox", "results BUTTON button", "curves BUTTON button",
                       "curves svg "):
            self.assertIn(wanted, reached)

    def test_published_rows_configs_and_provenance(self) -> None:
        published = self.one("#published").text
        self.assertIn("30.31", published)  # XTasC-Net of Table III
        self.choose_data("nyuv2")
        self.choose("results", "each")
        self.all("#results .run-link")[-1].click()
        opened = self.all("#runs .run[open]")
        self.assertEqual(len(opened), 1)
        self.assertIn("Pack digest", opened[0].text)
        self.assertIn("loss.lambda_1", self.one("#configs thead").text)
        self.assertNotIn("train.epochs", self.one("#configs thead").text + self.one("#configs tbody").text)
        self.click(self.one("#configs input[type=checkbox]"))
        self.assertIn("train.learning_rate", self.text_of("#configs thead"))
        everything = self.text_of("#runs")
        self.assertIn("told <twice> (2 times)", everything)
        self.assertIn("not finished", everything)
        self.assertIn(str(self.scratch / "scenes.h5"), everything)

    def test_entries_of_the_work_that_runs_use(self) -> None:
        text = self.programs.run("xtasc-tabulate", "--bibtex", str(self.runs)).stdout
        for key in ("xtasc", "nakano2021", "he2016", "kendall2018", "silberman2012", "kingma2015", "paszke2019"):
            self.assertEqual(text.count(f"{{{key},\n"), 1, key)
        self.assertIn("weighting uncertainty", text)
        own = (self.real[0] / "CITATION.cff").read_text()
        self.assertIn(f'commit: "{json.loads((self.real[0] / "provenance.json").read_text())["commit"]}"', own)
        self.assertIn("Multi-Task Learning Using Uncertainty", own)
        self.one_line(self.programs.run("xtasc-tabulate", "--bibtex", "--format", "csv", str(self.runs)), 2, "--format")

    def test_size_and_faults(self) -> None:
        self.assertLess(self.page.stat().st_size, 3_000_000)
        write_run(self.scratch / "long runs" / "long", {**NYUV2, "train.epochs": 20_001, "model.system": "xtasc"}, 1, 0.0)
        thinned = self.scratch / "thinned.html"
        self.assertEqual(self.programs.run("xtasc-tabulate", "--html", str(thinned), "long runs").returncode, 0)
        self.assertLess(thinned.stat().st_size, 3_000_000)
        every = int(re.search(r'"every":(\d+)', thinned.read_text())[1])
        self.assertGreater(every, 1)
        self.assertIn(f",{20_000 // every * every},20001]", thinned.read_text())
        for k in range(300):  # many runs, each with warnings
            run = self.scratch / "many runs" / f"run-{k}"
            write_run(run, {**NYUV2, "train.epochs": 8, "model.system": "xtasc", "loss.lambda_1": k / 1000}, 1, 0.0)
            (run / "log.txt").write_text("".join(f"12:00:00 warning: {k} told of {i}\n" for i in range(60)))
        done = self.programs.run("xtasc-tabulate", "--html", "many.html", "many runs")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertLess((self.scratch / "many.html").stat().st_size, 3_000_000)
        self.assertIn("more: see its log.txt", (self.scratch / "many.html").read_text())
        # Of runs that all are unfinished, too; not of a folder without any.
        shutil.copytree(self.runs / "made" / "base_mt-3", self.scratch / "begun/base_mt-3")
        done = self.programs.run("xtasc-tabulate", "--html", "begun.html", "begun")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("base_mt-3", (self.scratch / "begun.html").read_text())
        (self.scratch / "no runs").mkdir()
        self.one_line(self.programs.run("xtasc-tabulate", "--html", "none.html", "no runs"), 1, "no finished run")
        self.one_line(self.programs.run("xtasc-tabulate", "--html", "no/page.html", str(self.runs)), 2, "no/page.html")
        self.one_line(self.programs.run("xtasc-tabulate", "--panels", "2", str(self.runs)), 2, "--html")
        self.one_line(self.programs.run("xtasc-tabulate", "--html", "p.html", "--figure", "curves", str(self.runs)), 2,
                      "--figure")
        done = self.programs.run("xtasc-tabulate", "--html", "p.html", "--panels", "1", str(self.runs / "made"))
        self.one_line(done, 1, "--panels", "no pack")
        self.assertFalse((self.scratch / "p.html").exists())

    def test_predictions_of_runs_side_by_side(self) -> None:
        from PIL import Image  # noqa: PLC0415
        widths = []
        for runs in (self.real[:1], self.real):
            done = self.programs.run("xtasc-tabulate", "--figure", "predictions", "--panels", "2", "--title", "Scenes",
                                     "--output", "side/panel", *map(str, runs))
            self.assertEqual(done.returncode, 0, done.stderr)
            with Image.open(self.scratch / "side/panel.png") as picture:
                widths.append(picture.size[0])
                colors = len(set(picture.convert("RGB").getdata()))
            self.assertGreater(colors, 20)  # labels' colours, and a colour map's
        self.assertGreater(widths[1], widths[0])  # a column a task more
        call = ("xtasc-tabulate", "--figure", "predictions", "--output", "side/other")
        self.one_line(self.programs.run(*call, str(self.runs / "made" / "base_mt-1")), 1, "no pack")
        self.one_line(self.programs.run(*call, str(self.runs)), 2, "packs")
        self.one_line(self.programs.run(*call[:3], str(self.real[0])), 2, "--output")
        self.one_line(self.programs.run("xtasc-tabulate", "--figure", "curves", "--panels", "2", "--output", "x",
                                        str(self.real[0])), 2, "--panels")
        self.assertFalse((self.scratch / "side/other.png").exists())

    def test_a_run_that_is_there_twice(self) -> None:
        for place in ("one", "other"):
            shutil.copytree(self.real[0], self.scratch / "twins" / place / self.real[0].name)
        page = self.scratch / "twins.html"
        done = self.programs.run("xtasc-tabulate", "--html", str(page), "twins")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.open(page)
        self.assertEqual(len(self.all("#results tbody .run-link")), 2 * len(self.all("#results table")))
        shown = self.text_of("#runs")
        for place in ("one", "other"):
            self.assertIn(f"twins/{place}/", shown)

    def test_a_sweeps_page(self) -> None:
        sweep = self.scratch / "watched.toml"
        sweep.write_text(f'base = "{self.programs.config}"\n[[zip]]\ntrain.learning_rate = [1e-3, 1e-4]\n')
        page = self.scratch / "watched.html"
        words = [str(sweep), *sets([*SMALL, f"run.output={self.scratch / 'watched runs'}", "train.epochs=2",
                                    "train.batch_size=16"])]
        self.assertEqual(self.programs.run("xtasc-sweep", "status", *words, "--html", str(page)).returncode, 0)
        self.open(page)
        self.assertEqual(self.column("state", "State"), ["waiting"] * 2)
        done = self.programs.run("xtasc-sweep", "run", *words, "--only", "learning_rate = 0.001")
        self.assertEqual(done.returncode, 0, done.stderr)
        page.unlink()
        marker = next((self.scratch / "watched runs").rglob("DONE"))
        marker.rename(self.scratch / "DONE")
        watch = subprocess.Popen(self.programs.command("xtasc-sweep", "status", *words, "--watch", "--html", str(page)),
                                 stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, cwd=self.scratch)
        deadline = time.monotonic() + 60
        while not page.exists() and time.monotonic() < deadline:
            time.sleep(0.1)
        self.assertIn('"reload":30', page.read_text())
        (self.scratch / "DONE").rename(marker)  # what changes at the very end is on the last page
        watch.send_signal(signal.SIGINT)
        _, errors = watch.communicate(timeout=60)
        self.assertEqual(watch.returncode, 0, errors)
        self.assertIn('"reload":0', page.read_text())  # nobody writes it any more
        self.open(page)
        self.assertEqual(self.column("state", "State"), ["done", "waiting"])
        self.assertEqual(self.column("state", "Epoch"), ["2/2", "0/2"])
        self.assertEqual(len(self.all("#results tbody tr")), 1)
        self.assertEqual(len(self.all("figure[data-panel='loss/total'] path.curve:not(.train)")), 1)


if __name__ == "__main__":
    main()
