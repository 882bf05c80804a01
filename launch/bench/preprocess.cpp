#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <nlohmann/json.hpp>
#include <thread>
#include <vector>

#include "core/error.hpp"
#include "core/log.hpp"
#include "core/random.hpp"
#include "core/temp_folder.hpp"
#include "core/user_path.hpp"
#include "io/atomic_file.hpp"
#include "io/image/image.hpp"
#include "io/image/png.hpp"
#include "launch/bench/bench.hpp"
#include "preprocess/datasets/cityscapes.hpp"
#include "preprocess/pack_builder.hpp"
#include "preprocess/scenes/scenes.hpp"

namespace xtasc::launch {

namespace {

namespace fs = std::filesystem;
using preprocess::Size;

constexpr Size kRaw{1024, 2048};
constexpr Size kPacked{128, 256};

/// Scenes with a camera's noise, whose PNGs are then as large as those of Cityscapes (2.2 MB an image).
void write_frame(const fs::path& root, const std::string& split, std::uint64_t index) {
  const preprocess::Scene scene = preprocess::render_scene(1, index, kRaw.height, kRaw.width);
  constexpr auto kPixels = static_cast<std::size_t>(kRaw.height * kRaw.width);
  std::vector<std::uint8_t> image(3 * kPixels), ids(kPixels);
  std::vector<std::uint16_t> disparity(kPixels);
  std::uint64_t noise = index + 1;
  constexpr std::array<std::uint8_t, 7> kIdOfClass = {7, 11, 23, 26, 24, 17, 21};
  for (std::size_t pixel = 0; pixel < kPixels; ++pixel) {
    for (const std::size_t value : {3 * pixel + 2, 3 * pixel + 1, 3 * pixel}) {
      noise = noise * 6364136223846793005U + 1442695040888963407U;
      const int jitter = static_cast<int>(noise >> 33 & 1U) + static_cast<int>(noise >> 34 & 1U) - 1;
      image[value] = static_cast<std::uint8_t>(std::clamp(int{scene.image[value]} + jitter, 0, 255));
    }
    ids[pixel] = kIdOfClass[scene.label[pixel]];
    const int steps = static_cast<int>(std::min(40000.0 / static_cast<double>(scene.depth[pixel]), 32000.0) / 16);
    disparity[pixel] = static_cast<std::uint16_t>(pixel % 17 == 0 ? 0 : steps * 16 + 1);
  }
  const auto write = [&](const char* folder, const char* what, const auto& pixels, auto... channels) {
    const fs::path path = root / fmt::format("{}/{}/x/x_{:06}_000019_{}.png", folder, split, index, what);
    fs::create_directories(path.parent_path());
    io::write_png(path, pixels, kRaw.height, kRaw.width, channels..., io::PngEffort::thorough);
  };
  write("leftImg8bit", "leftImg8bit", image, 3);
  write("gtFine", "gtFine_labelIds", ids, 1);
  write("disparity", "disparity", disparity);
}

/// Runs `work` for items 0 .. count - 1 on `workers` threads.
void in_parallel(std::size_t count, int workers, const std::function<void(std::size_t)>& work) {
  std::atomic<std::size_t> next = 0;
  std::vector<std::jthread> threads;
  for (int i = 0; i < workers; ++i) {
    threads.emplace_back([&] {
      for (std::size_t item = next++; item < count; item = next++) {
        work(item);
      }
    });
  }
}

/// A root that links to the first frames of a download.
void link_frames(const fs::path& from, const fs::path& root, std::int64_t frames) {
  const preprocess::CityscapesDataset all(from);
  for (const pack::Split split : {pack::Split::train, pack::Split::val}) {
    const std::int64_t wanted = split == pack::Split::train ? std::max<std::int64_t>(1, frames - frames / 4)
                                                            : std::max<std::int64_t>(1, frames / 4);
    for (std::size_t i = 0; i < std::min(all.names(split).size(), static_cast<std::size_t>(wanted)); ++i) {
      for (const fs::path& file : all.files(split, i)) {
        const fs::path link = root / fs::relative(file, from);
        fs::create_directories(link.parent_path());
        fs::create_symlink(fs::absolute(file), link);
      }
    }
  }
}

}  // namespace

nlohmann::json bench_preprocess(const PreprocessBench& options) {
  require_input("--root", options.root);
  const TempFolder scratch(options.scratch, "xtasc-bench");
  const fs::path root = scratch.path() / "raw";
  if (options.root.empty()) {
    log_info("making {} frames of 1024 x 2048", options.frames);
    in_parallel(static_cast<std::size_t>(options.frames), options.workers,
                [&](std::size_t i) { write_frame(root, i % 4 == 3 ? "val" : "train", i); });
  } else {
    link_frames(options.root, root, options.frames);
  }
  const preprocess::CityscapesDataset dataset(root);
  std::vector<fs::path> files;
  std::size_t bytes = 0;
  for (const pack::Split split : {pack::Split::train, pack::Split::val}) {
    for (std::size_t i = 0; i < dataset.names(split).size(); ++i) {
      for (const fs::path& file : dataset.files(split, i)) {
        bytes += fs::file_size(file);
        files.push_back(file);
      }
    }
  }
  const std::size_t samples = files.size() / 3;

  Timing pack, inflate, opencv;
  for (int round = 0; round < options.rounds; ++round) {
    preprocess::BuildOptions build;
    build.output = scratch.path() / "bench.h5";
    build.resize.to = kPacked;
    build.workers = options.workers;
    build.overwrite = true;
    pack.seconds.push_back(seconds_of([&] { preprocess::build_pack(dataset, build); }));
    inflate.seconds.push_back(seconds_of([&] {
      in_parallel(files.size(), options.workers, [&](std::size_t i) {
        const std::string file = io::read_file(files[i]);
        io::inflate_png(io::read_png_chunks(file, files[i]), files[i]);
      });
    }));
    if (options.peer) {
      const nlohmann::json peer =
          run_peer("bench_preprocess.py", {"--root", root.string(), "--workers", std::to_string(options.workers)});
      check(peer.at("samples").get<std::size_t>() == samples, "the peer read {} samples, {} are there",
            peer.at("samples").dump(), samples);
      opencv.seconds.push_back(peer.at("seconds").get<double>());
    }
  }

  const auto count = static_cast<double>(samples);
  const auto line = [&](const char* what, const Timing& timing, const std::string& remark) {
    fmt::print("{:<44} {:8.1f} samples/s ({:.1f} to {:.1f}) {}\n", what, count / timing.median(), count / timing.max(),
               count / timing.min(), remark);
  };
  fmt::print("{} frames of 1024 x 2048, {:.2f} MB each in three PNGs, {} workers, {} rounds\n", samples,
             static_cast<double>(bytes) / count / 1e6, options.workers, options.rounds);
  line("xtasc-preprocess cityscapes, pack written", pack, "");
  line("reading and inflating the same files alone", inflate,
       fmt::format("packing takes {:.2f} x as long", pack.median() / inflate.median()));
  nlohmann::json result = {{"samples", samples},
                           {"height", kPacked.height},
                           {"width", kPacked.width},
                           {"raw_height", kRaw.height},
                           {"raw_width", kRaw.width},
                           {"bytes", bytes},
                           {"workers", options.workers},
                           {"made_frames", options.root.empty()},
                           {"pack", to_json(pack)},
                           {"inflate", to_json(inflate)},
                           {"pack_over_inflate", pack.median() / inflate.median()}};
  if (options.peer) {
    line("OpenCV in a pool of Python processes", opencv,
         fmt::format("packing is {:.2f} x as fast", opencv.median() / pack.median()));
    result["opencv"] = to_json(opencv);
    result["speedup_over_opencv"] = opencv.median() / pack.median();
  }
  return result;
}

}  // namespace xtasc::launch
