// xtasc-predict: a user's images, or samples of a pack -> label maps and depth maps, as data and as a picture.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/GradMode.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <iterator>
#include <memory>
#include <mutex>
#include <optional>

#include "core/cli.hpp"
#include "core/host_memory.hpp"
#include "core/log.hpp"
#include "core/ordered_pool.hpp"
#include "core/progress.hpp"
#include "core/user_path.hpp"
#include "io/image/image.hpp"
#include "launch/common/model_source.hpp"
#include "launch/common/ranks.hpp"
#include "launch/predict/facts.hpp"
#include "launch/predict/panel.hpp"
#include "launch/predict/pictures.hpp"
#include "launch/predict/results.hpp"
#include "launch/predict/source.hpp"
#include "train/out_of_memory.hpp"

namespace {

using namespace xtasc;
using launch::Input;
using launch::LoadedModel;
using launch::Row;
using launch::Source;
namespace fs = std::filesystem;

struct Options {
  launch::ModelSource model;
  std::vector<std::string> images, only;
  std::string pack, split, size, orientation, resize, result_size = "own", output = "predictions";
  std::vector<std::int64_t> samples;
  std::int64_t batch = 16, panel = 12;
  bool keeps_going = false, skips_existing = false, tensors = false;
};

/// What became of an image.
struct Outcome {
  std::string fault{};  ///< why it cannot be used; empty: it was predicted
  std::string remark{};
  bool is_turned = false, is_resized = false;
  std::optional<Row> row = {};  ///< where it is to be shown
};

/// Reads images, predicts them and writes what was predicted. On the CPU each thread does so for an image at a time,
/// computing alone: the bits of a result depend neither on the images beside it nor on how many threads there are.
class Predictor {
 public:
  Predictor(const LoadedModel& model, const Source& source, const launch::Results& results)
      : model_(model), source_(source), results_(results) {}

  /// To be called from several threads at once. \param images  that go through the net together, by their places in the
  /// source \returns an outcome each
  [[nodiscard]] std::vector<Outcome> predict(std::span<const std::size_t> images, bool is_shown) const {
    const c10::NoGradGuard no_grad;
    at::init_num_threads();  // OpenMP's number is a thread's own
    std::vector<Outcome> outcomes(images.size());
    std::vector<Input> inputs;
    std::vector<std::size_t> places;
    for (std::size_t i = 0; i < images.size(); ++i) {
      try {
        inputs.push_back(source_.read(images[i], is_shown));
        places.push_back(i);
      } catch (const Error& error) {
        outcomes[i].fault = error.what();
      }
    }
    if (inputs.empty()) {
      return outcomes;
    }
    const model::Predictions predictions = forward(inputs);
    for (std::size_t k = 0; k < inputs.size(); ++k) {
      Input& input = inputs[k];
      Outcome& outcome = outcomes[places[k]];
      std::map<std::string, at::Tensor, std::less<>> own;
      for (const task::Task& task : results_.tasks()) {
        own[std::string(task.key)] = predictions.of(task.key).narrow(0, static_cast<std::int64_t>(k), 1);
      }
      results_.write(own, source_.name(images[places[k]]), input.height, input.width);
      outcome.remark = std::move(input.remark);
      outcome.is_turned = input.is_turned;
      outcome.is_resized = input.is_resized;
      if (is_shown) {
        outcome.row = {source_.title(images[places[k]]), std::move(input.rgb), {}, std::move(input.truth)};
        for (const task::Task& task : results_.tasks()) {
          outcome.row->predicted[task.key] = model::predicted_map(task, own.find(task.key)->second);
        }
      }
    }
    return outcomes;
  }

 private:
  [[nodiscard]] model::Predictions forward(const std::vector<Input>& inputs) const {
    std::vector<at::Tensor> images;
    std::ranges::transform(inputs, std::back_inserter(images), &Input::image_13hw);
    const at::Tensor batch_n3hw = images.size() == 1 ? images.front() : at::cat(images);
    const model::Mode mode = {.training = false, .compute = model_.learner->types.compute};
    std::unique_lock lock(device_, std::defer_lock);
    if (!model_.device.is_cpu()) {
      lock.lock();  // one batch's maps in its memory, not one a thread
    }
    return model_.learner->net.forward_direct(batch_n3hw.to(model_.device), mode);
  }

