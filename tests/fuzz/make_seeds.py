"""Writes the hand-made seeds of the binary formats into corpora/PARSER.tar.gz: python3 tests/fuzz/make_seeds.py

    python3 tests/fuzz/make_seeds.py --add PARSER FILE ...     adds files, such as one that broke a promise, to a corpus

Same files, same bytes. The former needs numpy and the wheels of h5py and torch. The seeds in text (config, description) and the
JPEG files were written by other means; those named corpus_* and most named fault_* come from the fuzzers.
"""

from __future__ import annotations

import argparse
import collections
import ctypes
import gzip
import io
import struct
import tarfile
import tempfile
import zlib
from pathlib import Path

try:
    import h5py
    import numpy as np
    import torch
except ImportError:  # --add does without
    h5py = np = torch = None

CORPORA = Path(__file__).resolve().parent / "corpora"


# ---- PNG -------------------------------------------------------------------------------------------------------------
def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, depth: int, colour: int, *extra: bytes, interlace: int = 0,
        data: bytes = b"") -> bytes:
    """A PNG of made-up pixels, or with `data` in their place; interlaced ones hold 1 x 1 pixel only."""
    samples = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour]
    row_bytes = (width * samples * depth + 7) // 8
    rows = b"".join(bytes([y % 5]) + bytes((x * 7 + y) % 4 for x in range(row_bytes)) for y in range(height))
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlace)
    data = data or zlib.compress(rows, 9)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + b"".join(extra) + chunk(b"IDAT", data)
            + chunk(b"IEND", b""))


def images() -> dict[str, bytes]:
    palette = chunk(b"PLTE", bytes(range(12)))
    text = chunk(b"tEXt", b"Comment\0made by hand")
    gamma = chunk(b"gAMA", struct.pack(">I", 45455))
    transparent = chunk(b"tRNS", struct.pack(">H", 1))
    half = png(9, 7, 8, 2)[:60]
    damaged = zlib.compress(bytes(range(40)))[:-1] + b"!"  # its Adler-32 is wrong, the chunk's CRC right
    return {
        "grey1.png": png(13, 5, 1, 0),
        "grey8.png": png(8, 6, 8, 0),
        "grey8_transparent.png": png(8, 6, 8, 0, transparent),
        "grey16.png": png(8, 6, 16, 0),
        "grey_alpha.png": png(4, 6, 8, 4),
        "rgb.png": png(9, 7, 8, 2, text, gamma),
        "rgb16.png": png(5, 4, 16, 2),
        "rgba.png": png(5, 4, 8, 6),
        "palette2.png": png(7, 5, 2, 3, palette),
        "palette8.png": png(7, 5, 8, 3, palette, chunk(b"tRNS", b"\x80\xff")),
        "interlaced.png": png(1, 1, 8, 2, interlace=1),
        "bomb.png": b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 1 << 30, 1 << 30, 8, 2, 0, 0, 0))
        + chunk(b"IDAT", zlib.compress(bytes(1 << 20), 9)) + chunk(b"IEND", b""),
        "truncated.png": half,
        "fault_libpng_prints.png": png(7, 5, 2, 3, palette, data=damaged),
        "damaged_data.png": png(7, 5, 8, 0, data=damaged),
        "git_lfs_pointer.png": b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n",
    }


# ---- NumPy -----------------------------------------------------------------------------------------------------------
def npy(array: np.ndarray, version: tuple[int, int] | None = None) -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array(file, array, version=version)
    return file.getvalue()


def arrays() -> dict[str, bytes]:
    floats = np.arange(12, dtype="<f4").reshape(3, 4)
    return {
        "float.npy": npy(floats),
        "float_version2.npy": npy(floats, (2, 0)),
        "float_version3.npy": npy(floats, (3, 0)),
        "float_fortran.npy": npy(np.asfortranarray(floats)),
        "float_scalar.npy": npy(np.float32(2.5)),
        "float_empty.npy": npy(np.zeros((0, 5), "<f4")),
        "float_big_endian.npy": npy(floats.astype(">f4")),
        "bytes.npy": npy(np.arange(24, dtype="u1").reshape(2, 3, 4)),
        "double.npy": npy(floats.astype("<f8")),
        "truncated.npy": npy(floats)[:-5],
    }


# ---- MATLAB 5 --------------------------------------------------------------------------------------------------------
def element(kind: int, data: bytes) -> bytes:
    return struct.pack("<II", kind, len(data)) + data + bytes(-len(data) % 8)


def matrix(name: str, array_class: int, stored: int, letter: str, values: list[float]) -> bytes:
    """A 1 x N array; `stored` is the element's type in the file, `letter` its struct code."""
    return element(14, element(6, struct.pack("<II", array_class, 0)) + element(5, struct.pack("<ii", 1, len(values)))
                   + element(1, name.encode()) + element(stored, struct.pack(f"<{len(values)}{letter}", *values)))


def one_struct(name: str, field: str, value: bytes) -> bytes:
    return element(14, element(6, struct.pack("<II", 2, 0)) + element(5, struct.pack("<ii", 1, 1))
                   + element(1, name.encode()) + struct.pack("<HHI", 5, 4, 32)
                   + element(1, field.encode().ljust(32, b"\0")) + value)


