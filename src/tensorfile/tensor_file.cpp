#include "tensorfile/tensor_file.hpp"

#include <ATen/ATen.h>

#include <array>

#include "core/error.hpp"
#include "io/atomic_file.hpp"
#include "io/image/image.hpp"
#include "tensorfile/formats.hpp"
#include "tensorfile/printable.hpp"

namespace xtasc::tensorfile {

namespace {

constexpr std::array<std::string_view, 3> kWrappers = {"state_dict", "model_state_dict", "model"};

/// Source: https://pubs.opengroup.org/onlinepubs/9699919799/utilities/pax.html (ustar)
bool is_tar(std::string_view bytes) {
  constexpr std::size_t kMagicAt = 257;
  return bytes.size() > kMagicAt && bytes.substr(kMagicAt).starts_with("ustar");
}

TensorFile read_by_content(std::string_view bytes) {
  if (bytes.starts_with(std::string_view("PK\x03\x04", 4))) {
    return read_torch_zip(bytes);
  }
  if (bytes.starts_with(kLegacyMagic)) {
    return read_torch_legacy(bytes);
  }
  check(!is_tar(bytes),
        "found a tar file, as torch.save wrote them before PyTorch 0.1.10: save it anew with today's "
        "torch.save(torch.load(FILE, weights_only=False), NEW)");
  if (is_safetensors(bytes)) {
    return read_safetensors(bytes);
  }
  fail("found {}, a file of torch.save or safetensors is expected", io::describe_content(bytes));
}

bool holds_tensors(const PickleDict& dict) {
  return std::any_of(dict.begin(), dict.end(),
                     [](const auto& entry) { return std::holds_alternative<at::Tensor>(entry.second.data); });
}

/// The keys at the top level, for an error message.
std::string keys_of(const PickleDict& dict) {
  std::string keys;
  for (const auto& [key, value] : dict) {
    if (const auto* name = std::get_if<std::string_view>(&key.data); name != nullptr && keys.size() < 100) {
      keys += (keys.empty() ? "" : ", ") + printable(*name);
    }
  }
  return keys.empty() ? "none" : keys;
}

}  // namespace

std::string_view format_name(Format format) {
  switch (format) {
    case Format::torch_zip:
      return "torch.save (zip)";
    case Format::torch_legacy:
      return "torch.save (before PyTorch 1.6)";
    case Format::safetensors:
      return "safetensors";
  }
  fail("unknown format {}", static_cast<int>(format));
}

TensorFile tensors_of(const Pickle& pickle, Format format, std::uint64_t file_bytes) {
  auto* const* root = std::get_if<PickleDict*>(&pickle.root.data);
  check(root != nullptr, "it does not hold a dictionary");
  TensorFile file{.format = format, .wrapper = {}, .tensors = {}};
  const PickleDict* dict = *root;
  for (const auto& [key, value] : **root) {
    const auto* name = std::get_if<std::string_view>(&key.data);
    auto* const* inner = std::get_if<PickleDict*>(&value.data);
    if (name != nullptr && inner != nullptr && holds_tensors(**inner) &&
        std::find(kWrappers.begin(), kWrappers.end(), *name) != kWrappers.end()) {
      check(file.wrapper.empty(), "it holds tensors in \"{}\" and in \"{}\": save one of them alone", file.wrapper,
            *name);
      file.wrapper = *name;
      dict = *inner;
    }
  }
  // Views may share their storage or repeat it, so all tensors together can be larger than the file, within reason.
  std::uint64_t bytes_left = 16 * file_bytes + (std::uint64_t{64} << 20);
  for (const auto& [key, value] : *dict) {
    const auto* name = std::get_if<std::string_view>(&key.data);
    const auto* tensor = std::get_if<at::Tensor>(&value.data);
    if (name == nullptr || tensor == nullptr) {
      continue;
    }
    check(!has_control_characters(*name), "a tensor's name has control characters: {}", printable(*name));
    check(tensor->defined(), "{} is a parameter without a tensor", printable(*name));
    check(static_cast<std::uint64_t>(tensor->numel()) <= bytes_left / tensor->element_size(),
          "its tensors take far more memory than the file has bytes");
    bytes_left -= tensor->nbytes();
    file.tensors[std::string(*name)] = tensor->clone(at::MemoryFormat::Contiguous);
  }
  check(!file.tensors.empty(), "it holds no tensors by name at its top level (keys: {})", keys_of(**root));
  return file;
}

TensorFile tensor_file_of(std::string_view bytes) {
  try {
    return read_by_content(bytes);
  } catch (const c10::Error& error) {
    const std::string reason = error.what_without_backtrace();
    fail("damaged, {}", reason.substr(0, reason.find('\n')));
  }
}

TensorFile read_tensor_file(const std::filesystem::path& path) {
  const std::string bytes = io::read_file(path);
  try {
    return tensor_file_of(bytes);
  } catch (const Error& error) {
    fail("{} is not a file of tensors: {}", path.string(), error.what());
  }
}

TensorDict read_tensor_dict(const std::filesystem::path& path) {
  return read_tensor_file(path).tensors;
}

void write_tensor_dict(const std::filesystem::path& path, const TensorDict& tensors) {
  io::write_file_atomically(path, tensor_dict_bytes(tensors));
}

}  // namespace xtasc::tensorfile