  const LoadedModel& model_;
  const Source& source_;
  const launch::Results& results_;
  mutable std::mutex device_;
};

/// What happened to all images, for the last words.
struct Summary {
  std::int64_t num_predicted = 0, num_turned = 0, num_resized = 0;
  std::size_t num_remarks = 0;
  std::string first_remark{};
  std::vector<std::string> faults{};
  std::vector<Row> rows{};
  double images_per_second = 0.0;
};

/// How many images go through the net together.
std::size_t batch_size(const Options& options, const LoadedModel& model) {
  // One a thread on the CPU; and of a network to which the place in the batch matters, each in the first place.
  const bool is_alone = model.device.is_cpu() || model.config.model.adamt_attention == config::AdamtAttention::per_slot;
  return is_alone ? 1 : static_cast<std::size_t>(options.batch);
}

/// \param images  places in the source
void predict_images(const Options& options, const LoadedModel& model, const Source& source,
                    const std::vector<std::size_t>& images, const launch::Results& results, Summary& summary,
                    ProgramWatch& watch) {
  const Predictor predictor(model, source, results);
  const auto num_threads = static_cast<std::size_t>(at::get_num_threads());
  at::set_num_threads(1);  // of each thread below
  const std::size_t size = batch_size(options, model);
  const auto num_rows = static_cast<std::size_t>(options.panel);
  std::atomic<bool> wants_rows = num_rows > 0;
  const auto batch = [&](std::size_t index) {
    return std::span(images).subspan(index * size, std::min(size, images.size() - index * size));
  };
  const std::size_t num_batches = (images.size() + size - 1) / size;
  Progress progress("predicting", static_cast<std::int64_t>(images.size()));
  OrderedPool<std::vector<Outcome>> pool(
      num_batches, num_threads, [&](std::size_t index) { return predictor.predict(batch(index), wants_rows); });
  std::int64_t num_done = 0;
  for (std::size_t index = 0; index < num_batches; ++index) {
    watch.beat(fmt::format("predicting {} into {}", source.title(batch(index).front()), options.output));
    for (Outcome& outcome : pool.take()) {
      ++num_done;
      if (!outcome.fault.empty()) {
        check(options.keeps_going, "{}{}", outcome.fault,
              images.size() == 1 ? ""
                                 : fmt::format(" (image {} of {}; --keep-going leaves out what cannot be used, "
                                               "--skip-existing what is predicted)",
                                               num_done, images.size()));
        summary.faults.push_back(std::move(outcome.fault));
        continue;
      }
      ++summary.num_predicted;
      summary.num_turned += outcome.is_turned ? 1 : 0;
      summary.num_resized += outcome.is_resized ? 1 : 0;
      if (!outcome.remark.empty() && summary.num_remarks++ == 0) {
        summary.first_remark = outcome.remark;
      }
      if (outcome.row && summary.rows.size() < num_rows) {
        summary.rows.push_back(std::move(*outcome.row));
        wants_rows = summary.rows.size() < num_rows;
      }
    }
    progress.update(num_done, fmt::format("{:.1f} images/s", progress.rate()));
  }
  summary.images_per_second = progress.rate();
}

/// What was done to images, and what else there is to know about them.
void log_remarks(const Summary& summary, const launch::DataFacts& facts) {
  if (summary.num_remarks > 0) {
    log_line(io::remarks_text(summary.num_remarks, summary.first_remark));
  }
  if (summary.num_turned > 0) {
    const bool is_applied = facts.orientation != "ignore";
    log_info("{} of {} images {} an EXIF orientation, {} (--orientation {} would {})", summary.num_turned,
             summary.num_predicted, summary.num_turned == 1 ? "has" : "have",
             is_applied ? "as which they were turned" : "which was ignored", is_applied ? "ignore" : "apply",
             is_applied ? "take the stored pixels" : "turn them");
  }
  if (summary.num_resized > 0) {
    const std::string done = fmt::format("{} of {} images were resized to {} x {} (--resize {})", summary.num_resized,
                                         summary.num_predicted, facts.height, facts.width, name_of(facts.resize));
    if (facts.is_resize_known) {
      log_line(done);
    } else {
      log_warning("{}: nobody recorded how those of the training were; --resize nearest is the packer's default", done);
    }
  }
}

/// Those of the net's tasks whose results are wanted.
task::Tasks tasks_wanted(const Options& options, const LoadedModel& model) {
  task::Tasks tasks;
  std::vector<std::string_view> known;
  for (const task::Task& task : model.learner->net.tasks()) {
    known.push_back(task.truth);
    if (options.only.empty() || std::ranges::count(options.only, task.truth) > 0) {
      tasks.push_back(task);
    }
  }
  for (const std::string& word : options.only) {
    if (std::ranges::count(known, word) == 0) {
      fail_usage("--only {}: {} predicts {}", word, model.weights_path.string(), fmt::join(known, ", "));
    }
  }
  return tasks;
}

/// The user's pictures but for those whose first bytes tell that they are none.
std::vector<launch::Picture> usable_pictures(const Options& options, Summary& summary, ProgramWatch& watch) {
  std::vector<launch::Picture> pictures = launch::find_pictures(options.images, options.output);
  const std::vector<std::string> faults =
      launch::faults_of_headers(pictures, static_cast<std::size_t>(at::get_num_threads()), watch);
  std::vector<launch::Picture> usable;
  const bool has_absent = std::ranges::any_of(pictures, [](const launch::Picture& picture) {
    std::error_code unknown;
    return fs::status(picture.path, unknown).type() == fs::file_type::not_found;
  });
  for (std::size_t i = 0; i < pictures.size(); ++i) {
    if (faults[i].empty()) {
      usable.push_back(std::move(pictures[i]));
    } else {
      summary.faults.push_back(faults[i]);
    }
  }
  if (!summary.faults.empty() && !options.keeps_going) {
    const ExitCode code = has_absent ? ExitCode::usage : ExitCode::failure;
    if (summary.faults.size() == 1) {
      throw Error(summary.faults.front(), code);
    }
    throw Error(
        fmt::format("{} of {} images cannot be used, nothing was predicted", summary.faults.size(), pictures.size()),
        code, summary.faults);
  }
  return usable;
}

/// The samples that were asked for, of --pack or else the run's own.
launch::SamplesWanted samples_wanted(const Options& options, const LoadedModel& model) {
  const std::string pack = options.pack.empty() ? model.config.data.pack : options.pack;
  if (pack.empty()) {
    fail_usage("--pack is needed: the config names no pack");
  }
  return {pack, options.split.empty() ? "val" : options.split, options.samples};
}

ExitCode predict_all(const dist::MpiSession& session, const Options& options, ProgramWatch& watch) {
  const bool has_samples = !options.split.empty() || !options.samples.empty();
  if (options.images.empty() != has_samples) {
    fail_usage("name the input by --images FILE|FOLDER..., or of a pack by --split val|train or --samples 0,1,2");
  }
  require_input("--pack", options.pack);
  check(session.size() == 1, "xtasc-predict runs on one rank, mpirun started {}", session.size());
  Summary summary;
  std::vector<launch::Picture> pictures;
  if (!has_samples) {
    pictures = usable_pictures(options, summary, watch);
  }
  const LoadedModel model = launch::load_model(options.model, session, &watch);
  if (model.device.is_cpu()) {
    bound_memory();
  }
  launch::Results results(options.output, tasks_wanted(options, model),
                          {.at_net_size = options.result_size == "net", .has_tensors = options.tensors});
  watch.beat("opening the pack");
  const launch::DataFacts facts = launch::find_facts(
      {.pack = options.pack, .size = options.size, .orientation = options.orientation, .resize = options.resize},
      options.model, model);
  const std::unique_ptr<Source> source =
      has_samples ? launch::source_of_samples(samples_wanted(options, model), model, facts, watch)
                  : launch::source_of_files(std::move(pictures), facts);
  watch.beat("beginning " + options.output);
  results.begin(model, facts, options.skips_existing);
  std::vector<std::size_t> images;
  for (std::size_t i = 0; i < source->size(); ++i) {
    if (!options.skips_existing || !results.are_there(source->name(i))) {
      images.push_back(i);
    }
  }
  const std::size_t num_skipped = source->size() - images.size();
  if (!images.empty()) {
    predict_images(options, model, *source, images, results, summary, watch);
  }
  log_remarks(summary, facts);
  fmt::print("{} image{} predicted with {} into {}", summary.num_predicted, summary.num_predicted == 1 ? "" : "s",
             model.weights_path.string(), options.output);
  fmt::print("{}{}\n", summary.num_predicted == 0 ? "" : fmt::format(", {:.1f} images/s", summary.images_per_second),
             num_skipped == 0 ? "" : fmt::format(", {} were there", num_skipped));
  if (!summary.rows.empty()) {
    watch.beat("writing the picture");
    const fs::path picture = fs::path(options.output) / "panel.png";
    launch::write_picture(summary.rows, results.tasks(), facts, picture);
    fmt::print("{}\n", picture.string());
  }
  if (summary.faults.size() == 1) {
    fail("{}; it was left out", summary.faults.front());
  }
  if (!summary.faults.empty()) {
    throw Error(fmt::format("{} images cannot be used and were left out", summary.faults.size()), ExitCode::failure,
                summary.faults);
  }
  return ExitCode::success;
}

}  // namespace

