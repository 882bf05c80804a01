#include "train/agreement.hpp"

#include <ATen/Context.h>
#include <ATen/Version.h>
#include <torch/version.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <string_view>

#include "core/error.hpp"
#include "core/version.hpp"
#include "dist/communicator.hpp"
#include "gpu/gpu.hpp"
#include "io/checksum.hpp"

namespace xtasc::train {

namespace {

using nlohmann::json;

std::string text_of(const std::vector<Claim>& claims) {
  json text = json::array();
  for (const Claim& claim : claims) {
    text.push_back({claim.what, claim.value});
  }
  return text.dump(-1, ' ', false, json::error_handler_t::replace);
}

std::vector<Claim> claims_of(const std::string& text) {
  std::vector<Claim> claims;
  try {
    for (const json& claim : json::parse(text)) {
      claims.push_back({claim.at(0).get<std::string>(), claim.at(1).get<std::string>()});
    }
  } catch (const json::exception&) {
    return {{"the program", "one of another version"}};
  }
  return claims;
}

/// "rank 1 (n2)" or "ranks 1, 3 (n2, n3)".
std::string ranks_text(const std::vector<std::size_t>& ranks, const std::vector<std::string>& hosts) {
  std::vector<std::string> of_ranks;
  for (const std::size_t rank : ranks) {
    if (std::ranges::find(of_ranks, hosts[rank]) == of_ranks.end()) {
      of_ranks.push_back(hosts[rank]);
    }
  }
  return fmt::format("rank{} {} ({})", ranks.size() == 1 ? "" : "s", fmt::join(ranks, ", "), fmt::join(of_ranks, ", "));
}

/// The last line or the first words of a library's page about itself.
std::string short_text(const std::string& text) {
  const std::size_t begin = text.find_first_not_of(" \n-");
  return begin == std::string::npos ? "none" : text.substr(begin, text.find('\n', begin) - begin);
}

}  // namespace

void check_agreement(const dist::MpiSession& session, const std::vector<Claim>& claims, const std::string& advice) {
  if (session.size() == 1) {
    return;
  }
  const std::vector<std::string> texts = session.gather(text_of(claims));
  if (std::ranges::all_of(texts, [&](const std::string& text) { return text == texts.front(); })) {
    return;
  }
  const std::vector<std::string> hosts = session.gather(dist::host_name());
  const std::vector<Claim> first = claims_of(texts.front());
  std::set<std::string> differing;
  std::vector<std::size_t> ranks;
  std::string what, here, there;
  for (std::size_t rank = 1; rank < texts.size(); ++rank) {
    const std::vector<Claim> others = claims_of(texts[rank]);
    for (std::size_t i = 0; i < std::max(first.size(), others.size()); ++i) {
      const Claim a = i < first.size() ? first[i] : Claim{others[i].what, "not known"};
      const Claim b = i < others.size() ? others[i] : Claim{a.what, "not known"};
      if (a.what == b.what && a.value == b.value) {
        continue;
      }
      differing.insert(a.what);
      if (ranks.empty()) {
        what = a.what;
        here = a.value;
        there = b.value;
      }
      if (a.what == what && b.value == there && (ranks.empty() || ranks.back() != rank)) {
        ranks.push_back(rank);
      }
    }
  }
  fail("the ranks do not run the same thing: {} is {} on {}, and {} on rank 0 ({}){}: {}", what, there,
       ranks_text(ranks, hosts), here, hosts.front(),
       differing.size() > 1
           ? fmt::format("; {} more thing{}", differing.size() - 1, differing.size() == 2 ? " differs" : "s differ")
           : "",
       advice);
}

std::vector<Claim> program_claims() {
  const SourceVersion source = source_version();
  std::vector<Claim> claims = {
      {"the program", fmt::format("{} ({}{}), {}, {}", source.version, source.commit.substr(0, 12),
                                  source.diff_hash.empty() ? "" : " changed: " + source.diff_hash.substr(0, 8),
                                  source.build_type, source.compiler)},
      {"torch", TORCH_VERSION},
      {"MKL", short_text(at::get_mkl_version())},
      {"oneDNN", short_text(at::get_mkldnn_version())},
      {"the processor's capability as torch uses it (ATEN_CPU_CAPABILITY)", at::get_cpu_capability()},
      {"torch as loaded (its own description, hashed)", io::digest_hex(at::show_config()).substr(0, 12)},
      {"MPI", dist::mpi_library_version()}};
  if (const auto cuda = gpu::versions()) {
    claims.push_back({"CUDA's runtime", std::to_string(cuda->loaded)});
    claims.push_back({"NCCL", dist::nccl_library_version()});
  }
  return claims;
}

std::vector<Claim> config_claims(const config::RunConfig& config) {
  static constexpr std::array<std::string_view, 3> kOfHost = {"run.threads", "run.stall_seconds", "run.output"};
  config::RunConfig copy = config;
  std::set<std::string> paths = {"data.pack"};
  for (const config::WeightsKey& weights : config::weights_keys(copy)) {
    paths.insert(weights.key);
  }
  std::vector<Claim> claims;
  for (const auto& [key, value] : config::all_keys(config)) {
    if (paths.contains(key)) {
      claims.push_back({key, value == "\"\"" ? "not set" : "set"});  // where a file lies may differ
    } else if (std::ranges::find(kOfHost, key) == kOfHost.end()) {
      claims.push_back({key, value});
    }
  }
  return claims;
}

std::vector<Claim> nccl_claims() {
  std::vector<Claim> claims;
  for (const char* name : {"NCCL_ALGO", "NCCL_PROTO", "NCCL_NVLS_ENABLE"}) {
    const char* value = std::getenv(name);
    claims.push_back({name, value == nullptr ? "not set" : value});
  }
  return claims;
}

std::vector<Claim> pack_claims(const pack::Reader& pack) {
  return {{"the pack's content digest", pack.schema().content_digest},
          {"the number of training samples", std::to_string(pack.size(pack::Split::train))},
          {"the number of validation samples", std::to_string(pack.size(pack::Split::val))}};
}

void check_same_run(const dist::MpiSession& session, const config::RunConfig& config, const std::vector<Claim>& more) {
  check_agreement(session, program_claims(), "install the same build and libraries on every host");
  std::vector<Claim> claims = config_claims(config);
  claims.insert(claims.end(), more.begin(), more.end());
  check_agreement(session, claims,
                  "every rank must be started with the same command line and read the same config file");
}

}  // namespace xtasc::train
