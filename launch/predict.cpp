// xtasc-predict: a user's images, or samples of a pack -> label maps and depth maps, as data and as a picture.
#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <iterator>
#include <map>
#include <optional>
#include <set>

#include "core/cli.hpp"
#include "core/log.hpp"
#include "core/progress.hpp"
#include "data/dataset.hpp"
#include "figure/panel.hpp"
#include "io/image/image.hpp"
#include "launch/common/model_source.hpp"
#include "launch/common/ranks.hpp"
#include "launch/predict_kinds.hpp"
#include "pack/reader.hpp"
#include "run/provenance.hpp"
#include "run/run_folder.hpp"
#include "task/task.hpp"
#include "tensorfile/tensor_file.hpp"
#include "train/out_of_memory.hpp"

namespace {

using namespace xtasc;
using launch::KindOutput;
using launch::Map;
using launch::output_of;
using launch::values_of;
namespace fs = std::filesystem;

constexpr std::size_t kMaxPanelRows = 12;

struct Options {
  launch::ModelSource model;
  std::vector<std::string> images;
  std::string pack, split = "val", size, orientation, output = "predictions";
  std::vector<std::int64_t> samples;
  bool tensors = false;
};

/// What the pictures and the normalisation need to know about the data that the net was trained on.
struct DataFacts {
  std::vector<std::string> class_names;
  std::vector<figure::Rgb> class_colors;
  std::string depth_unit = "m";
  std::int64_t height = 0, width = 0;
  std::string orientation;  ///< of pictures that EXIF turns, as pack::Schema has it
  std::array<double, 3> mean = {0.485, 0.456, 0.406}, deviation = {0.229, 0.224, 0.225};
};

using MapByTask = std::map<std::string_view, Map>;

/// One picture of the panel; owns what PanelRow borrows. All at the net's size.
struct Row {
  std::string name;
  std::vector<std::uint8_t> image;
  MapByTask predicted, truth;  ///< by the task's key
};

DataFacts facts_of(const pack::Reader& reader, const std::string& label_set_name) {
  const pack::Schema& schema = reader.schema();
  const pack::LabelSet& set = schema.label_sets[pack::find_label_set(schema, label_set_name)];
  return {.class_names = set.class_names,
          .class_colors = {set.class_colors.begin(), set.class_colors.end()},
          .depth_unit = schema.depth_kind == pack::DepthKind::metres ? "m" : "inverse depth",
          .height = schema.height,
          .width = schema.width,
          .orientation = schema.orientation,
          .mean = schema.image_mean,
          .deviation = schema.image_std};
}

/// From --pack, else from the pack of the run's config if it is still there, else generic names and the run's size.
DataFacts find_facts(const Options& options, const launch::LoadedModel& model) {
  const std::string pack_path = options.pack.empty() ? model.config.data.pack : options.pack;
  DataFacts facts;
  std::optional<pack::Reader> pack;
  if (!pack_path.empty() && (!options.pack.empty() || fs::exists(pack_path))) {
    pack.emplace(pack_path);
    const bool is_another =
        options.pack.empty() && !model.trained_on.empty() && pack->schema().content_digest != model.trained_on;
    if (is_another) {
      launch::tell_of_other_pack(model, options.pack, *pack);
      pack.reset();
    }
  }
  if (pack) {
    facts = facts_of(*pack, model.config.data.label_set);
  } else {
    log_warning("the pack {} that the net was trained on is not there: classes are shown by number", pack_path);
    if (!options.model.run.empty()) {
      const auto provenance = run::read_provenance(run::find_run(options.model.run).provenance());
      facts.height = provenance.pack_height;
      facts.width = provenance.pack_width;
      facts.depth_unit = provenance.pack_depth_kind == "metres" ? "m" : "inverse depth";
      facts.orientation = provenance.pack_orientation;
    }
  }
  const auto num_classes = static_cast<std::size_t>(model.learner->net.num_classes());
  if (num_classes > 0 && facts.class_names.size() != num_classes) {
    check(options.pack.empty(), "{} predicts {} classes, {} has {}", model.weights_path.string(), num_classes,
          options.pack, facts.class_names.size());
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
  if (!options.size.empty()) {
    std::tie(facts.height, facts.width) = pack::parse_size("--size", options.size);
  }
  if (!options.orientation.empty()) {
    facts.orientation = options.orientation;
  }
  if (facts.height == 0) {
    fail_usage("--size HxW is needed: neither a run nor a pack tells the size that the net was trained at");
  }
  return facts;
}

/// Writes each task's prediction at the given size, NAME_label.png, NAME_depth.npy, NAME_normals.npy and .png, and
/// fills the row at the net's own. With --tensors also NAME.pt, what the net gave as it gave it.
void keep(const Options& options, const model::Predictions& predictions, const task::Tasks& tasks, std::int64_t height,
          std::int64_t width, const fs::path& stem, Row& row) {
  if (options.tensors) {
    tensorfile::TensorDict given;
    for (const auto& [key, tensor] : predictions.direct) {
      given[key] = tensor.to(tensor.scalar_type() == at::kDouble ? at::kDouble : at::kFloat);
    }
    tensorfile::write_tensor_dict(stem.string() + ".pt", given);
  }
  for (const task::Task& task : tasks) {
    const KindOutput& output = output_of(task);
    const at::Tensor own = predictions.of(task.key);
    const bool fits = own.size(2) == height && own.size(3) == width;
    const at::Tensor resized = fits ? own : at::upsample_bilinear2d(own, {height, width}, true);
    output.write(output.map_of(resized), fmt::format("{}_{}", stem.string(), task.truth), own.size(1), height, width);
    row.predicted[task.key] = output.map_of(own);
  }
}

model::Predictions predict(const launch::LoadedModel& model, const at::Tensor& image_13hw) {
  const model::Mode mode = {.training = false, .compute = model.learner->types.compute};
  return model.learner->net.forward_direct(image_13hw.to(model.device), mode);
}

std::vector<Row> predict_pack(const Options& options, const launch::LoadedModel& model, const DataFacts& facts,
                              ProgramWatch& watch) {
  pack::Reader reader(options.pack);
  reader.set_on_part([&watch] { watch.beat("reading the pack"); });
  const auto split = options.split == "val" ? pack::Split::val : pack::Split::train;
  const std::size_t label_set = pack::find_label_set(reader.schema(), model.config.data.label_set);
  for (const std::int64_t sample : options.samples) {
    if (sample < 0 || sample >= reader.size(split)) {
      fail_usage("--samples {}: {} has samples 0 to {} in {}", sample, options.pack, reader.size(split) - 1,
                 options.split);
    }
  }
  const data::Dataset dataset = data::read_split(reader, split, {label_set, model.config.data.normalise}, model.device);
  const auto names = reader.names(split);
  std::vector<Row> rows;
  for (const std::int64_t sample : options.samples) {
    watch.beat("sample", sample);
    const data::Batch batch = dataset.batch(std::array{sample});
    Row row;
    row.name = fmt::format("{} {}: {}", options.split, sample, names[static_cast<std::size_t>(sample)]);
    row.image.resize(static_cast<std::size_t>(facts.height * facts.width * 3));
    reader.read_images(split, sample, 1, row.image);
    for (const task::Task& task : model.learner->net.tasks()) {
      if (const auto truth = batch.targets.find(task.key); truth != batch.targets.end()) {
        row.truth[task.key] = output_of(task).map_of_truth(truth->second);
      }
    }
    keep(options, predict(model, batch.image_n3hw), model.learner->net.tasks(), facts.height, facts.width,
         fs::path(options.output) / fmt::format("{}_{:05}", options.split, sample), row);
    rows.push_back(std::move(row));
  }
  return rows;
}

/// Decodes every picture before the first is predicted: with one that is no good, nothing is written.
void look_at_images(const std::vector<std::string>& images, ProgramWatch& watch) {
  std::set<std::string> stems;
  std::vector<std::string> faults;
  std::size_t num_odd = 0;
  std::string first_remark;
  Progress progress("looking at", static_cast<std::int64_t>(images.size()));
  for (std::size_t i = 0; i < images.size(); ++i) {
    watch.beat(images[i]);
    const std::string stem = fs::path(images[i]).stem().string();
    if (!stems.insert(stem).second) {
      fail_usage("two images are called {}: their results would overwrite each other; predict them into two folders",
                 stem);
    }
    try {
      const std::string remark = io::read_rgb_image(images[i], {.orientation = io::Orientation::ignore}).remark;
      if (!remark.empty()) {
        first_remark = num_odd == 0 ? fmt::format("'{}': {}", images[i], remark) : first_remark;
        ++num_odd;
      }
    } catch (const Error& error) {
      faults.emplace_back(error.what());
    }
    progress.update(static_cast<std::int64_t>(i) + 1, "images");
  }
  if (faults.size() == 1) {
    fail("{}", faults.front());
  }
  if (!faults.empty()) {
    throw Error(fmt::format("{} of {} images cannot be used, nothing was predicted", faults.size(), images.size()),
                ExitCode::failure, faults);
  }
  if (num_odd > 0) {
    log_line(io::remarks_text(num_odd, first_remark));
  }
}

std::vector<Row> predict_images(const Options& options, const launch::LoadedModel& model, const DataFacts& facts,
                                ProgramWatch& watch) {
  const auto constants = at::TensorOptions().dtype(at::kFloat);
  const at::Tensor mean = at::tensor(at::ArrayRef<double>(facts.mean), constants).view({1, 3, 1, 1});
  const at::Tensor deviation = at::tensor(at::ArrayRef<double>(facts.deviation), constants).view({1, 3, 1, 1});
  std::vector<Row> rows;
  io::ImageRules rules;
  rules.orientation = facts.orientation == "ignore" ? io::Orientation::ignore : io::Orientation::apply;
  std::size_t num_turned = 0;
  Progress progress("predicting", static_cast<std::int64_t>(options.images.size()));
  for (const std::string& path : options.images) {
    watch.beat(path);
    io::Image<std::uint8_t> image = io::read_rgb_image(path, rules);
    num_turned += image.orientation != 1 ? 1 : 0;
    const at::Tensor pixels =
        at::from_blob(image.pixels.data(), {1, image.height, image.width, 3}, at::kByte).permute({0, 3, 1, 2});
    const at::Tensor small =
        at::_upsample_bilinear2d_aa(pixels.to(at::kFloat).contiguous(), {facts.height, facts.width},
                                    /*align_corners=*/false);
    Row row;
    row.name = fs::path(path).filename().string();
    row.image = values_of<std::uint8_t>(small.round().clamp(0, 255).permute({0, 2, 3, 1}));
    keep(options, predict(model, (small / 255.0 - mean) / deviation), model.learner->net.tasks(), image.height,
         image.width, fs::path(options.output) / fs::path(path).stem(), row);
    rows.push_back(std::move(row));
    progress.update(static_cast<std::int64_t>(rows.size()), "images");
  }
  if (num_turned > 0) {
    const bool is_applied = rules.orientation == io::Orientation::apply;
    log_info("{} of {} images {} an EXIF orientation, {} (--orientation {} would {})", num_turned, rows.size(),
             num_turned == 1 ? "has" : "have", is_applied ? "as which they were turned" : "which was ignored",
             is_applied ? "ignore" : "apply", is_applied ? "take the stored pixels" : "turn them");
  }
  return rows;
}

/// The columns of the tasks that can be drawn: all but those of several numbers a pixel that are no normals.
figure::PanelOptions panel_options(const task::Tasks& tasks, const DataFacts& facts) {
  figure::PanelOptions options{
      .height = facts.height,
      .width = facts.width,
      .columns = {},
      .palettes = {{facts.class_names, facts.class_colors}},
      .scales = {},
  };
  for (const task::Task& task : tasks) {
    const KindOutput& output = output_of(task);
    const bool has_scale = output.drawn == figure::MapKind::numbers;
    if (has_scale) {
      const bool is_depth = std::ranges::count(task.metrics, task::kDepthUnit, &task::Metric::unit) > 0;
      options.scales.push_back({!is_depth                 ? std::string(task.name)
                                : facts.depth_unit == "m" ? "depth [m]"
                                                          : facts.depth_unit});
    }
    for (const bool is_truth : {true, false}) {
      options.columns.push_back(
          {.head = fmt::format("{}{}: {}", task.truth, output.plural, is_truth ? "truth" : "predicted"),
           .part = fmt::format("the {} {}", is_truth ? "true" : "predicted", task.truth),
           .kind = output.drawn,
           .paint = has_scale ? options.scales.size() - 1 : 0,
           .has_invalid = is_truth && output.drawn != figure::MapKind::classes});
    }
  }
  return options;
}

void write_picture(const std::vector<Row>& rows, const task::Tasks& all, const DataFacts& facts, const fs::path& path) {
  task::Tasks tasks;
  std::ranges::copy_if(all, std::back_inserter(tasks), [](const task::Task& task) {
    return task.channels < 2 || output_of(task).drawn == figure::MapKind::normals;
  });
  const auto drawn = [](const MapByTask& maps, const task::Task& task) -> std::optional<figure::Map> {
    const auto found = maps.find(task.key);
    if (found == maps.end()) {
      return std::nullopt;
    }
    return output_of(task).drawn == figure::MapKind::classes ? figure::Map(found->second.classes)
                                                             : figure::Map(found->second.values);
  };
  std::vector<figure::PanelRow> panel;
  for (const Row& row : rows) {
    figure::PanelRow& shown = panel.emplace_back();
    shown.caption = row.name;
    shown.image = row.image;
    for (const task::Task& task : tasks) {
      shown.maps.push_back(drawn(row.truth, task));
      shown.maps.push_back(drawn(row.predicted, task));
    }
    if (panel.size() == kMaxPanelRows) {
      break;
    }
  }
  figure::write_panel(path, panel, panel_options(tasks, facts));
}

void predict_all(const dist::MpiSession& session, const Options& options, ProgramWatch& watch) {
  if (options.images.empty() == options.samples.empty() || (!options.samples.empty() && options.pack.empty())) {
    fail_usage("name the input by --images FILE..., or by --pack PACK --samples 0,1,2");
  }
  check(session.size() == 1, "xtasc-predict runs on one rank, mpirun started {}", session.size());
  if (!options.images.empty()) {
    look_at_images(options.images, watch);
  }
  const c10::NoGradGuard no_grad;
  const launch::LoadedModel model = launch::load_model(options.model, session, &watch);
  watch.beat("opening the pack");
  const DataFacts facts = find_facts(options, model);
  std::error_code error;
  fs::create_directories(options.output, error);
  check(!error, "cannot create {}: {}", options.output, error.message());

  const std::vector<Row> rows = options.images.empty() ? predict_pack(options, model, facts, watch)
                                                       : predict_images(options, model, facts, watch);
  watch.beat("writing the picture");
  const fs::path picture = fs::path(options.output) / "panel.png";
  write_picture(rows, model.learner->net.tasks(), facts, picture);
  fmt::print("{} image{} predicted with {} into {}\n{}\n", rows.size(), rows.size() == 1 ? "" : "s",
             model.weights_path.string(), options.output, picture.string());
}

}  // namespace

int main(int argc, char** argv) {
  launch::Ranks ranks({.program = "xtasc-predict"});
  CLI::App app(
      "Predicts labels, depth and normals for images, or for samples of a pack.\n"
      "Writes, for each, what the net predicts of NAME_label.png (class ids), NAME_depth.npy (float32), "
      "NAME_normals.npy "
      "(float32, height x width x 3) and NAME_normals.png (colours), and panel.png, a picture of the first 12.",
      "xtasc-predict");
  Options options;
  launch::add_model_options(app, options.model);
  app.add_option("--images", options.images, "Image files (PNG or JPEG) of any size; results have the image's size");
  app.add_option("--pack", options.pack, "A pack (.h5): its samples are shown with the ground truth");
  app.add_option("--samples", options.samples, "Samples of the pack, e.g. 0,1,2")->delimiter(',');
  app.add_option("--split", options.split, "Which of the pack's splits")
      ->capture_default_str()
      ->check(CLI::IsMember({"val", "train"}));
  app.add_option("--size", options.size,
                 "HEIGHTxWIDTH that images are resized to for the net; default: as in training");
  app.add_option(
         "--orientation", options.orientation,
         "Images that EXIF turns: turned (apply) or as stored (ignore); default: as in the training pack, apply")
      ->check(CLI::IsMember({"apply", "ignore"}));
  app.add_option("--output", options.output, "Folder for the results")->capture_default_str();
  app.add_flag("--tensors", options.tensors,
               "Also write NAME.pt, for torch.load: by task (seg, depth, normals) what the net gives at its own size, "
               "1 x channels x height x width (logits; depth; vectors of any length), float32, or float64 in fp64");
  return run_program(
      app, argc, argv,
      [&] {
        launch::watch_by_config(options.model, ranks.watch());
        predict_all(ranks.start(&argc, &argv), options, ranks.watch());
        return ExitCode::success;
      },
      ranks.error_hooks(train::out_of_memory_error));
}