int main(int argc, char** argv) {
  launch::Ranks ranks({.program = "xtasc-predict", .advice = "the same command with --skip-existing goes on"});
  CLI::App app(
      "Predicts labels, depth and normals for images, or for samples of a pack.\n"
      "Writes, for each, what the net predicts of NAME_label.png (class ids), NAME_depth.npy (float32), "
      "NAME_normals.npy "
      "(float32, height x width x 3) and NAME_normals.png (colours), predictions.json, which says what they are of and "
      "names the classes, and panel.png, a picture of the first.",
      "xtasc-predict");
  Options options;
  launch::add_model_options(app, options.model);
  app.add_option("--images", options.images,
                 "Image files (PNG or JPEG) of any size, patterns ('shots/*.jpg'), and folders, whose folders are "
                 "looked into as well; frame_2 comes before frame_10");
  app.add_option("--pack", options.pack, "A pack (.h5); default: the run's own");
  app.add_option("--split", options.split, "All samples of the pack's split, or those of --samples, which are of val")
      ->check(CLI::IsMember({"val", "train"}));
  app.add_option("--samples", options.samples, "Samples of the pack, e.g. 0,1,2; shown with the ground truth")
      ->delimiter(',');
  app.add_option("--size", options.size,
                 "HEIGHTxWIDTH that images are resized to for the net; default: as in training");
  app.add_option("--resize", options.resize, "How; default: as the images of the training pack were")
      ->check(CLI::IsMember({"nearest", "area", "smooth"}));
  app.add_option("--result-size", options.result_size, "Results have the image's own size, or the net's")
      ->capture_default_str()
      ->check(CLI::IsMember({"own", "net"}));
  app.add_option(
         "--orientation", options.orientation,
         "Images that EXIF turns: turned (apply) or as stored (ignore); default: as in the training pack, apply")
      ->check(CLI::IsMember({"apply", "ignore"}));
  app.add_option("--only", options.only, "Which results are written, e.g. label,depth; default: all that are predicted")
      ->delimiter(',');
  app.add_option("--panel", options.panel, "How many images panel.png shows; 0: none is made")
      ->capture_default_str()
      ->check(CLI::Range(0, 100));
  app.add_option("--batch", options.batch,
                 "Images that a GPU computes together; on the CPU each of run.threads threads computes one")
      ->capture_default_str()
      ->check(CLI::Range(1, 4096));
  app.add_flag("--keep-going", options.keeps_going, "Leave out images that cannot be read: listed at the end, exit 1");
  app.add_flag("--skip-existing", options.skips_existing, "Leave out images whose results are in --output already");
  app.add_flag("--tensors", options.tensors,
               "Also write NAME.pt, for torch.load: by task (seg, depth, normals) what the net gives at its own size, "
               "1 x channels x height x width (logits; depth; vectors of any length), float32, or float64 in fp64");
  app.add_option("--output", options.output, "Folder for the results")->capture_default_str();
  return run_program(
      app, argc, argv,
      [&] {
        launch::watch_by_config(options.model, ranks.watch());
        return predict_all(ranks.start(&argc, &argv), options, ranks.watch());
      },
      ranks.error_hooks(train::out_of_memory_for_images));
}
