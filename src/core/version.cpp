#include "core/version.hpp"

#include "source_version.inc"

namespace xtasc {

SourceVersion source_version() {
  return {XTASC_VERSION, XTASC_SOURCE_COMMIT, XTASC_SOURCE_DIFF, XTASC_BUILD_TYPE, XTASC_COMPILER};
}

std::string version_text() {
  const SourceVersion source = source_version();
  return source.version + " (" + source.commit.substr(0, 12) +
         (source.diff_hash.empty() ? "" : ", with uncommitted changes") + ")";
}

}  // namespace xtasc
