// Runs each file of CORPORA/PARSER/ through the parser's fuzz target, of those that are linked in: `fuzz_seeds
// CORPORA`. A broken promise aborts.
#include <sys/resource.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "core/error.hpp"
#include "io/atomic_file.hpp"

#pragma weak fuzz_config  // what needs torch is a program of its own
#pragma weak fuzz_description
#pragma weak fuzz_image
#pragma weak fuzz_matlab5
#pragma weak fuzz_npy
#pragma weak fuzz_pack
#pragma weak fuzz_weights

extern "C" {
int fuzz_config(const std::uint8_t* data, std::size_t size);
int fuzz_description(const std::uint8_t* data, std::size_t size);
int fuzz_image(const std::uint8_t* data, std::size_t size);
int fuzz_matlab5(const std::uint8_t* data, std::size_t size);
int fuzz_npy(const std::uint8_t* data, std::size_t size);
int fuzz_pack(const std::uint8_t* data, std::size_t size);
int fuzz_weights(const std::uint8_t* data, std::size_t size);
}

namespace {

namespace fs = std::filesystem;
using Target = int (*)(const std::uint8_t*, std::size_t);

const std::pair<const char*, Target> kTargets[] = {
    {"config", fuzz_config},   {"description", fuzz_description},
    {"image", fuzz_image},     {"matlab5", fuzz_matlab5},
    {"npy", fuzz_npy},         {"pack", fuzz_pack},
    {"weights", fuzz_weights},
};
constexpr long kMaxMemoryKib = 512 * 1024;  // besides what the libraries take

long memory_kib() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss;
}

std::size_t replay(const fs::path& folder, Target target) {
  const long of_libraries = memory_kib();
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(folder)) {
    files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  for (const fs::path& file : files) {
    std::printf("%s\n", file.c_str());  // the last one printed is the one that broke a promise
    const std::string bytes = xtasc::io::read_file(file);
    target(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
    const long taken = memory_kib() - of_libraries;
    xtasc::check(taken < kMaxMemoryKib, "'{}' took {} KiB of memory, {} is the limit", file.string(), taken,
                 kMaxMemoryKib);
  }
  return files.size();
}

}  // namespace

int main(int argc, char** argv) {
  try {
    xtasc::check(argc == 2, "usage: fuzz_seeds CORPORA");
    for (const auto& [name, target] : kTargets) {
      if (target == nullptr) {
        continue;
      }
      const std::size_t num_files = replay(fs::path(argv[1]) / name, target);
      xtasc::check(num_files > 0, "there are no seeds for '{}'", name);
    }
  } catch (const std::exception& error) {
    std::fprintf(stderr, "fuzz_seeds: error: %s\n", error.what());
    return 1;
  }
  return 0;
}
