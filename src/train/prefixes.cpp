#include "train/prefixes.hpp"

#include <algorithm>

#include "core/error.hpp"
#include "core/log.hpp"
#include "net/networks.hpp"

namespace xtasc::train {

namespace {

using tensorfile::TensorDict;

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

/// The parts that all names begin with, "module.model."; empty where they begin otherwise. A name's last part is its
/// own. In a sorted dictionary, what the first and the last name share, all do.
std::string common_prefix(const TensorDict& tensors) {
  const std::string& first = tensors.begin()->first;
  const std::string& last = tensors.rbegin()->first;
  const auto end = std::ranges::mismatch(first, last).in1;
  return first.substr(0, first.rfind('.', static_cast<std::size_t>(end - first.begin())) + 1);  // npos + 1 is 0
}

}  // namespace

Prefix strip_prefix(TensorDict& tensors, const std::vector<std::string>& wanted, const std::string& source) {
  if (tensors.empty() || wanted.empty() || tensors.contains(wanted.front())) {
    return {};
  }
  const std::vector<std::string> prefixes = prefixes_of_all(tensors, wanted);
  check(prefixes.size() < 2,
        "{} holds {} nets, before whose names stand \"{}\": save one alone, by torch.save({{k.removeprefix(\"{}\"): v "
        "for k, v in TENSORS.items() if k.startswith(\"{}\")}}, NEW) in Python",
        source, prefixes.size(), fmt::join(prefixes, "\", \""), prefixes.empty() ? "" : prefixes.front(),
        prefixes.empty() ? "" : prefixes.front());
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
  TensorDict tensors = tensorfile::read_tensor_dict(path);
  constexpr std::int64_t kClasses = 2;  // names do not depend on it
  std::vector<std::string> wanted;
  for (const net::Convolution& convolution : net::convolutions_of(model, kClasses)) {
    wanted.push_back(convolution.name + ".weight");
  }
  if (const Prefix prefix = strip_prefix(tensors, wanted, path); !prefix.text.empty()) {
    log_info("{}: \"{}\" left off the names", path, prefix.text);
  }
  return tensors;
}

}  // namespace xtasc::train
