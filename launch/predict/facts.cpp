#include "launch/predict/facts.hpp"

#include <algorithm>
#include <filesystem>
#include <optional>
#include <tuple>
#include <utility>

#include "core/error.hpp"
#include "core/log.hpp"
#include "pack/reader.hpp"
#include "run/provenance.hpp"
#include "run/run_folder.hpp"

namespace xtasc::launch {

namespace {

constexpr std::array<std::pair<std::string_view, ImageResize>, 3> kResizes = {
    {{"nearest", ImageResize::nearest}, {"area", ImageResize::area}, {"smooth", ImageResize::smooth}}};

/// As a pack's schema says it, or empty.
void take_resize(DataFacts& facts, const std::string& of_pack) {
  facts.is_resize_known = !of_pack.empty();
  facts.resize = of_pack == "area"                     ? ImageResize::area
                 : of_pack == "nearest, pixel centres" ? ImageResize::nearest
                                                       : ImageResize::smooth;
}

std::string unit_of(bool is_metric) {
  return is_metric ? "m" : "inverse depth";
}

void take_schema(DataFacts& facts, const pack::Schema& schema, const std::string& label_set_name) {
  const pack::LabelSet& set = schema.label_sets[pack::find_label_set(schema, label_set_name)];
  facts.class_names = set.class_names;
  facts.class_colors = {set.class_colors.begin(), set.class_colors.end()};
  facts.depth_unit = unit_of(schema.depth_kind == pack::DepthKind::metres);
  facts.height = schema.height;
  facts.width = schema.width;
  facts.orientation = schema.orientation;
  facts.mean = schema.image_mean;
  facts.deviation = schema.image_std;
  take_resize(facts, schema.resize);
}

void take_provenance(DataFacts& facts, const run::Provenance& provenance) {
  facts.height = provenance.pack_height;
  facts.width = provenance.pack_width;
  facts.depth_unit = unit_of(provenance.pack_depth_kind == "metres");
  facts.orientation = provenance.pack_orientation;
  take_resize(facts, provenance.pack_resize);
}

/// The pack that is told of: the given one, else the run's own, where it is still what the run was trained on.
std::optional<pack::Reader> find_pack(const std::string& given, const LoadedModel& model) {
  if (!given.empty()) {
    return pack::Reader(given);
  }
  const std::string& own = model.config.data.pack;
  if (own.empty() || !std::filesystem::exists(own)) {
    log_warning("the pack {} that the net was trained on is not there: classes are shown by number", own);
    return std::nullopt;
  }
  pack::Reader pack(own);
  if (!model.trained_on.empty() && pack.schema().content_digest != model.trained_on) {
    tell_of_other_pack(model, given, pack);
    log_warning("classes are shown by number");
    return std::nullopt;
  }
  return pack;
}

}  // namespace

DataFacts find_facts(const FactsWanted& wanted, const ModelSource& source, const LoadedModel& model) {
  DataFacts facts;
  if (const std::optional<pack::Reader> pack = find_pack(wanted.pack, model)) {
    take_schema(facts, pack->schema(), model.config.data.label_set);
  } else if (!source.run.empty()) {
    take_provenance(facts, run::read_provenance(run::find_run(source.run).provenance()));
  }
  const auto num_classes = static_cast<std::size_t>(model.learner->net.num_classes());
  if (num_classes > 0 && facts.class_names.size() != num_classes) {
    if (!wanted.pack.empty()) {
      fail_usage("{} predicts {} classes, {} has {}", model.weights_path.string(), num_classes, wanted.pack,
                 facts.class_names.size());
    }
    facts.class_names.clear();
    for (std::size_t i = 0; i < num_classes; ++i) {
      facts.class_names.push_back(fmt::format("class {}", i));
    }
    const auto colors = pack::default_class_colors(num_classes);
    facts.class_colors.assign(colors.begin(), colors.end());
  }
  if (!model.config.data.normalise) {
    facts.mean = {0.0, 0.0, 0.0};
    facts.deviation = {1.0, 1.0, 1.0};
  }
  if (!wanted.size.empty()) {
    std::tie(facts.height, facts.width) = pack::parse_size("--size", wanted.size);
  }
  if (!wanted.orientation.empty()) {
    facts.orientation = wanted.orientation;
  }
  if (!wanted.resize.empty()) {
    facts.resize = std::ranges::find(kResizes, wanted.resize, [](const auto& row) { return row.first; })->second;
    facts.is_resize_known = true;
  }
  if (facts.height == 0) {
    fail_usage("--size HxW is needed: neither a run nor a pack tells the size that the net was trained at");
  }
  return facts;
}

std::string_view name_of(ImageResize resize) {
  return std::ranges::find(kResizes, resize, [](const auto& row) { return row.second; })->first;
}

}  // namespace xtasc::launch
