// The formats that tensorfile reads besides the zip file, from bytes made by hand: right ones, damaged ones, hostile
// ones.
#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <numeric>

#include "core/error.hpp"
#include "core/random.hpp"
#include "io/file.hpp"
#include "tensorfile/tensor_file.hpp"

namespace xtasc::tensorfile {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using namespace std::string_literals;

template <typename T>
std::string raw(T value) {
  return std::string(reinterpret_cast<const char*>(&value), sizeof(value));
}

std::string floats(int count) {
  std::string bytes;
  for (int i = 0; i < count; ++i) {
    bytes += raw(static_cast<float>(i));
  }
  return bytes;
}

// ---- pickles of protocol 2, without the "." that ends them
const std::string kProtocol("\x80\x02", 2);

std::string text(const std::string& value) {
  return "X"s + raw(static_cast<std::uint32_t>(value.size())) + value;
}

std::string integer(std::int64_t value) {
  return "\x8a\x08"s + raw(value);
}

std::string tuple(const std::vector<std::int64_t>& values) {
  return std::accumulate(values.begin(), values.end(), std::string("("),
                         [](const std::string& all, std::int64_t value) { return all + integer(value); }) +
         "t";
}

std::string storage(const std::string& key, std::int64_t num_elements, const std::string& view = "N",
                    const std::string& type = "torch\nFloatStorage") {
  return "("s + text("storage") + "c" + type + "\n" + text(key) + text("cpu") + integer(num_elements) + view + "tQ";
}

std::string tensor(const std::string& storage, std::int64_t offset, const std::vector<std::int64_t>& size,
                   const std::vector<std::int64_t>& stride) {
  return "ctorch._utils\n_rebuild_tensor_v2\n(" + storage + integer(offset) + tuple(size) + tuple(stride) + "\x89" +
         "ccollections\nOrderedDict\n)RtR";
}

std::string dict(const std::vector<std::pair<std::string, std::string>>& entries) {
  std::string bytes = "}(";
  for (const auto& [key, value] : entries) {
    bytes += text(key) + value;
  }
  return bytes + "u";
}

// ---- torch.save before PyTorch 1.6
const std::string kMagic = kProtocol + "\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.";
const std::string kBefore = kMagic + kProtocol + "M\xe9\x03." + kProtocol + dict({{"little_endian", "\x88"}}) + ".";

/// \param object  the third pickle, \param storages  by key: what lies behind the keys
std::string legacy(const std::string& object, const std::vector<std::pair<std::string, std::string>>& storages) {
  std::string bytes = kBefore + kProtocol + object + "." + kProtocol + "](";
  for (const auto& [key, content] : storages) {
    bytes += text(key);
  }
  bytes += "e.";
  for (const auto& [key, content] : storages) {
    bytes += raw(static_cast<std::int64_t>(content.size() / sizeof(float))) + content;
  }
  return bytes;
}

std::string small_legacy() {
  return legacy(
      dict({{"rows", tensor(storage("7", 6), 0, {2, 3}, {3, 1})},
            {"columns", tensor(storage("7", 6), 0, {3, 2}, {1, 3})},
            {"one", tensor(storage("8", 1), 0, {}, {})},
            {"tail", tensor(storage("7", 6, "("s + text("9") + integer(4) + integer(2) + "t"), 1, {1}, {1})}}),
      {{"7", floats(6)}, {"8", floats(1)}});
}

// ---- safetensors
std::string safetensors(const std::string& header, const std::string& data) {
  return raw(static_cast<std::uint64_t>(header.size())) + header + data;
}

std::string entry(const std::string& name, const std::string& type, const std::string& shape, int begin, int end) {
  return fmt::format(R"("{}":{{"dtype":"{}","shape":[{}],"data_offsets":[{},{}]}})", name, type, shape, begin, end);
}

std::string small_safetensors() {
  return safetensors("{\"__metadata__\":{\"format\":\"pt\"}," + entry("b", "F32", "2,2", 8, 24) + "," +
                         entry("a", "I64", "", 0, 8) + "," + entry("none", "BF16", "0,3", 8, 8) + "}  ",
                     raw(std::int64_t{-3}) + floats(4));
}

/// The error's text, which must be one line; empty when the file opens.
std::string refusal(const std::string& bytes) {
  try {
    static_cast<void>(tensor_file_of(bytes));
    return "";
  } catch (const Error& error) {
    const std::string line = error.what();
    EXPECT_TRUE(std::none_of(line.begin(), line.end(), [](unsigned char c) { return c < 0x20; })) << line;
    return line;
  }
}

void every_prefix_is_refused(const std::string& bytes) {
  for (std::size_t length = 0; length < bytes.size(); ++length) {
    EXPECT_NE(refusal(bytes.substr(0, length)), "") << length;
  }
}

/// Any answer is good: these formats do not protect their numbers. \returns how many files were refused
int count_refused_flips(const std::string& bytes) {
  RandomStream stream(1, Purpose::synthetic_input, 0, 0);
  int refused = 0;
  for (int i = 0; i < 2000; ++i) {
    std::string damaged = bytes;
    char& byte = damaged[stream.below(damaged.size())];
    byte = static_cast<char>(byte ^ (1 << stream.below(8)));
    refused += refusal(damaged).empty() ? 0 : 1;
  }
  return refused;
}

const std::string kCall = "cposix\nsystem\n("s + text("true") + "tR";

/// A checkpoint holds much besides its tensors; nothing of it is called.
TEST(TensorFormats, ObjectsBesideTensorsArePassedOver) {
  const std::string good = tensor(storage("7", 6), 0, {6}, {1});
  const std::string extras[] = {kCall,
                                kCall + "}(" + text("lr") + integer(1) + "ub",  // with attributes
                                kCall + "(" + text("k") + integer(1) + "u",     // a dictionary of its own kind
                                kCall + "(" + integer(1) + "e",                 // a list of its own kind
                                kCall + ")R",                                   // what a call gave is called
                                "cargparse\nNamespace\n)\x81}(" + text("lr") + integer(1) + "ub",
                                "cx\ny\n)}\x92",                    // with arguments by name
                                "\x8a\x10" + std::string(16, 'x'),  // an int of 128 bits
                                "\x8f(K\x01K\x02\x90",              // a set
                                "(K\x01\x91",                       // a frozen set
                                "\x8c\x01x\x8c\x01y\x93)R",         // a name from the stack
                                "C\x02xy",
                                "B\x02\0\0\0xy"s,
                                "\x8d\x02\0\0\0\0\0\0\0xy"s,  // bytes and texts
                                "\x96\x02\0\0\0\0\0\0\0xy"s,
                                "K\x01"
                                "2"
                                "0",
                                "(K\x01"
                                "1N"};
  for (const std::string& extra : extras) {
    const TensorFile file = tensor_file_of(legacy(dict({{"args", extra}, {"w", good}}), {{"7", floats(6)}}));
    ASSERT_EQ(file.tensors.size(), 1U) << extra;
    EXPECT_TRUE(at::equal(file.tensors.at("w"), at::arange(6, at::kFloat)));
  }
  const std::string parameter =
      "ctorch._utils\n_rebuild_parameter\n("s + kCall + "\x88" + "ccollections\nOrderedDict\n)RtR";
  EXPECT_EQ(tensor_file_of(legacy(dict({{"w", good}, {"x", parameter}}), {{"7", floats(6)}})).tensors.size(), 1U);
}

TEST(TensorFormats, ATensorWithAttributesIsOne) {
  const std::string call =
      "ctorch._tensor\n_rebuild_from_type_v2\n(ctorch._utils\n_rebuild_tensor_v2\nctorch\nTensor\n("s +
      storage("7", 6) + integer(2) + tuple({4}) + tuple({1}) + "\x89" + "ccollections\nOrderedDict\n)Rt}(" +
      text("tag") + integer(1) + "utR";
  const TensorFile file = tensor_file_of(legacy(dict({{"w", call}}), {{"7", floats(6)}}));
  EXPECT_TRUE(at::equal(file.tensors.at("w"), at::arange(2, 6, at::kFloat)));
}

TEST(TensorFormats, WhatIsTrueOfATensorChangesItsNumbersOrIsRefused) {
  const auto file_of = [](const std::string& key) {
    const std::string call = tensor(storage("7", 6), 0, {6}, {1});
    const std::string with = call.substr(0, call.size() - 2) + "}" + text(key) + "\x88stR";
    return legacy(dict({{"a", with}}), {{"7", floats(6)}});
  };
  EXPECT_TRUE(at::equal(tensor_file_of(file_of("neg")).tensors.at("a"), -at::arange(6, at::kFloat)));
  EXPECT_THAT(refusal(file_of("conj")), HasSubstr("a has the metadata \"conj\", which is not supported"));
}

TEST(TensorFormats, Legacy) {
  const TensorFile file = tensor_file_of(small_legacy());
  EXPECT_EQ(file.format, Format::torch_legacy);
  EXPECT_EQ(file.wrapper, "");
  ASSERT_EQ(file.tensors.size(), 4U);
  const at::Tensor rows = at::arange(6, at::kFloat).view({2, 3});
  EXPECT_TRUE(at::equal(file.tensors.at("rows"), rows));
  EXPECT_TRUE(at::equal(file.tensors.at("columns"), rows.t()));
  EXPECT_TRUE(at::equal(file.tensors.at("tail"), at::full({1}, 5.0F)));
  EXPECT_EQ(file.tensors.at("one").dim(), 0);
}

TEST(TensorFormats, ParametersAsEveryVersionWroteThem) {
  const std::string good = tensor(storage("7", 6), 0, {6}, {1});
  for (const std::string& parameter :  // made from a tensor, by name or by call, or made empty and filled
       {"ctorch._utils\n_rebuild_parameter\n("s + good + "\x88" + "ccollections\nOrderedDict\n)RtR",
        "ctorch.nn.parameter\nParameter\n("s + good + "tR(\x88\x89" + "ccollections\nOrderedDict\n)Rtb",
        "ctorch.nn.parameter\nParameter\n)\x81("s + good + "NN\x88\x89tb"}) {
    const TensorFile file = tensor_file_of(legacy(dict({{"w", parameter}}), {{"7", floats(6)}}));
    ASSERT_EQ(file.tensors.size(), 1U);
    EXPECT_TRUE(at::equal(file.tensors.at("w"), at::arange(6, at::kFloat)));
  }
}

TEST(TensorFormats, LegacyDamage) {
  const std::string bytes = small_legacy();
  every_prefix_is_refused(bytes);
  EXPECT_GT(count_refused_flips(bytes), 500);
}

TEST(TensorFormats, LegacyRefusals) {
  const auto good = tensor(storage("7", 6), 0, {6}, {1});
  const std::vector<std::pair<std::string, std::string>> six = {{"7", floats(6)}};
  const auto of = [&](const std::string& value) { return refusal(legacy(dict({{"a", value}}), six)); };
  EXPECT_EQ(of(good), "");
  EXPECT_THAT(refusal(legacy(dict({{"a", kCall}}), {})), HasSubstr("no tensors by name at its top level (keys: a)"));
  EXPECT_THAT(refusal(legacy(kCall, {})), HasSubstr("it holds an object (posix.system), not a dictionary of tensors"));
  EXPECT_THAT(refusal(legacy(dict({{"a", "ctorch._utils\n_rebuild_q\x1b[2J\n)R"}}), {})),
              HasSubstr("a is made by torch._utils._rebuild_q?[2J, which is not known here"));
  EXPECT_THAT(of(tensor(storage("7", 6), 1, {6}, {1})), HasSubstr("reaches outside of its storage of 6 elements"));
  EXPECT_THAT(of(tensor(storage("7", 6), 0, {2, 2}, {std::int64_t{1} << 62, 1})), HasSubstr("reaches outside"));
  EXPECT_THAT(of(tensor(storage("7", 6), 0, {1 << 20, 1 << 20}, {0, 0})), HasSubstr("far more memory"));
  EXPECT_NE(of(tensor(storage("7", 6), 0, {std::int64_t{1} << 61}, {0})), "");
  EXPECT_NE(of(tensor(storage("7", 6), 0, std::vector<std::int64_t>(100, 1), std::vector<std::int64_t>(100, 1))), "");
  EXPECT_THAT(of(tensor(storage("7", std::int64_t{1} << 40), 0, {6}, {1})), HasSubstr("more than the file can hold"));
  EXPECT_THAT(of(tensor(storage("7", 6, "N", "torch\nQInt32Storage"), 0, {6}, {1})),
              HasSubstr("a is of type torch.QInt32Storage, which is not supported"));
  EXPECT_THAT(of(tensor(storage("7", 6, "N", "x\nQ"), 0, {6}, {1})), HasSubstr("storage 7 is of type x.Q"));
  EXPECT_THAT(of(tensor(storage("7", 5), 0, {5}, {1})), HasSubstr("storage 7 has 6 elements, 5 expected"));
  EXPECT_THAT(of(good + text("b") + tensor(storage("8", 1), 0, {1}, {1})),
              HasSubstr("1 of its 2 storages are missing"));
  EXPECT_THAT(of(good + text("b") + tensor(storage("7", 3, "N", "torch\nDoubleStorage"), 0, {3}, {1})),
              HasSubstr("storage 7 is 6 elements of Float and also 3 of Double"));
  EXPECT_THAT(of(good + text("new\nline") + good), HasSubstr("control characters"));
  EXPECT_THAT(refusal(legacy(dict({{"a", "ctorch.nn.parameter\nParameter\n)\x81"}}), {})),
              HasSubstr("a is a parameter without a tensor"));
  EXPECT_THAT(refusal(small_legacy() + "x"), HasSubstr("1 bytes follow its last storage"));
  EXPECT_THAT(refusal(legacy(dict({{"a", good}}), {{"7", floats(6)}, {"7", floats(6)}})), HasSubstr("there twice"));
  EXPECT_THAT(refusal(legacy(good, six)), HasSubstr("does not hold a dictionary"));
  EXPECT_THAT(refusal(kMagic + kProtocol + "M\xea\x03."), HasSubstr("protocol 1002, 1001 is known"));
  EXPECT_THAT(refusal(kMagic + "\x80\x06M\xe9\x03."), HasSubstr("pickle is of protocol 6, 2 to 5 are known"));
}

TEST(TensorFormats, DeepAndCircularPicklesAreHarmless) {
  std::string deep;
  for (int i = 0; i < 1000000; ++i) {
    deep += "](";
  }
  deep += "N" + std::string(1000000, 'e');
  EXPECT_THAT(refusal(kBefore + kProtocol + deep + "."), HasSubstr("ends too early"));
  EXPECT_NE(refusal(kBefore + kProtocol + deep + "." + kProtocol + "]."), "");
  EXPECT_NE(refusal(kBefore + kProtocol + "]q\x01h\x01" + "a." + kProtocol + "]."), "");
  EXPECT_THAT(refusal(kBefore + kProtocol + text(std::string(9 << 20, 'x')) + "."), HasSubstr("more than 8 MiB"));
}

TEST(TensorFormats, DictionariesInDictionaries) {
  const auto good = dict({{"a", tensor(storage("7", 6), 0, {6}, {1})}});
  const std::vector<std::pair<std::string, std::string>> six = {{"7", floats(6)}};
  for (const char* wrapper : {"state_dict", "model_state_dict", "model"}) {
    const TensorFile file =
        tensor_file_of(legacy(dict({{"epoch", "K\x01"}, {wrapper, good}, {"optimizer", dict({})}}), six));
    EXPECT_EQ(file.wrapper, wrapper);
    EXPECT_EQ(file.tensors.size(), 1U);
  }
  EXPECT_THAT(
      refusal(legacy(dict({{"net", good}}), six)),
      HasSubstr("(keys: net): save them alone, torch.save(torch.load(FILE, weights_only=False)[\"net\"], NEW)"));
  EXPECT_EQ(tensor_file_of(legacy(dict({{"state_dict", dict({{"model", good}})}}), six)).wrapper, "state_dict.model");
  EXPECT_THAT(refusal(kBefore + kProtocol + "}q\x01(" + text("model") + "h\x01u." + kProtocol + "]."),
              HasSubstr("(keys: model)"))
      << "it holds itself";
  EXPECT_THAT(refusal(legacy(dict({{"model", good}, {"state_dict", good}}), six)),
              HasSubstr("\"model\" and in \"state_dict\""));
}

TEST(TensorFormats, Safetensors) {
  const TensorFile file = tensor_file_of(small_safetensors());
  EXPECT_EQ(file.format, Format::safetensors);
  ASSERT_EQ(file.tensors.size(), 3U);
  EXPECT_EQ(file.tensors.at("a").item<std::int64_t>(), -3);
  EXPECT_TRUE(at::equal(file.tensors.at("b"), at::arange(4, at::kFloat).view({2, 2})));
  EXPECT_EQ(file.tensors.at("none").sizes(), at::IntArrayRef({0, 3}));
  EXPECT_EQ(file.tensors.at("none").scalar_type(), at::kBFloat16);
  const std::string header = "{" + entry("a", "U16", "8", 0, 16) + "," + entry("b", "F32", "4", 16, 32) + "}";
  const TensorFile some = tensor_file_of(safetensors(header, floats(8)));
  EXPECT_EQ(some.unread, (std::map<std::string, std::string>{{"a", "U16"}}));
  EXPECT_TRUE(at::equal(some.tensors.at("b"), at::arange(4, 8, at::kFloat)));
}

TEST(TensorFormats, SafetensorsDamage) {
  const std::string bytes = small_safetensors();
  every_prefix_is_refused(bytes);
  EXPECT_GT(count_refused_flips(bytes), 500);
}

TEST(TensorFormats, SafetensorsRefusals) {
  const auto of = [&](const std::string& header) { return refusal(safetensors("{" + header + "}", floats(4))); };
  EXPECT_EQ(of(entry("a", "F32", "4", 0, 16)), "");
  EXPECT_THAT(of(entry("a", "F32", "3", 0, 16)), HasSubstr("do not fit 3 x Float"));
  EXPECT_THAT(of(entry("a", "F32", "2", 0, 8)), HasSubstr("8 bytes follow its last tensor"));
  EXPECT_THAT(of(entry("a", "F32", "2", 8, 16)), HasSubstr("starts at byte 8 of the data, 0 expected"));
  EXPECT_THAT(of(entry("a", "F32", "3", 0, 12) + "," + entry("b", "F32", "2", 8, 16)), HasSubstr("starts at byte 8"));
  EXPECT_THAT(of(entry("a", "F32", "8", 0, 32)), HasSubstr("32 bytes expected, 16 left"));
  EXPECT_THAT(of(entry("a", "F32", "4", 16, 0)), HasSubstr("do not fit"));
  EXPECT_THAT(of(entry("a", "F32", "-4", 0, 16)), HasSubstr("no size"));
  EXPECT_THAT(of(entry("a", "F32", "4.0", 0, 16)), HasSubstr("no size"));
  EXPECT_THAT(of(entry("a", "F32", "4294967296,4294967296,4", 0, 16)), HasSubstr("do not fit"));
  EXPECT_THAT(of(entry("a", "F32", "99999999999999999999", 0, 16)), HasSubstr("no size"));
  EXPECT_THAT(of(entry("a", "F8_E4M3", "16", 0, 16)), HasSubstr("\"F8_E4M3\", which is not supported"));
  EXPECT_THAT(of(entry("a", "F32", "4", 0, 16) + "," + entry("a", "F32", "4", 0, 16)), HasSubstr("a is there twice"));
  EXPECT_THAT(of(entry("a\\n", "F32", "4", 0, 16)), HasSubstr("control characters"));
  EXPECT_THAT(of("\"a\":[]"), HasSubstr("an object expected"));
  EXPECT_THAT(of("\"a\":{}"), HasSubstr("no text \"dtype\""));
  EXPECT_THAT(of("\"a\":"s + std::string(100000, '[')), HasSubstr("nested too deeply"));
  EXPECT_THAT(of("\"__metadata__\":{}"), HasSubstr("holds no tensors"));
  EXPECT_THAT(of("\"a\""), HasSubstr("not JSON at byte"));
  EXPECT_THAT(refusal(raw(std::uint64_t{1} << 40) + "{}"), HasSubstr("torch.save or safetensors is expected"));
}

TEST(TensorFormats, OtherFilesAreNamed) {
  EXPECT_THAT(refusal(""), HasSubstr("an empty file"));
  EXPECT_THAT(refusal("<html>"), HasSubstr("found text (\"<html>\")"));
  EXPECT_THAT(refusal(std::string(257, 'x') + "ustar" + std::string(250, 'x')),
              HasSubstr("found a tar file, as torch.save wrote them before PyTorch 0.1.10: save it anew"));
}

TEST(TensorFormats, WhatPythonWritesBeforeAndNow) {
  const fs::path interpreter = fs::path(XTASC_SOURCE_DIR) / ".venv/bin/python";
  if (!fs::exists(interpreter)) {
    GTEST_SKIP() << "no .venv with torch";
  }
  const fs::path folder = fs::path(testing::TempDir()) / "tensorformats";
  fs::create_directories(folder);
  std::ofstream(folder / "program.py")
      << "import sys, torch, collections\n"
         "base = torch.arange(12.).view(3, 4)\n"
         "d = collections.OrderedDict(t=base.t(), row=base[1], p=torch.nn.Parameter(base))\n"
         "d['wide'] = torch.ones(1).expand(5, 2)\n"
         "for name in ('half', 'bfloat16', 'float64', 'int64', 'int32', 'int16', 'int8', "
         "'uint8', 'bool'):\n"
         "  d[name] = torch.tensor([0, 1]).to(getattr(torch, name))\n"
         "torch.save(d, sys.argv[1] + '/new')\n"
         "torch.save(d, sys.argv[1] + '/old', _use_new_zipfile_serialization=False)\n"
         "import argparse\n"
         "args = argparse.Namespace(lr=0.1, names=['a'], path=__import__('pathlib').Path('x'), seed=2 ** 100)\n"
         "d['w'] = torch.ones(2)\n"
         "d['w'].tag = 'attribute'\n"
         "for p in (3, 4, 5):\n"
         "  both = {'model': d, 'args': args, 'keep': {1, 2}, 'epoch': 3}\n"
         "  torch.save(both, f'{sys.argv[1]}/new{p}', pickle_protocol=p)\n"
         "  torch.save(both, f'{sys.argv[1]}/old{p}', pickle_protocol=p, _use_new_zipfile_serialization=False)\n";
  ASSERT_EQ(std::system(fmt::format("{0} {1}/program.py {1}", interpreter.string(), folder.string()).c_str()), 0);
  const at::Tensor base = at::arange(12, at::kFloat).view({3, 4});
  for (const char* name : {"new", "old", "new3", "new4", "new5", "old3", "old4", "old5"}) {
    const TensorDict tensors = read_tensor_dict(folder / name);
    ASSERT_EQ(tensors.size(), std::string_view(name).size() > 3 ? 14U : 13U) << name;
    EXPECT_TRUE(at::equal(tensors.at("t"), base.t()));
    EXPECT_TRUE(at::equal(tensors.at("row"), base[1]));
    EXPECT_TRUE(at::equal(tensors.at("p"), base));
    EXPECT_TRUE(at::equal(tensors.at("wide"), at::ones({5, 2})));
    for (const auto& [key, type] : {std::pair("half", at::kHalf),
                                    {"bfloat16", at::kBFloat16},
                                    {"float64", at::kDouble},
                                    {"int64", at::kLong},
                                    {"int32", at::kInt},
                                    {"int16", at::kShort},
                                    {"int8", at::kChar},
                                    {"uint8", at::kByte},
                                    {"bool", at::kBool}}) {
      EXPECT_TRUE(at::equal(tensors.at(key), at::tensor({0, 1}).to(type))) << name << ": " << key;
    }
  }
  const std::string protocol_5 = io::read_file(folder / "old5");
  every_prefix_is_refused(protocol_5);
  EXPECT_GT(count_refused_flips(protocol_5), 500);
  fs::remove_all(folder);
}

}  // namespace
}  // namespace xtasc::tensorfile
