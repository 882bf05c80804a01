"""What xtasc-predict makes of folders, patterns and splits: names and order, the same bits on any threads, pictures that
are damaged, turned or of another size, and going on where a prediction stopped."""

from __future__ import annotations

import json
import shutil
import sys
import zlib

import common
from common import OneLine, h5py_or_skip, programs_of_script, sets
from png import write_png

try:
    import numpy as np
except ImportError as error:
    print(f"skipped: no NumPy: {error}")
    sys.exit(77)

ORIENTATION = bytes.fromhex("49492a0008000000010012010300010000000600000000000000")  # TIFF: tag 274 is 6


def pattern(shift: int):
    return lambda y, x: ((x * 7 + shift) % 256, (y * 5 + x + shift) % 256, (x * y + 3 * shift) % 256)


class Predict(OneLine):
    @classmethod
    def setUpClass(cls) -> None:
        cls.programs = programs_of_script()
        cls.folder = cls.programs.scratch
        done = cls.programs.run("xtasc-train", *cls.programs.train_arguments("runs", "train.epochs=1", "run.device=cpu"))
        assert done.returncode == 0, done.stderr
        cls.run_folder = cls.programs.run_folder("runs")
        pictures = cls.folder / "video"
        for number, name in enumerate(("frame_10", "frame_9", "a/frame_1", "b/frame_1", ".hidden/frame_1")):
            (pictures / name).parent.mkdir(parents=True, exist_ok=True)
            write_png(pictures / f"{name}.png", 40 + number, 70, 3, pattern(number))
        (pictures / "notes.txt").write_text("no picture")

    def predict(self, *arguments: str):
        return self.programs.run("xtasc-predict", "--run", str(self.run_folder), *arguments)

    def good(self, *arguments: str):
        done = self.predict(*arguments)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done

    def files(self, output: str) -> dict[str, bytes]:
        folder = self.folder / output
        return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*"))
                if path.is_file() and path.name not in ("panel.png", "predictions.json")}

    def test_a_folder_by_name_and_number_on_any_threads(self) -> None:
        done = self.good("--images", "video", "--output", "video/out", *sets(["run.threads=1"]))
        self.assertRegex(done.stdout, r"(?m)^4 images predicted with .* into video/out, [\d.]+ images/s$")
        one = self.files("video/out")
        self.assertEqual(set(one), {f"{name}_{kind}" for name in ("frame_9", "frame_10", "a/frame_1", "b/frame_1")
                                    for kind in ("label.png", "depth.npy")})
        self.assertEqual(np.load(self.folder / "video/out/a/frame_1_depth.npy").shape, (42, 70))
        # The results lie below the folder, and are no images of the next prediction.
        self.good("--images", "video", "--output", "video/out", "--batch", "3", "--panel", "0", *sets(["run.threads=3"]))
        self.assertEqual(self.files("video/out"), one)
        for name in ("video/frame_9.png", "video/a/frame_1.png"):  # whatever is predicted beside
            self.good("--images", name, "--output", "alone", "--panel", "0")
        alone = self.files("alone")
        self.assertFalse((self.folder / "alone/panel.png").exists())
        self.assertEqual(alone["frame_9_depth.npy"], one["frame_9_depth.npy"])
        self.assertEqual(alone["frame_1_label.png"], one["a/frame_1_label.png"])
        shutil.rmtree(self.folder / "video/out")
        for images in (["video"], ["video/frame_9.png"], ["video/frame_*.png"]):
            self.one_line(self.predict("--images", *images, "--output", "video"), 2,
                          "--output is the folder 'video' of the images")
        before = self.files("video")
        shutil.copy(self.folder / "video/a/frame_1.png", self.folder / "video/a/frame_1_label.png")
        self.one_line(self.predict("--images", "video/a", "video/b", "--output", "video"), 2,
                      "would overwrite the image", "video/a/frame_1_label.png'")
        (self.folder / "video/a/frame_1_label.png").unlink()
        self.assertEqual(self.files("video"), before)

    def test_the_first_of_a_panel_are_the_first_by_number(self) -> None:
        for rows, names in ((1, ["frame_9"]), (2, ["frame_9", "frame_10"])):
            self.good("--images", "video/frame_*.png", "--output", f"rows{rows}", "--panel", str(rows))
            self.good("--images", *(f"video/{name}.png" for name in names), "--output", f"named{rows}")
            self.assertEqual((self.folder / f"rows{rows}/panel.png").read_bytes(),
                             (self.folder / f"named{rows}/panel.png").read_bytes())

    def test_names_that_collide_keep_their_folders(self) -> None:
        self.good("--images", "video/a/frame_1.png", "video/b", "video/b/frame_1.png", "--only", "label", "--output", "both")
        self.assertEqual(set(self.files("both")), {"a/frame_1_label.png", "b/frame_1_label.png"})
        (self.folder / "empty").mkdir()
        (self.folder / "video/b/frame_1.jpg").write_bytes(b"")
        self.one_line(self.predict("--images", "video/b", "--output", "two"), 2, "differ in their endings alone",
                      "frame_1.png'", "frame_1.jpg'")
        (self.folder / "video/b/frame_1.jpg").unlink()
        for words, part in ((["--images", "video/z*.png"], "no file is called so"),
                            (["--images", "empty"], "there is no PNG or JPEG file"),
                            (["--images", "video", "--only", "normals"], "predicts label, depth"),
                            (["--images", "video", "--split", "val"], "name the input by --images")):
            self.one_line(self.predict(*words, "--output", "none"), 2, part)
        self.assertFalse((self.folder / "none").exists())

    def test_damaged_pictures_are_left_out_or_stop_it(self) -> None:
        folder = self.folder / "damaged"
        shutil.copytree(self.folder / "video/a", folder)
        whole = (folder / "frame_1.png").read_bytes()
        (folder / "frame_2.png").write_bytes(whole[:-40])
        (folder / "frame_3.png").write_bytes(whole)
        (folder / "frame_4.png").write_bytes(b"text")
        self.one_line(self.predict("--images", "damaged", "--output", "stopped"), 1, "'damaged/frame_4.png'")
        self.assertFalse((self.folder / "stopped").exists())
        from_16_bits = bytearray(whole)
        from_16_bits[24] = 16  # IHDR's bits a channel, and below its checksum
        from_16_bits[29:33] = zlib.crc32(bytes(from_16_bits[12:29])).to_bytes(4, "big")
        (folder / "frame_4.png").write_bytes(from_16_bits)
        self.one_line(self.predict("--images", "damaged", "--output", "stopped"), 1, "'damaged/frame_4.png': 16 bits")
        self.assertFalse((self.folder / "stopped").exists())
        (folder / "frame_4.png").write_bytes(whole[:-30])
        self.one_line(self.predict("--images", "damaged", "--output", "stopped", *sets(["run.threads=1"])), 1,
                      "cannot read 'damaged/frame_2.png': truncated PNG", "(image 2 of 4; --keep-going leaves out")
        self.assertIn("frame_1_label.png", self.files("stopped"))
        self.assertNotIn("frame_2_label.png", self.files("stopped"))
        (folder / "frame_5.png").write_bytes(b"text")
        done = self.predict("--images", "damaged", "--output", "stopped", "--keep-going")
        self.one_line(done, 1, "3 images cannot be used and were left out")
        for name in ("frame_2", "frame_4", "frame_5"):
            self.assertIn(f"damaged/{name}.png'", done.stderr)
        self.assertIn("2 images predicted", done.stdout)
        self.assertEqual(self.files("stopped")["frame_1_label.png"], self.files("stopped")["frame_3_label.png"])

    def test_it_goes_on_where_it_stopped_and_with_the_same_net_only(self) -> None:
        self.good("--images", "video", "--output", "again")
        whole = self.files("again")
        (self.folder / "again/a/frame_1_depth.npy").unlink()
        kept = (self.folder / "again/frame_9_label.png").stat().st_mtime_ns
        done = self.good("--images", "video", "--output", "again", "--skip-existing")
        self.assertRegex(done.stdout, r"^1 image predicted .*, 3 were there\n")
        self.assertEqual(self.files("again"), whole)
        self.assertEqual((self.folder / "again/frame_9_label.png").stat().st_mtime_ns, kept)
        self.one_line(self.predict("--images", "video", "--output", "again", "--skip-existing", "--size", "64x64"), 2,
                      'are of another size, "32x64" instead of "64x64"')
        said = json.loads((self.folder / "again/predictions.json").read_text())
        self.assertEqual((said["depth_unit"], said["class_names"][0], said["recipe"]["resize"]), ("m", "floor", "smooth"))
        # Results that are older than what predictions.json tells of are another prediction's.
        self.good("--images", "video/frame_9.png", "--output", "again")
        done = self.good("--images", "video", "--output", "again", "--skip-existing")
        self.assertIn("3 images predicted", done.stdout)

    def test_a_size_beyond_the_memory_is_one_line_and_leaves_no_result(self) -> None:
        # 2^31 x 3 pixels are 24 GB in float32: more than a machine of tests has to spare, or else than this limit.
        done = self.programs.run("xtasc-predict", "--run", str(self.run_folder), "--images", "video", "--output", "huge",
                                 "--size", "32768x65536", through=["prlimit", f"--data={8 << 30}"])
        # The last: what the program itself found, and has the system hold it to.
        self.one_line(done, 3, "out of memory on the host", "a smaller --size", " GB are free")
        self.assertEqual([path for path in (self.folder / "huge").rglob("*") if path.is_file()], [])

    def test_a_split_and_its_images_as_files(self) -> None:
        h5py = h5py_or_skip()
        done = self.good("--split", "val", "--output", "split", "--panel", "2")
        self.assertIn("7 images predicted", done.stdout)
        self.good("--pack", str(self.programs.pack), "--samples", "6", "--output", "sample")
        self.assertEqual(self.files("sample")["val_00006_depth.npy"], self.files("split")["val_00006_depth.npy"])
        with h5py.File(self.programs.pack) as pack:
            pixels = pack["val/image"][6]
        (self.folder / "large").mkdir()
        # Each pixel nine times: nearest and area give back the very sample.
        write_png(self.folder / "large/sample.png", 96, 192, 3, lambda y, x: tuple(int(c) for c in pixels[y // 3, x // 3]))
        expected = np.load(self.folder / "sample/val_00006_depth.npy")
        for resize in ("nearest", "area"):
            done = self.good("--images", "large", "--resize", resize, "--result-size", "net", "--output", resize)
            self.assertIn(f"1 of 1 images were resized to 32 x 64 (--resize {resize})", done.stderr)
            found = np.load(self.folder / resize / "sample_depth.npy")
            np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
        self.good("--images", "large", "--output", "smooth", "--result-size", "net")
        self.assertGreater(np.abs(np.load(self.folder / "smooth/sample_depth.npy") - expected).max(), 1e-3)

    def test_a_run_without_its_pack_knows_how_images_are_resized(self) -> None:
        hidden = self.programs.pack.rename(self.folder / "hidden.h5")
        try:
            done = self.good("--images", "video/frame_9.png", "--output", "packless")
        finally:
            hidden.rename(self.programs.pack)
        self.assertIn("classes are shown by number", done.stderr)
        self.assertIn("1 of 1 images were resized to 32 x 64 (--resize smooth)", done.stderr)
        self.assertNotIn("nobody recorded", done.stderr)

    def test_a_jpeg_is_predicted_as_people_see_it(self) -> None:
        try:
            from PIL import Image  # noqa: PLC0415
        except ImportError as error:
            self.skipTest(f"no Pillow: {error}")
        stored = Image.new("RGB", (70, 40))
        stored.putdata([pattern(1)(y, x) for y in range(40) for x in range(70)])
        (self.folder / "photos").mkdir()
        stored.save(self.folder / "photos/turned.JPG", quality=95, exif=b"Exif\0\0" + ORIENTATION)
        seen = Image.open(self.folder / "photos/turned.JPG").convert("RGB").transpose(Image.Transpose.ROTATE_270)
        seen.save(self.folder / "photos/seen.png")
        done = self.good("--images", "photos", "--output", "seen")
        self.assertIn("1 of 2 images has an EXIF orientation, as which they were turned", done.stderr)
        turned, upright = (np.load(self.folder / f"seen/{name}_depth.npy") for name in ("turned", "seen"))
        self.assertEqual(turned.shape, (70, 40))
        # Two decoders of JPEG may differ by a step of a colour.
        self.assertLess(np.abs(turned - upright).mean(), 0.02 * np.abs(upright).mean() + 0.02)


if __name__ == "__main__":
    common.main()