def matlab5(*variables: bytes, compressed: bool = False) -> bytes:
    head = b"MATLAB 5.0 MAT-file, made by hand".ljust(124) + struct.pack("<H", 0x0100) + b"IM"
    for variable in variables:
        packed = zlib.compress(variable, 9)
        head += struct.pack("<II", 15, len(packed)) + packed if compressed else variable
    return head


def side_files() -> dict[str, bytes]:
    indices = [float(i) for i in range(1, 41)]
    train = matrix("trainNdxs", 6, 9, "d", indices)
    other = one_struct("other", "field", matrix("", 6, 2, "B", [i % 14 for i in range(40)]))
    complex_values = element(14, element(6, struct.pack("<II", 6 | 0x0800, 0)) + element(5, struct.pack("<ii", 1, 1))
                             + element(1, b"trainNdxs") + element(9, struct.pack("<d", 1)) * 2)
    return {
        "double.mat": matlab5(train),
        "double_compressed.mat": matlab5(train, compressed=True),
        "double_stored_as_bytes.mat": matlab5(matrix("trainNdxs", 6, 2, "B", list(range(1, 30)))),
        "single.mat": matlab5(matrix("trainNdxs", 7, 7, "f", indices[:5])),
        "int8.mat": matlab5(matrix("trainNdxs", 8, 1, "b", [1, 2, 3])),
        "uint8.mat": matlab5(matrix("trainNdxs", 9, 2, "B", [1, 2, 3])),
        "int16.mat": matlab5(matrix("trainNdxs", 10, 3, "h", [1, 2, 3])),
        "uint16.mat": matlab5(matrix("trainNdxs", 11, 4, "H", [1, 2, 3])),
        "int32.mat": matlab5(matrix("trainNdxs", 12, 5, "i", [1, 2, 3])),
        "uint32.mat": matlab5(matrix("trainNdxs", 13, 6, "I", [1, 2, 3])),
        "int64.mat": matlab5(matrix("trainNdxs", 14, 12, "q", [1, 2, 3])),
        "text.mat": matlab5(matrix("trainNdxs", 4, 4, "H", [104, 105])),
        "complex.mat": matlab5(complex_values),
        "not_whole.mat": matlab5(matrix("trainNdxs", 6, 9, "d", [1.5, float("nan")])),
        "struct.mat": matlab5(other, train),
        "struct_compressed.mat": matlab5(other, train, compressed=True),
        "truncated.mat": matlab5(train)[:-50],
    }


# ---- packs -----------------------------------------------------------------------------------------------------------
def pack(libver: str, depth: str, label_sets: tuple[str, ...] = ("label",), variable_text: bool = False,
         normals: bool = False) -> bytes:
    """One sample a split of 32 x 32 pixels, deflated to stay small (the project's own packs are not)."""
    with tempfile.NamedTemporaryFile(suffix=".h5") as file:
        write_pack(file.name, libver, depth, label_sets, variable_text, normals)
        return Path(file.name).read_bytes()


def write_pack(name: str, libver: str, depth: str, label_sets: tuple[str, ...], variable_text: bool,
               normals: bool) -> None:
    creation = h5py.h5p.create(h5py.h5p.FILE_CREATE)
    creation.set_obj_track_times(False)
    access = h5py.h5p.create(h5py.h5p.FILE_ACCESS)
    # What h5py has no words for, from its wheel's own HDF5: small tree nodes and no reserves make small files.
    (library_path,) = (Path(h5py.__file__).parent.parent / "h5py.libs").glob("libhdf5-*")
    library = ctypes.CDLL(str(library_path))
    library.H5Pset_meta_block_size(ctypes.c_int64(access.id), ctypes.c_uint64(0))
    library.H5Pset_small_data_block_size(ctypes.c_int64(access.id), ctypes.c_uint64(0))
    if libver == "earliest":
        library.H5Pset_sym_k(ctypes.c_int64(creation.id), ctypes.c_uint(2), ctypes.c_uint(2))
        library.H5Pset_istore_k(ctypes.c_int64(creation.id), ctypes.c_uint(1))
    version = {"earliest": h5py.h5f.LIBVER_EARLIEST, "v110": h5py.h5f.LIBVER_V110}[libver]
    access.set_libver_bounds(version, h5py.h5f.LIBVER_V110)
    with h5py.File(h5py.h5f.create(name.encode(), h5py.h5f.ACC_TRUNC, fcpl=creation, fapl=access)) as h5:
        text = str if variable_text else np.bytes_
        text_type = h5py.string_dtype() if variable_text else "S8"
        texts = {"format": "xtasc-pack", "dataset": "seed", "depth_kind": "metres", "resize": "none",
                 "tool_version": "0", "created": "2024-01-01T00:00:00Z", "source": "made by hand",
                 "content_digest": "0" * 32}
        if normals:
            texts["normals"] = "exact"
        for key, value in texts.items():
            h5.attrs[key] = text(value)
        for key, number in {"version": 3 if normals else 2, "height": 32, "width": 32, "ignore_label": 255}.items():
            h5.attrs[key] = np.int64(number)
        names = {name: [f"{name}{i}" for i in range(2 + place)] for place, name in enumerate(label_sets)}
        h5.attrs["num_classes"] = np.int64(len(names[label_sets[0]]))
        h5.attrs["class_names"] = np.array(names[label_sets[0]], dtype=text_type)
        h5.attrs["depth_scale"] = 1.0
        h5.attrs["depth_max"] = 3.0
        h5.attrs["image_mean"] = np.full(3, 0.5)
        h5.attrs["image_std"] = np.full(3, 0.25)
        for split in ("train", "val")[: len(label_sets)]:
            group = h5.create_group(split)
            options = {"compression": "gzip", "compression_opts": 9, "fletcher32": True, "track_times": False}
            shape = (1, 32, 32)
            group.create_dataset("image", data=np.full((*shape, 3), 7, "u1"), chunks=(*shape, 3), **options)
            for name in label_sets:
                label = group.create_dataset(name, data=np.ones(shape, "u1"), chunks=shape, **options)
                label.attrs["class_names"] = np.array(names[name], dtype=text_type)
                label.attrs["class_colors"] = np.full((len(names[name]), 3), 9, "u1")
            group.create_dataset("depth", data=np.full(shape, 3, depth), chunks=shape, **options)
            if normals:
                up = np.tile(np.array([0, -32767, 0], "<i2"), (*shape, 1))
                group.create_dataset("normals", data=up, chunks=(*shape, 3), **options)
                group.create_dataset("has_seg", data=np.ones(1, "u1"), chunks=(1,), **options)
            group.create_dataset("name", data=np.array([f"{split}1"], dtype=text_type), track_times=False)


