#include "toy/toy_rows.hpp"

#include <array>
#include <string_view>
#include <vector>

#include "config/methods.hpp"
#include "config/systems.hpp"
#include "task/task.hpp"

namespace xtasc::test {

namespace {

void add_rows() {
  static constexpr std::array<task::Metric, 2> kMetrics = {
      {{.key = "flow_err", .header = "FlowErr", .unit = "px", .decimals = 3},
       {.key = "flow_near",
        .header = "FlowNear",
        .unit = "%",
        .factor = 100.0,
        .decimals = 1,
        .higher_is_better = true}}};
  static constexpr std::array<std::string_view, 1> kFurther = {"flow_rmse"};
  task::add({.name = "flow",
             .key = "flow",
             .kind = task::Kind::depth,
             .channels = 2,
             .truth = "flow",
             .metrics = kMetrics,
             .further = kFurther});
  const std::vector<std::string_view> tasks = {"seg", "depth", "flow"};
  config::add_system({.word = "toy",
                      .label = "Toy",
                      .network = "toy",
                      .place = 9,
                      .tasks = tasks,
                      .consistency = config::Consistency::xtc,
                      .keys = {}});
  config::add_system({.word = "toy_st_scene",
                      .label = "Toy ST-Net",
                      .network = "toy",
                      .place = 8,
                      .tasks = {"seg", "depth"},
                      .part_of = "toy_st",
                      .keys = {}});
  config::add_system({.word = "toy_st_flow",
                      .label = "Toy ST-Net",
                      .network = "toy",
                      .place = 8,
                      .tasks = {"flow"},
                      .part_of = "toy_st",
                      .keys = {}});
  for (const auto& [word, task] : std::array<std::array<std::string_view, 2>, 3>{
           {{"toy_one_seg", "seg"}, {"toy_one_depth", "depth"}, {"toy_one_flow", "flow"}}}) {
    config::add_system({.word = word,
                        .label = "Toy of one",
                        .network = "toy",
                        .place = 7,
                        .tasks = {task},
                        .part_of = "toy_one",
                        .keys = {}});
  }
  config::add_system({.word = "xtasc_of_three",
                      .label = "XTasC-Net of three",
                      .place = 9,
                      .tasks = tasks,
                      .consistency = config::Consistency::xtc,
                      .keys = config::system_of("xtasc").keys});
  config::add_method({.word = "toy_halves", .keys = {}});
}

}  // namespace

void add_toy_rows() {
  [[maybe_unused]] static const bool are_added = (add_rows(), true);
}

}  // namespace xtasc::test
