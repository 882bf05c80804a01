#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <variant>
#include <vector>

#include "pack/reader.hpp"
#include "page/page.hpp"
#include "results/cli/tabulate.hpp"
#include "task/task.hpp"

namespace xtasc::tabulate {

/// Some samples of a pack's validation split: their images, their truth, and what runs predict of them.
class PackSamples {
 public:
  using Bytes = std::vector<std::uint8_t>;
  using Numbers = std::vector<float>;
  /// Labels by pixel; depth by pixel, in the pack's unit, 0 = unknown; or normals, 3 x height x width, 0 0 0 = unknown.
  using Values = std::variant<Bytes, Numbers>;

  /// \param wanted  so many, over the whole split; fewer where it has fewer \param options  whose watch outlives this,
  /// and is told of each part of the work \throws Error where there are none
  PackSamples(const std::filesystem::path& path, const std::string& label_set, std::int64_t wanted,
              const Options& options);

  [[nodiscard]] const pack::Schema& schema() const { return reader_.schema(); }
  [[nodiscard]] const pack::LabelSet& labels() const { return reader_.schema().label_sets[label_set_]; }
  [[nodiscard]] const std::vector<std::int64_t>& indices() const { return indices_; }
  /// Of each.
  [[nodiscard]] std::vector<std::string> names() const;

  /// height x width x 3 RGB.
  [[nodiscard]] Bytes image(std::int64_t sample) const;
  [[nodiscard]] bool has_truth(const task::Task& task) const;
  [[nodiscard]] Values truth(const task::Task& task, std::int64_t sample) const;
  /// Valid numbers of the truth of a task of numbers, of all samples.
  [[nodiscard]] Numbers valid_numbers(const task::Task& task) const;

  /// Has xtasc-predict, beside this program, write a run's predictions into a folder. \throws Error with its words
  void predict(const page::PageRun& run, const std::filesystem::path& folder) const;
  /// What predict() wrote there. \throws Error
  [[nodiscard]] Values predicted(const task::Task& task, std::int64_t sample,
                                 const std::filesystem::path& folder) const;

 private:
  [[nodiscard]] std::size_t num_pixels() const;

  const Options& options_;
  pack::Reader reader_;
  std::size_t label_set_;
  std::vector<std::int64_t> indices_;
};

/// The pack that a run was trained on, if it is still that. \throws Error
[[nodiscard]] PackSamples samples_of(const page::PageRun& run, std::int64_t wanted, const Options& options);

}  // namespace xtasc::tabulate
