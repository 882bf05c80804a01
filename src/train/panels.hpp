#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "config/run_config.hpp"
#include "data/dataset.hpp"
#include "figure/panel.hpp"
#include "model/task_map.hpp"
#include "pack/reader.hpp"
#include "train/setup.hpp"

namespace xtasc::train {

/// Some images of those that an epoch is judged by, with truth and prediction of every task that can be drawn (not
/// those of several numbers a pixel that are no normals).
class Panels {
 public:
  /// Reads images and truths, evenly spread over the data set. \param split  of the pack that `judged` is of
  /// \param label_set  index into the schema's label sets \throws Error as pack::Reader does
  Panels(const pack::Reader& pack, pack::Split split, std::size_t label_set, const data::Dataset& judged,
         const task::Tasks& tasks);

  /// Predicts the images and draws them. Not collective: nothing of the learner changes.
  [[nodiscard]] figure::Picture draw(const Learner& learner, const std::string& title) const;

 private:
  struct Row {
    std::string caption;
    std::int64_t sample = 0;  ///< its place in the split
    std::vector<std::uint8_t> image;
    std::vector<std::optional<model::TaskMap>> truths;  ///< by tasks_; none where the pack has none
  };

  const data::Dataset& judged_;
  task::Tasks tasks_;
  figure::PanelOptions options_;
  std::vector<Row> rows_;
};

}  // namespace xtasc::train
