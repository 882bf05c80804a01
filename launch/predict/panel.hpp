#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "launch/predict/facts.hpp"
#include "launch/predict/kinds.hpp"
#include "task/task.hpp"

namespace xtasc::launch {

/// One picture of the panel, all at the net's size.
struct Row {
  std::string title;
  std::vector<std::uint8_t> rgb;
  MapByTask predicted, truth;
};

/// A row a picture: the image, and of each task that can be drawn the truth, where there is one, and the prediction.
/// Tasks of several numbers a pixel that are no normals are left out. Atomic. \throws Error when it cannot be written
void write_picture(const std::vector<Row>& rows, const task::Tasks& tasks, const DataFacts& facts,
                   const std::filesystem::path& path);

}  // namespace xtasc::launch
