#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <span>
#include <string>
#include <vector>

#include "core/error.hpp"
#include "io/hdf5/hdf5.hpp"
#include "pack/schema.hpp"
#include "pack/writer.hpp"
#include "support/temp_folder.hpp"

namespace xtasc::test {

/// The message, and behind it the details, of the Error that `body` throws; "no error" when it throws none.
inline std::string error_of(const std::function<void()>& body) {
  try {
    body();
  } catch (const Error& error) {
    std::string text = error.what();
    for (const std::string& detail : error.details()) {
      text += "\n" + detail;
    }
    return text;
  }
  return "no error";
}

inline std::string bytes_of(const std::filesystem::path& path) {
  std::ifstream stream(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

inline void write_bytes(const std::filesystem::path& path, const std::string& bytes) {
  std::filesystem::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary) << bytes;
}

/// Lets no file of this process grow beyond `bytes`, as a full disk would, while it lives.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) {
    old_handler_ = std::signal(SIGXFSZ, SIG_IGN);
    ::getrlimit(RLIMIT_FSIZE, &old_limit_);
    const rlimit limit{bytes, old_limit_.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileSizeLimit() {
    ::setrlimit(RLIMIT_FSIZE, &old_limit_);
    std::signal(SIGXFSZ, old_handler_);
  }
  FileSizeLimit(const FileSizeLimit&) = delete;
  FileSizeLimit& operator=(const FileSizeLimit&) = delete;

 private:
  rlimit old_limit_{};
  void (*old_handler_)(int) = nullptr;
};

/// Runs `body` in a child process that then dies at once, as by SIGKILL: no destructor, no flush.
inline void run_and_die(const std::function<void()>& body) {
  const pid_t child = ::fork();
  if (child == 0) {
    body();
    ::_exit(0);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
}

/// A schema of 32 x 64 pixels with one label set of three classes and depth in metres.
inline pack::Schema small_schema() {
  pack::Schema schema;
  schema.dataset = "small";
  schema.height = 32;
  schema.width = 64;
  schema.label_sets = {{"label", {"floor", "wall", "sky"}, {{1, 2, 3}, {4, 5, 6}, {7, 8, 255}}}};
  schema.resize = "none";
  schema.source = "a test";
  return schema;
}

/// Values that differ by sample and pixel; owns what a pack::Sample points to.
struct SmallSample {
  explicit SmallSample(std::uint32_t number, std::size_t pixels = 2048)
      : name("raw/" + std::to_string(number) + ".png"),
        image(pixels * 3),
        label(pixels),
        depth(pixels),
        depth16(pixels) {
    for (std::size_t i = 0; i < pixels; ++i) {
      for (std::size_t c = 0; c < 3; ++c) {
        image[3 * i + c] = static_cast<std::uint8_t>(std::size_t{number} * 31 + i * 7 + c);
      }
      label[i] = i % 5 == 4 ? pack::kIgnoreLabel : static_cast<std::uint8_t>((i + number) % 3);
      depth[i] = i % 11 == 0 ? 0.0F : 0.25F * static_cast<float>(1 + (i + number) % 40);
      depth16[i] = static_cast<std::uint16_t>(i % 11 == 0 ? 0 : 1 + (i * 13 + number) % 32257);
    }
  }
  [[nodiscard]] pack::Sample view() const {
    pack::Sample sample;
    sample.name = name;
    sample.image = image;
    sample.labels = {label};
    sample.depth = std::span<const float>(depth);
    return sample;
  }

  std::string name;
  std::vector<std::uint8_t> image, label;
  std::vector<float> depth;
  std::vector<std::uint16_t> depth16;
};

/// Three train and two val samples.
inline pack::Schema write_small_pack(const std::filesystem::path& path, bool overwrite = false) {
  pack::Writer writer(path, small_schema(), overwrite);
  for (std::uint32_t i = 0; i < 5; ++i) {
    writer.append(i < 3 ? pack::Split::train : pack::Split::val, SmallSample(i).view());
  }
  return writer.finish();
}

/// Makes every label of the first training sample 0 and leaves the header as it was, as a user with h5py would.
inline void edit_in_place(const std::filesystem::path& path) {
  const io::Hdf5Handle file(H5Fopen(path.c_str(), H5F_ACC_RDWR, H5P_DEFAULT), H5Fclose);
  const io::Hdf5Handle labels = io::open_dataset(file.get(), "train/label", path.string());
  const std::vector<hsize_t> start = {0, 0, 0};
  std::vector<hsize_t> count = io::dataset_shape(labels.get());
  count[0] = 1;
  const std::vector<std::uint8_t> zeros(count[1] * count[2], 0);
  io::check(io::write_block(labels.get(), H5T_NATIVE_UINT8, start, count, zeros.data()), "cannot edit {}",
            path.string());
}

/// A Python with h5py: XTASC_PYTHON, the project's .venv, or python3; empty when none has it.
inline std::string python_with_h5py() {
  std::vector<std::string> candidates;
  if (const char* python = std::getenv("XTASC_PYTHON")) {
    candidates.emplace_back(python);
  }
  candidates.push_back(XTASC_SOURCE_DIR "/.venv/bin/python");
  candidates.emplace_back("python3");
  for (const std::string& python : candidates) {
    if (std::system(("'" + python + "' -c 'import h5py' > /dev/null 2>&1").c_str()) == 0) {
      return python;
    }
  }
  return {};
}

}  // namespace xtasc::test
