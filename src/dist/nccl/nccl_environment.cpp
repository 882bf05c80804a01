#include "dist/nccl/nccl_environment.hpp"

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <sstream>

#include "core/error.hpp"

namespace xtasc::dist {

namespace {

constexpr const char* kWithoutNvls = "^NVLS,NVLSTree";

std::string lower_case(std::string text) {
  std::ranges::transform(text, text.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

/// Whether a list as NCCL reads it, "ring,tree" or "^nvls", has an algorithm in it. \param list  in lower case
bool allows(std::string_view list, std::string_view algorithm) {
  const bool excludes = list.starts_with('^');
  std::istringstream stream{std::string(list.substr(excludes ? 1 : 0))};
  bool is_named = false;
  for (std::string name; std::getline(stream, name, ',');) {
    is_named = is_named || name == algorithm;
  }
  return is_named != excludes;
}

/// Whether sums may use NVLS: the last list that is for all functions or for all-reduce decides, "LIST;allreduce:LIST".
bool allows_nvls(const std::string& nccl_algo) {
  std::string list = "^";
  std::istringstream stream(lower_case(nccl_algo));
  for (std::string part; std::getline(stream, part, ';');) {
    const std::size_t colon = part.find(':');
    if (colon == std::string::npos || part.substr(0, colon) == "allreduce") {
      list = part.substr(colon == std::string::npos ? 0 : colon + 1);
    }
  }
  return allows(list, "nvls") || allows(list, "nvlstree");
}

}  // namespace

NcclAlgorithms choose_algorithms(bool deterministic, const char* of_user, const char* nvls_enable) {
  if (of_user == nullptr) {
    return {deterministic ? kWithoutNvls : "", ""};
  }
  const bool is_off = nvls_enable != nullptr && std::string_view(nvls_enable) == "0";
  if (!deterministic || is_off || !allows_nvls(of_user)) {
    return {of_user, ""};
  }
  return {of_user, fmt::format("NCCL_ALGO={} lets NCCL sum by NVLS, which need not give the same bits twice, although "
                               "train.deterministic is on; unset it (then it is {}), or set NCCL_NVLS_ENABLE=0",
                               of_user, kWithoutNvls)};
}

Variables variables_of_shared_gpu(const std::string& host_rank, bool is_one_host) {
  Variables variables = {{"NCCL_HOSTID", host_rank}, {"NCCL_NET", "Socket"}};
  if (is_one_host) {
    variables.emplace_back("NCCL_SOCKET_IFNAME", "lo");
  }
  return variables;
}

void set_where_unset(const Variables& variables) {
  for (const auto& [name, value] : variables) {
    ::setenv(name.c_str(), value.c_str(), /*overwrite=*/0);
  }
}

std::string nccl_version_text(int version) {
  return fmt::format("{}.{}.{}", version / 10000, version / 100 % 100, version % 100);
}

void check_nccl_version(int compiled, int loaded, std::string_view path) {
  xtasc::check(
      loaded / 100 >= compiled / 100,
      "NCCL {} is loaded ({}), but this program was compiled with {}: put the folder of the newer libnccl.so.2 first "
      "in LD_LIBRARY_PATH, or take the older one out of it",
      nccl_version_text(loaded), path, nccl_version_text(compiled));
}

}  // namespace xtasc::dist
