#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

#include "preprocess/raw_dataset.hpp"

namespace CLI {
class App;
}

namespace xtasc::preprocess {

/// Lists a data set as the user's options say. \param size  what the user asks for
using OpenDataset = std::function<std::unique_ptr<RawDataset>(std::optional<Size> size)>;

/// What xtasc-preprocess packs: a subcommand each. A new one is a class in datasets/ and a row in datasets.cpp.
struct Dataset {
  std::string_view word;  ///< the subcommand
  std::string_view help;
  bool has_files = true;  ///< that can be faulty, and images that are made smaller
  /// Gives the subcommand its own options; what comes back is called once they are parsed.
  OpenDataset (*add_options)(CLI::App& command);
};

[[nodiscard]] std::span<const Dataset> datasets();

}  // namespace xtasc::preprocess