def packs() -> dict[str, bytes]:
    whole = pack("v110", "<f4")
    return {
        "float.h5": whole,
        "uint16.h5": pack("v110", "<u2"),
        "two_label_sets.h5": pack("v110", "<u2", ("label_2", "label_3")),
        "variable_text.h5": pack("v110", "<f4", variable_text=True),
        "normals.h5": pack("v110", "<f4", normals=True),
        "old_format.h5": pack("earliest", "<f4"),
        "truncated.h5": whole[: len(whole) // 2],
    }


# ---- weights ----------------------------------------------------------------------------------------------------------
def weights() -> dict[str, bytes]:
    """As torch.save writes them, of every pickle protocol, and beside the tensors what checkpoints have."""
    torch.manual_seed(1)
    base = torch.arange(6.0).view(2, 3)
    plain = collections.OrderedDict(rows=base, columns=base.t(), one=torch.ones(()), count=torch.zeros(1, dtype=torch.int64),
                                    half=torch.ones(2).half(), parameter=torch.nn.Parameter(base))
    plain._metadata = collections.OrderedDict({"": {"version": 1}})
    tagged = {"w": torch.ones(2)}
    tagged["w"].tag = "attribute"
    beside = {"state_dict": {"model": plain}, "args": argparse.Namespace(lr=0.1, seed=1 << 100, path=Path("x")),
              "set": {1, 2}, "frozen": frozenset({3}), "bytes": b"ab", "array": bytearray(b"cd"), "number": np.float64(0.5),
              "counter": collections.Counter(a=1)}
    values = {"plain": plain, "tagged": tagged, "beside": beside, "module": torch.nn.Linear(2, 1),
              "sparse": {"s": torch.eye(2).to_sparse()}}
    made = {}
    for name, value in values.items():
        for protocol in (2, 3, 4, 5):
            for is_zip in (True, False):
                file = io.BytesIO()
                torch.save(value, file, pickle_protocol=protocol, _use_new_zipfile_serialization=is_zip)
                made[f"{name}{protocol}.{'pth' if is_zip else 'old'}"] = file.getvalue()
    header = b'{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"__metadata__":{"format":"pt"}}'
    made["a.safetensors"] = struct.pack("<Q", len(header)) + header + struct.pack("<2f", 1, 2)
    return made


# ---- the archives
def read_corpus(path: Path) -> dict[str, bytes]:
    if not path.exists():
        return {}
    with tarfile.open(path) as archive:
        return {member.name: archive.extractfile(member).read() for member in archive if member.isfile()}


def write_corpus(path: Path, files: dict[str, bytes]) -> None:
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, content in sorted(files.items()):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    path.write_bytes(gzip.compress(plain.getvalue(), 9, mtime=0))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--add", nargs="+", metavar=("PARSER", "FILE"), help="files to add to a parser's corpus")
    add = parser.parse_args().add
    if add:
        made = {add[0]: {Path(name).name: Path(name).read_bytes() for name in add[1:]}}
    else:
        made = {"image": images(), "npy": arrays(), "matlab5": side_files(), "pack": packs(), "weights": weights()}
    for name, files in made.items():
        path = CORPORA / f"{name}.tar.gz"
        there = read_corpus(path)
        if name == "weights" and not add:  # the older format numbers storages by their addresses
            files = {key: content for key, content in files.items() if key not in there}
        write_corpus(path, there | files)


if __name__ == "__main__":
    main()
