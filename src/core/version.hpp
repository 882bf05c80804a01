#pragma once

#include <string>

namespace xtasc {

/// What this binary was built from.
struct SourceVersion {
  std::string version;     ///< "0.1.0"
  std::string commit;      ///< git commit, or "unknown"
  std::string diff_hash;   ///< SHA-1 of `git diff HEAD` at build time; empty for a clean tree
  std::string build_type;  ///< "Release", ...
  std::string compiler;    ///< "GNU 12.2.0"
};

[[nodiscard]] SourceVersion source_version();

/// One line for --version: "0.1.0 (1a2b3c4d5e6f, with uncommitted changes)".
[[nodiscard]] std::string version_text();

}  // namespace xtasc
