#pragma once

#include <cstdint>
#include <filesystem>

namespace xtasc::launch {

struct NoisePack {
  std::int64_t train, val;
  std::int64_t num_classes = 7, height = 128, width = 256;
  bool has_normals = false;
};
/// A pack of random samples, as Cityscapes' are stored: depth as uint16; some pixels lack a label, some depth, some a
/// normal.
void write_noise_pack(const std::filesystem::path& path, const NoisePack& options);

}  // namespace xtasc::launch
