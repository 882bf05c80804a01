#include <ATen/ATen.h>
#include <fmt/format.h>

#include <cstring>
#include <nlohmann/json.hpp>

#include "config/enums.hpp"
#include "core/error.hpp"
#include "core/huge_pages.hpp"
#include "core/log.hpp"
#include "core/temp_folder.hpp"
#include "core/user_path.hpp"
#include "data/dataset.hpp"
#include "launch/bench/bench.hpp"
#include "launch/common/noise_pack.hpp"
#include "pack/reader.hpp"

namespace xtasc::launch {

namespace {

namespace fs = std::filesystem;

at::Device bench_device(const std::string& name) {
  const bool has_gpu = at::hasCUDA();
  if (name == "cuda" && !has_gpu) {
    fail_usage("--device cuda, but no GPU is visible on this host");
  }
  return name == "cpu" || !has_gpu ? at::Device(at::kCPU) : at::Device(at::kCUDA, 0);
}

}  // namespace

nlohmann::json bench_pack(const PackBench& options) {
  const at::Device device = bench_device(options.device);
  const TempFolder scratch(options.scratch, "xtasc-bench");
  require_input("--pack", options.pack);
  fs::path path = options.pack;
  if (options.pack.empty()) {
    path = scratch.path() / "bench.h5";
    log_info("making a pack of {} samples of 128 x 256", options.samples);
    write_noise_pack(path, {.train = options.samples, .val = 1});
  }
  const pack::Reader reader(path);
  const pack::Schema& schema = reader.schema();
  const std::int64_t samples = reader.size(pack::Split::train);
  const std::size_t depth_set = pack::depth_data_set(schema);
  const std::size_t bytes =
      static_cast<std::size_t>(samples) *
      (pack::sample_bytes(schema, 0) + pack::sample_bytes(schema, 1) + pack::sample_bytes(schema, depth_set));

  Timing open, read, upload, copy, huge_copy, h5py;
  const at::Tensor from = at::zeros({static_cast<std::int64_t>(bytes)}, at::kByte);
  for (int round = 0; round < options.rounds; ++round) {
    open.seconds.push_back(seconds_of([&] { const pack::Reader again(path); }));
    read.seconds.push_back(seconds_of([&] { const data::Dataset dataset(reader, pack::Split::train, 0, at::kCPU); }));
    if (device.is_cuda()) {
      upload.seconds.push_back(seconds_of([&] {
        const data::Dataset dataset(reader, pack::Split::train, 0, device);
        const at::Tensor last = at::zeros({1}, at::TensorOptions().device(device)).cpu();  // waits for the device
      }));
    }
    copy.seconds.push_back(seconds_of([&] {
      const at::Tensor to = at::empty_like(from);
      std::memcpy(to.mutable_data_ptr(), from.const_data_ptr(), bytes);
    }));
    huge_copy.seconds.push_back(seconds_of([&] {  // as data::Dataset has its memory
      const at::Tensor to = at::empty_like(from);
      prefer_huge_pages({static_cast<std::byte*>(to.mutable_data_ptr()), bytes});
      std::memcpy(to.mutable_data_ptr(), from.const_data_ptr(), bytes);
    }));
    if (options.peer) {
      h5py.seconds.push_back(
          run_peer("bench_pack.py", {"--pack", path.string(), "--label", schema.label_sets.front().name})
              .at("seconds")
              .get<double>());
    }
  }

  const auto size = static_cast<double>(bytes);
  const auto line = [&](const char* what, const Timing& timing) {
    fmt::print("{:<44} {:8.2f} GB/s {:8.3f} s ({:.3f} to {:.3f})\n", what, size / timing.median() / 1e9,
               timing.median(), timing.min(), timing.max());
  };
  fmt::print("{} samples of {} x {}, {:.0f} MB, {} rounds; opening it takes {:.1f} ms\n", samples, schema.height,
             schema.width, size / 1e6, options.rounds, open.median() * 1e3);
  line("pack into memory, checksums verified", read);
  nlohmann::json result = {
      {"samples", samples},    {"height", schema.height}, {"width", schema.width},
      {"bytes", bytes},        {"device", device.str()},  {"open", to_json(open)},
      {"read", to_json(read)}, {"memcpy", to_json(copy)}, {"memcpy_huge_pages", to_json(huge_copy)}};
  if (device.is_cuda()) {
    line("pack onto the GPU", upload);
    result["upload"] = to_json(upload);
  }
  line("memcpy into new memory", copy);
  line("memcpy into new memory of huge pages", huge_copy);
  if (options.peer) {
    line("h5py into memory", h5py);
    result["h5py"] = to_json(h5py);
    result["speedup_over_h5py"] = h5py.median() / read.median();
    fmt::print("reading is {:.2f} x as fast as h5py\n", h5py.median() / read.median());
  }
  return result;
}

}  // namespace xtasc::launch
