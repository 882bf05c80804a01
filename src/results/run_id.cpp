#include "results/run_id.hpp"

#include "io/checksum.hpp"

namespace xtasc::results {

std::string run_id(const config::RunConfig& config) {
  return config.run.name + "-" + io::digest_hex(config::identity_text(config)).substr(0, 8);
}

}  // namespace xtasc::results
