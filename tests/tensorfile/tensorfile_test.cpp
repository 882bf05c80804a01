#include "tensorfile/tensor_file.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "core/error.hpp"
#include "core/random.hpp"
#include "io/atomic_file.hpp"

namespace xtasc::tensorfile {
namespace {

namespace fs = std::filesystem;

class TensorFile : public testing::Test {
 protected:
  void SetUp() override { fs::create_directories(folder_); }
  void TearDown() override { fs::remove_all(folder_); }

  [[nodiscard]] std::string path(const std::string& name) const { return (folder_ / name).string(); }

  /// Runs Python of the project's .venv; false when there is none.
  [[nodiscard]] bool python(const std::string& program) const {
    const fs::path interpreter = fs::path(XTASC_SOURCE_DIR) / ".venv/bin/python";
    if (!fs::exists(interpreter)) {
      return false;
    }
    std::ofstream(path("program.py")) << program;
    const std::string command = interpreter.string() + " " + path("program.py");
    EXPECT_EQ(std::system(command.c_str()), 0) << program;
    return true;
  }

  fs::path folder_ = fs::path(testing::TempDir()) /
                     ("tensorfile_" + std::string(testing::UnitTest::GetInstance()->current_test_info()->name()));
};

TensorDict sample() {
  return {{"a.weight", at::arange(24, at::kFloat).view({2, 3, 2, 2}).contiguous(at::MemoryFormat::ChannelsLast)},
          {"b", at::tensor({1.5, -2.5}, at::kDouble)},
          {"count", at::full({}, 7, at::kLong)},
          {"empty", at::zeros({0, 3})},
          {"half", at::tensor({0.5F, 3.0F}).to(at::kBFloat16)}};
}

TEST_F(TensorFile, RoundTrip) {
  write_tensor_dict(path("t.pt"), sample());
  const TensorDict read = read_tensor_dict(path("t.pt"));
  ASSERT_EQ(read.size(), sample().size());
  for (const auto& [name, tensor] : sample()) {
    EXPECT_TRUE(at::equal(read.at(name), tensor)) << name;
    EXPECT_EQ(read.at(name).scalar_type(), tensor.scalar_type()) << name;
  }
}

TEST_F(TensorFile, PythonOpensWhatWeWrite) {
  write_tensor_dict(path("t.pt"), sample());
  if (!python("import torch\nd = torch.load('" + path("t.pt") +
              "')\n"  // weights_only is the default
              "assert type(d) is dict and d['a.weight'].shape == (2, 3, 2, 2) and d['a.weight'].flatten()[5] == 5, d\n"
              "assert d['count'].dtype == torch.int64 and d['count'].item() == 7 and d['half'].dtype == "
              "torch.bfloat16\n")) {
    GTEST_SKIP() << "no .venv with torch";
  }
}

TEST_F(TensorFile, OpensWhatPythonWrites) {
  if (!python("import torch, collections\n"
              "net = torch.nn.Sequential(torch.nn.Conv2d(2, 3, 3), torch.nn.BatchNorm2d(3))\n"
              "torch.save(net.state_dict(), '" +
              path("ordered.pt") +
              "')\n"  // an OrderedDict with _metadata
              "base = torch.arange(12.).view(3, 4)\n"
              "torch.save({'t': base.t(), 'row': base[1], 'p': torch.nn.Parameter(base), 'name': 'x', 'n': [1, 2.5, "
              "None]}, '" +
              path("views.pt") + "')\n")) {
    GTEST_SKIP() << "no .venv with torch";
  }
  const TensorDict net = read_tensor_dict(path("ordered.pt"));
  EXPECT_EQ(net.size(), 7U);
  EXPECT_EQ(net.at("0.weight").sizes(), at::IntArrayRef({3, 2, 3, 3}));
  EXPECT_EQ(net.at("1.num_batches_tracked").scalar_type(), at::kLong);
  const TensorDict views = read_tensor_dict(path("views.pt"));
  const at::Tensor base = at::arange(12, at::kFloat).view({3, 4});
  EXPECT_EQ(views.size(), 3U);
  EXPECT_TRUE(at::equal(views.at("t"), base.t()));
  EXPECT_TRUE(at::equal(views.at("row"), base[1]));
  EXPECT_TRUE(at::equal(views.at("p"), base));
}

TEST_F(TensorFile, RunsNoCode) {
  if (!python("import torch, os\nclass Evil:\n  def __reduce__(self): return (os.system, ('touch " + path("ran") +
              "',))\n"
              "torch.save({'x': torch.zeros(1), 'evil': Evil()}, '" +
              path("evil.pt") + "')\n")) {
    GTEST_SKIP() << "no .venv with torch";
  }
  const TensorDict tensors = read_tensor_dict(path("evil.pt"));  // what it asks for is passed over
  EXPECT_EQ(tensors.size(), 1U);
  EXPECT_TRUE(tensors.contains("x"));
  EXPECT_FALSE(fs::exists(path("ran")));
}

TEST_F(TensorFile, EveryPrefixIsAnError) {
  const std::string bytes = tensor_dict_bytes({{"a", at::ones({4})}});
  for (std::size_t size = 0; size < bytes.size(); size += 7) {
    io::write_file_atomically(path("cut.pt"), bytes.substr(0, size));
    EXPECT_THROW(static_cast<void>(read_tensor_dict(path("cut.pt"))), Error) << size;
  }
}

TEST_F(TensorFile, DamageIsAnErrorOrTheSameTensorsNeverACrash) {
  const std::string bytes = tensor_dict_bytes({{"a", at::ones({4})}});
  RandomStream stream(1, Purpose::synthetic_input, 0, 0);
  for (int i = 0; i < 400; ++i) {
    std::string damaged = bytes;
    damaged[stream.below(damaged.size())] = static_cast<char>(stream.below(256));
    io::write_file_atomically(path("damaged.pt"), damaged);
    try {
      static_cast<void>(read_tensor_dict(path("damaged.pt")));
    } catch (const Error& error) {
      EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos) << error.what();
    }
  }
}

TEST_F(TensorFile, ABitThatFlippedIsFoundByTheFilesOwnChecksum) {
  const std::string bytes = tensor_dict_bytes({{"a", at::full({4}, 7.0, at::kFloat)}});
  const std::string value("\x00\x00\xe0\x40", 4);  // 7.0F, whose sign would be another weight
  std::string damaged = bytes;
  damaged[bytes.find(value) + 3] ^= '\x80';
  io::write_file_atomically(path("damaged.pt"), damaged);
  try {
    static_cast<void>(read_tensor_dict(path("damaged.pt")));
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("data/0 is damaged"), std::string::npos) << error.what();
  }
  // torch.serialization.set_crc32_options(False) leaves zeros in the directory.
  std::string without = damaged;
  for (std::size_t at = without.find("PK\x01\x02"); at != std::string::npos; at = without.find("PK\x01\x02", at + 1)) {
    without.replace(at + 16, 4, 4, '\0');
  }
  io::write_file_atomically(path("without.pt"), without);
  EXPECT_EQ(read_tensor_dict(path("without.pt")).at("a")[0].item<float>(), -7.0F);
}

TEST_F(TensorFile, MissingFileIsNamed) {
  try {
    static_cast<void>(read_tensor_dict(path("none.pt")));
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("none.pt"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace xtasc::tensorfile
