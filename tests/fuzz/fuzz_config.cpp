#include <cstdlib>
#include <string>

#include "config/run_config.hpp"
#include "guard.hpp"

using namespace xtasc;

namespace {

/// What is printed reads back to the same values.
void check_round_trip(const config::RunConfig& config) {
  const std::string printed = config::to_toml(config, true);
  fuzz::look_at_all(config::identity_text(config));
  fuzz::look_at_all(config::first_identity_text(config));
  const fuzz::InputFile copy({reinterpret_cast<const std::uint8_t*>(printed.data()), printed.size()});
  if (config::to_toml(config::read_run_config(copy.path()), true) != printed) {
    std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const fuzz::InputFile file({data, size});
  fuzz::expect_value_or_error([&] { check_round_trip(config::read_run_config(file.path())); });
  const std::string assignment(reinterpret_cast<const char*>(data), size);
  fuzz::expect_value_or_error([&] { check_round_trip(config::run_config_of({assignment})); });
  return 0;
}
