#include "report/series_names.hpp"

#include <algorithm>

#include "config/run_config.hpp"
#include "core/error.hpp"
#include "report/axes_sheet.hpp"
#include "report/table_markdown.hpp"

namespace xtasc::report {

namespace {

std::string encoder_of(const SeedGroup& group, const std::set<std::string>& ignored) {
  const config::ModelSection& model = group.first().config.model;
  const std::string encoder = ignored.contains("model.encoder") ? "" : config::encoder_of(model);
  const bool is_pretrained = !model.encoder_weights.empty() && !ignored.contains("model.encoder_weights");
  return encoder + (is_pretrained ? encoder.empty() ? "pretrained" : " pretrained" : "");
}

/// A list as it is read: one of a single text as that, nothing of an empty one; other values as they are.
std::string list_text(std::string value) {
  if (!value.starts_with('[')) {
    return value;
  }
  std::erase(value, '"');
  return value.find(',') == std::string::npos ? value.substr(1, value.size() - 2) : value;
}

}  // namespace

std::vector<std::string> series_names(std::span<const SeedGroup> groups, const std::set<std::string>& ignored) {
  std::vector<LabelColumn> labels = model_columns();
  labels[1].text = [&ignored](const SeedGroup& group) { return encoder_of(group, ignored); };
  labels[2].text = [](const SeedGroup& group) { return group.weighting == "-" ? "" : group.weighting; };
  for (const std::string& key : keys_that_tell_apart(groups, labels)) {
    if (!ignored.contains(key) && !key.starts_with("model.encoder_weights")) {  // "pretrained" says it
      labels.push_back(axis_column(key));
      labels.back().text = [column = labels.back()](const SeedGroup& group) {
        const std::string value = list_text(column.text(group));
        return value.empty() ? value : fmt::format("{} {}", column.header, value);
      };
    }
  }
  std::vector<std::string> names(groups.size());
  for (const LabelColumn& label : labels) {
    std::set<std::string> values;
    for (const SeedGroup& group : groups) {
      values.insert(label.text(group));
    }
    values.erase("");
    const bool is_pretrained_or_not = label.key == "encoder" && ignored.contains("model.encoder") && !values.empty();
    for (std::size_t i = 0; i < groups.size(); ++i) {
      const std::string text = label.text(groups[i]);
      if (label.key == "model" || ((values.size() > 1 || is_pretrained_or_not) && !text.empty())) {
        names[i] += (names[i].empty() ? "" : ", ") + text;
      }
    }
  }
  return names;
}

std::string shown_text(std::span<const SeedGroup> groups, std::optional<Protocol> protocol, std::string_view spread) {
  std::set<std::size_t> num_seeds;
  for (const SeedGroup& group : groups) {
    num_seeds.insert(group.seeds.size());
  }
  return shown_text(groups.front().first().provenance, num_seeds, protocol, spread);
}

std::string shown_text(const run::Provenance& from, const std::set<std::size_t>& num_seeds,
                       std::optional<Protocol> protocol, std::string_view spread) {
  std::string seeds = "one seed";
  if (*num_seeds.rbegin() > 1) {
    seeds = fmt::format("mean of {}{} seeds, {}: standard deviation", *num_seeds.begin(),
                        num_seeds.size() > 1 ? fmt::format(" to {}", *num_seeds.rbegin()) : "", spread);
  }
  return fmt::format("{};{} {}", data_text(from), protocol ? fmt::format(" {} protocol;", name(*protocol)) : "", seeds);
}

}  // namespace xtasc::report
