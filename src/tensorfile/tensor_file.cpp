#include "tensorfile/tensor_file.hpp"

#include <ATen/ATen.h>

#include <array>

#include "core/error.hpp"
#include "core/log.hpp"
#include "io/atomic_file.hpp"
#include "io/content.hpp"
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
  check(!io::is_npz(bytes),
        "found NumPy arrays (.npz): save them anew by torch.save({{k: torch.from_numpy(v) for k, v in "
        "numpy.load(FILE).items()}}, NEW)");
  if (bytes.starts_with(std::string_view("PK\x03\x04", 4))) {
    return read_torch_zip(bytes);
  }
  if (is_torch_legacy(bytes)) {
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

/// Whether it holds tensors under names of weights, "conv1.weight": an optimizer's are under others.
bool holds_weights(const PickleDict& dict) {
  return std::any_of(dict.begin(), dict.end(), [](const auto& entry) {
    const auto* name = std::get_if<std::string_view>(&entry.first.data);
    return name != nullptr && name->ends_with(".weight") && std::holds_alternative<at::Tensor>(entry.second.data);
  });
}

/// A dictionary of tensors within others, and its keys on the way there.
struct Wrapped {
  std::string path;
  const PickleDict* dict;
};

/// Dictionaries of tensors below the keys that usually hold them, "state_dict" or "state_dict.model".
/// \param depth  how far down: a dictionary may hold itself
std::vector<Wrapped> wrapped_in(const PickleDict& dict, int depth = 3) {
  std::vector<Wrapped> found;
  for (const auto& [key, value] : dict) {
    const auto* name = std::get_if<std::string_view>(&key.data);
    auto* const* inner = std::get_if<PickleDict*>(&value.data);
    if (name == nullptr || inner == nullptr ||
        std::find(kWrappers.begin(), kWrappers.end(), *name) == kWrappers.end()) {
      continue;
    }
    std::vector<Wrapped> deeper;
    if (depth > 1 && !holds_weights(**inner)) {
      deeper = wrapped_in(**inner, depth - 1);
    }
    if (deeper.empty() && holds_tensors(**inner)) {  // or a counter stands beside a dictionary of weights
      found.push_back({std::string(*name), *inner});
    }
    for (Wrapped& one : deeper) {
      found.push_back({fmt::format("{}.{}", *name, one.path), one.dict});
    }
  }
  return found;
}

/// Dictionaries of weights but for the one that is read, the file's own or a key or two below it.
std::vector<std::string> weights_beside(const PickleDict& root, const PickleDict* read) {
  std::vector<std::string> found;
  const auto for_each = [](const PickleDict& dict, const auto& body) {
    for (const auto& [key, value] : dict) {
      const auto* name = std::get_if<std::string_view>(&key.data);
      auto* const* inner = std::get_if<PickleDict*>(&value.data);
      if (name != nullptr && inner != nullptr) {
        body(printable(*name), *inner);
      }
    }
  };
  const auto note = [&](const std::string& path, const PickleDict* dict) {
    if (dict != read && holds_weights(*dict)) {
      found.push_back(path);
    }
  };
  for_each(root, [&](const std::string& name, const PickleDict* dict) {
    note(name, dict);
    for_each(*dict, [&](const std::string& inner, const PickleDict* deeper) { note(name + "." + inner, deeper); });
  });
  return found;
}

/// The keys at the top level, and how to save what lies below the first that holds tensors or is a net, for an error
/// message.
std::string keys_of(const PickleDict& dict) {
  std::string keys, way_out;
  for (const auto& [key, value] : dict) {
    const auto* name = std::get_if<std::string_view>(&key.data);
    if (name == nullptr || keys.size() >= 100) {
      continue;
    }
    keys += (keys.empty() ? "" : ", ") + printable(*name);
    auto* const* inner = std::get_if<PickleDict*>(&value.data);
    const auto* opaque = std::get_if<PickleOpaque>(&value.data);
    const bool is_net = opaque != nullptr && opaque->kind == PickleOpaque::Kind::net;
    if (way_out.empty() && (is_net || (inner != nullptr && holds_tensors(**inner)))) {
      way_out = fmt::format(": save them alone, torch.save(torch.load(FILE, weights_only=False)[\"{}\"]{}, NEW)",
                            printable(*name), is_net ? ".state_dict()" : "");
    }
  }
  return fmt::format("(keys: {}){}", keys.empty() ? "none" : keys, way_out);
}

/// Fails for a tensor that this reader cannot make: a quantised, sparse or otherwise unusual one.
void check_is_no_tensor(std::string_view name, const PickleValue& value) {
  const auto* opaque = std::get_if<PickleOpaque>(&value.data);
  if (opaque == nullptr) {
    return;
  }
  const std::string maker = printable(opaque->module) + "." + printable(opaque->name);
  check(opaque->kind != PickleOpaque::Kind::tensor_type,
        "{} is of type {}, which is not supported: save plain tensors, torch.save({{k: v.dequantize() if "
        "v.is_quantized else v.float() for k, v in ...}}, NEW)",
        printable(name), maker);
  check(opaque->kind != PickleOpaque::Kind::tensor_metadata,
        "{} has the metadata \"{}\", which is not supported: save plain tensors, torch.save({{k: v.clone() for k, v in "
        "...}}, NEW)",
        printable(name), printable(opaque->name));
  check(!opaque->module.starts_with("torch") || !opaque->name.starts_with("_rebuild"),
        "{} is made by {}, which is not known here: save plain tensors, torch.save({{k: v.dequantize() if "
        "v.is_quantized else v.to_dense() for k, v in ...}}, NEW)",
        printable(name), maker);
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
  if (const auto* opaque = std::get_if<PickleOpaque>(&pickle.root.data)) {
    fail("it holds an object ({}.{}), not a dictionary of tensors: save those of a module by torch.save({}, NEW)",
         printable(opaque->module), printable(opaque->name),
         opaque->module.starts_with("__torch__") ? "torch.jit.load(FILE).state_dict()"
                                                 : "torch.load(FILE, weights_only=False).state_dict()");
  }
  auto* const* root = std::get_if<PickleDict*>(&pickle.root.data);
  check(root != nullptr, "it does not hold a dictionary");
  std::vector<Wrapped> wrapped = wrapped_in(**root);
  if (holds_weights(**root)) {
    std::erase_if(wrapped, [](const Wrapped& one) { return !holds_weights(*one.dict); });
    check(wrapped.empty(), "it holds tensors at its top level and in \"{}\": save one of them alone",
          wrapped.empty() ? "" : wrapped.front().path);
  }
  if (wrapped.size() > 1) {
    fail("it holds tensors in \"{}\" and in \"{}\": save one of them alone", wrapped[0].path, wrapped[1].path);
  }
  const PickleDict* dict = wrapped.empty() ? *root : wrapped.front().dict;
  TensorFile file{.format = format,
                  .wrapper = wrapped.empty() ? "" : wrapped.front().path,
                  .beside = weights_beside(**root, dict),
                  .tensors = {},
                  .unread = {}};
  // Views may share their storage or repeat it, so all tensors together can be larger than the file, within reason.
  std::uint64_t bytes_left = 16 * file_bytes + (std::uint64_t{64} << 20);
  for (const auto& [key, value] : *dict) {
    const auto* name = std::get_if<std::string_view>(&key.data);
    const auto* tensor = std::get_if<at::Tensor>(&value.data);
    if (name != nullptr) {
      check_is_no_tensor(*name, value);
    }
    if (name == nullptr || tensor == nullptr) {
      continue;
    }
    check(!has_control_characters(*name), "a tensor's name has control characters: {}", printable(*name));
    check(tensor->defined(), "{} is a parameter without a tensor", printable(*name));
    check(
        static_cast<std::uint64_t>(tensor->numel()) <= bytes_left / static_cast<std::uint64_t>(tensor->element_size()),
        "its tensors take far more memory than the file has bytes");
    bytes_left -= tensor->nbytes();
    file.tensors[std::string(*name)] = tensor->resolve_neg().clone(at::MemoryFormat::Contiguous);
  }
  check(!file.tensors.empty(), "it holds no tensors by name at its top level {}", keys_of(**root));
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
    TensorFile file = tensor_file_of(bytes);
    if (!file.unread.empty()) {
      const auto& [name, type] = *file.unread.begin();
      log_warning("{}: {} is of type {}, which is not supported, and not read{}", path.string(), printable(name),
                  printable(type),
                  file.unread.size() > 1 ? fmt::format("; {} more are of such types", file.unread.size() - 1) : "");
    }
    return file;
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
