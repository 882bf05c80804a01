#include "train/prefixes.hpp"

#include <ATen/ATen.h>

#include <algorithm>

#include "core/error.hpp"
#include "core/log.hpp"
#include "net/networks.hpp"

namespace xtasc::train {

namespace {

using tensorfile::TensorDict;
using tensorfile::TensorFile;

/// What stands before `wanted.front()` in names, so that every one of `wanted` is there behind it.
std::vector<std::string> prefixes_of_all(const TensorDict& tensors, const std::vector<std::string>& wanted) {
  std::vector<std::string> prefixes;
  for (const auto& [name, tensor] : tensors) {
    if (!name.ends_with("." + wanted.front())) {
      continue;
    }
    std::string prefix = name.substr(0, name.size() - wanted.front().size());
    if (std::ranges::all_of(wanted, [&](const std::string& one) { return tensors.contains(prefix + one); })) {
      prefixes.push_back(std::move(prefix));
    }
  }
  return prefixes;
}

/// Takes what torch.compile, activation checkpoints and FSDP put into the middle of names out of them, where parts of
/// the net were wrapped: of "layer1._orig_mod.0.conv1.weight". Names that would become others' stay. \returns of how
/// many names
std::size_t take_out_wrappers(TensorDict& tensors) {
  constexpr std::string_view kWrappers[] = {"._orig_mod.", "._checkpoint_wrapped_module.", "._fsdp_wrapped_module."};
  TensorDict renamed;
  std::size_t count = 0;
  for (const auto& [name, tensor] : tensors) {
    std::string plain = name;
    for (const std::string_view wrapper : kWrappers) {
      for (std::size_t at = plain.find(wrapper); at != std::string::npos; at = plain.find(wrapper, at)) {
        plain.erase(at, wrapper.size() - 1);
      }
    }
    const bool is_renamed = plain != name && !tensors.contains(plain) && renamed.emplace(plain, tensor).second;
    if (!is_renamed) {
      renamed.emplace(name, tensor);
    }
    count += is_renamed ? 1 : 0;
  }
  tensors = std::move(renamed);
  return count;
}

/// Whether all names that stand behind both prefixes have equal tensors.
bool is_same_net(const TensorDict& tensors, const std::string& one, const std::string& other) {
  return std::ranges::all_of(tensors, [&](const auto& named) {
    const auto twin =
        named.first.starts_with(one) ? tensors.find(other + named.first.substr(one.size())) : tensors.end();
    return twin == tensors.end() ||
           (named.second.scalar_type() == twin->second.scalar_type() && at::equal(named.second, twin->second));
  });
}

/// Leaves one prefix of each net that stands under several, and takes the tensors out that it has twice.
void merge_same_nets(TensorDict& tensors, std::vector<std::string>& prefixes) {
  for (std::size_t kept = 0; kept < prefixes.size(); ++kept) {
    for (std::size_t i = prefixes.size() - 1; i > kept; --i) {
      const std::string& one = prefixes[kept];
      const std::string other = prefixes[i];
      if (!is_same_net(tensors, one, other)) {
        continue;
      }
      prefixes.erase(prefixes.begin() + static_cast<std::ptrdiff_t>(i));
      const bool nested = one.starts_with(other) || other.starts_with(one);
      std::erase_if(tensors, [&](const auto& named) {
        return !nested && named.first.starts_with(other) && tensors.contains(one + named.first.substr(other.size()));
      });
    }
  }
}

/// What gives the file's tensors by name in Python.
std::string python_of(const TensorFile& file, const std::string& path) {
  if (file.format == tensorfile::Format::safetensors) {
    return fmt::format("safetensors.torch.load_file(\"{}\")", path);
  }
  std::string keys;
  for (std::size_t begin = 0; begin < file.wrapper.size();) {
    const std::size_t end = std::min(file.wrapper.find('.', begin), file.wrapper.size());
    keys += fmt::format("[\"{}\"]", file.wrapper.substr(begin, end - begin));
    begin = end + 1;
  }
  return fmt::format("torch.load(\"{}\", weights_only=False){}", path, keys);
}

/// The parts that all names begin with, "module.model."; empty where they begin otherwise. A name's last part is its
/// own. In a sorted dictionary, what the first and the last name share, all do.
std::string common_prefix(const TensorDict& tensors) {
  const std::string& first = tensors.begin()->first;
  const std::string& last = tensors.rbegin()->first;
  const auto end = std::ranges::mismatch(first, last).in1;
  return first.substr(0, first.rfind('.', static_cast<std::size_t>(end - first.begin())) + 1);  // npos + 1 is 0
}

}  // namespace

Prefix strip_prefix(TensorFile& file, const std::vector<std::string>& wanted, const std::string& source) {
  TensorDict& tensors = file.tensors;
  if (tensors.empty() || wanted.empty()) {
    return {};
  }
  const auto are_all_in = [&wanted](const TensorDict& dict) {
    return std::ranges::all_of(wanted, [&dict](const std::string& name) { return dict.contains(name); });
  };
  std::vector<std::string> prefixes = prefixes_of_all(tensors, wanted);
  if (!are_all_in(tensors)) {
    TensorDict plain = tensors;
    const std::size_t count = take_out_wrappers(plain);
    std::vector<std::string> more = prefixes_of_all(plain, wanted);
    if (count > 0 && (are_all_in(plain) || more.size() > prefixes.size())) {
      log_info("{}: names of wrappers (\"_orig_mod.\" and its like) left out of {} names", source, count);
      tensors = std::move(plain);
      prefixes = std::move(more);
    }
  }
  if (tensors.contains(wanted.front())) {
    return {};
  }
  merge_same_nets(tensors, prefixes);
  if (prefixes.size() > 1) {
    fail(
        "{} holds {} nets, before whose names stand \"{}\": save one alone, in Python by tensors = {}; "
        "torch.save({{k.removeprefix(\"{}\"): v for k, v in tensors.items() if k.startswith(\"{}\")}}, \"one.pth\")",
        source, prefixes.size(), fmt::join(prefixes, "\", \""), python_of(file, source), prefixes.front(),
        prefixes.front());
  }
  Prefix prefix{.text = prefixes.empty() ? common_prefix(tensors) : prefixes.front(), .outside = {}};
  if (prefix.text.empty()) {
    return prefix;
  }
  TensorDict stripped;
  for (const auto& [name, tensor] : tensors) {
    if (name.starts_with(prefix.text)) {
      stripped.emplace(name.substr(prefix.text.size()), tensor);
    }
  }
  for (const auto& [name, tensor] : tensors) {
    if (!name.starts_with(prefix.text) && stripped.emplace(name, tensor).second) {
      prefix.outside.push_back(name);
    }
  }
  tensors = std::move(stripped);
  return prefix;
}

TensorDict read_network_file(const std::string& path, const config::ModelSection& model) {
  TensorFile file = tensorfile::read_tensor_file(path);
  constexpr std::int64_t kClasses = 2;  // names do not depend on it
  std::vector<std::string> wanted;
  for (const net::Convolution& convolution : net::convolutions_of(model, kClasses)) {
    wanted.push_back(convolution.name + ".weight");
  }
  if (const Prefix prefix = strip_prefix(file, wanted, path); !prefix.text.empty()) {
    log_info("{}: \"{}\" left off the names", path, prefix.text);
  }
  return std::move(file.tensors);
}

}  // namespace xtasc::train
