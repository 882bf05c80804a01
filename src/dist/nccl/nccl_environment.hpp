#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace xtasc::dist {

/// How NCCL may sum: its variable NCCL_ALGO, and what there is to say about it.
struct NcclAlgorithms {
  std::string value;    ///< what NCCL is to read; empty: not set, NCCL chooses
  std::string warning;  ///< empty: all is well
};

/// NVLS sums in the switch between GPUs, and the same numbers need not give the same bits twice
/// (https://github.com/NVIDIA/nccl/issues/1497). A deterministic run goes without it, unless the user has set
/// NCCL_ALGO: that stays, with a warning where it lets NVLS in. \param of_user  NCCL_ALGO as found; nullptr: not set
/// \param nvls_enable  NCCL_NVLS_ENABLE likewise
[[nodiscard]] NcclAlgorithms choose_algorithms(bool deterministic, const char* of_user, const char* nvls_enable);

/// Names and values of the environment.
using Variables = std::vector<std::pair<std::string, std::string>>;

/// What lets NCCL take two ranks on one GPU for ranks of two hosts, so that it neither refuses them nor looks for a way
/// between them that only two GPUs have: they talk over sockets. \param host_rank  any text that no other rank has
/// \param is_one_host  all ranks are on one machine, whose loopback is enough
[[nodiscard]] Variables variables_of_shared_gpu(const std::string& host_rank, bool is_one_host);

/// Sets those that are not set.
void set_where_unset(const Variables& variables);

/// "2.28.9" of NCCL's number 22809.
[[nodiscard]] std::string nccl_version_text(int version);

/// \throws Error when the library is of an older minor version than the header that this program was compiled with: it
/// knows less than is asked of it. \param path  of the library, for the message
void check_nccl_version(int compiled, int loaded, std::string_view path);

}  // namespace xtasc::dist
