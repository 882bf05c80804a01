#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

#include "core/cli.hpp"
#include "core/log.hpp"
#include "core/program_watch.hpp"
#include "core/progress.hpp"
#include "core/user_path.hpp"
#include "pack/verify.hpp"
#include "preprocess/datasets.hpp"
#include "preprocess/datasets/depth_bounds.hpp"
#include "preprocess/pack_builder.hpp"
#include "preprocess/show.hpp"

namespace xtasc::preprocess {
namespace {

/// What the user typed; each field but `open` belongs to the option of its name.
struct Options {
  std::vector<std::pair<std::string, OpenDataset>> open;  ///< by subcommand
  std::string output, size, image_filter = "nearest", report, pack;
  int workers = static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
  bool force = false, skip_bad = false;
  std::string split = "val";
  std::vector<std::int64_t> samples;
  std::int64_t stall_seconds = 900;
};

Size parse_size(const std::string& text) {
  const auto [height, width] = pack::parse_size("--size", text);
  return {height, width};
}

void add_pack_options(CLI::App& command, Options& options, bool has_files) {
  command.add_option("--output", options.output, "The pack to write (.h5)")->required()->type_name("PACK");
  command.add_option("--size", options.size, "Height and width of the samples, multiples of 32")->type_name("HxW");
  command.add_option("--workers", options.workers, "Threads that decode; the pack is the same for any number")
      ->type_name("N")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  command.add_flag("--force", options.force, "Replace an existing output");
  add_stall_option(command, options.stall_seconds);
  if (has_files) {
    command.add_flag("--skip-bad", options.skip_bad,
                     "Leave out samples with a faulty file, and write into the pack which and why");
    command.add_option("--report", options.report, "List every faulty file here, one line each")->type_name("FILE");
    command
        .add_option("--image-filter", options.image_filter,
                    "How images are made smaller (labels, depth, normals: nearest)")
        ->check(CLI::IsMember({"nearest", "area"}))
        ->capture_default_str();
  }
}

std::string summary(const std::string& path, const pack::Schema& schema, std::int64_t num_train, std::int64_t num_val) {
  const std::string doubt = doubt_of_depth(schema);
  return fmt::format("{}: {}, {} train + {} val samples of {} x {}, {} classes, depth up to {:.4g} {}{}, digest {}",
                     path, schema.dataset, num_train, num_val, schema.height, schema.width, schema.num_classes(),
                     schema.depth_max, schema.depth_kind == pack::DepthKind::metres ? "m" : "(inverse depth)",
                     doubt.empty() ? "" : " (" + doubt + ")", schema.content_digest);
}

ExitCode run_pack(const RawDataset& raw, const Options& options, ProgramWatch& watch) {
  BuildOptions build;
  build.output = options.output;
  build.resize.to = options.size.empty() ? Size{raw.schema().height, raw.schema().width} : parse_size(options.size);
  build.resize.image_filter = options.image_filter == "area" ? ImageFilter::area : ImageFilter::nearest;
  build.workers = options.workers;
  build.overwrite = options.force;
  build.skip_bad = options.skip_bad;
  build.report = options.report;
  build.on_sample = [&watch](const std::string& name) { watch.beat(name); };
  const auto start = std::chrono::steady_clock::now();
  const BuildResult result = build_pack(raw, build);
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
  const auto num_samples = result.num_train + result.num_val;
  log_info("packed {} samples in {:.1f} s ({:.0f} samples/s)", num_samples, elapsed.count(),
           static_cast<double>(num_samples) / elapsed.count());
  fmt::print("{}\n", summary(options.output, result.schema, static_cast<std::int64_t>(result.num_train),
                             static_cast<std::int64_t>(result.num_val)));
  return ExitCode::success;
}

pack::Report verified(const std::string& path, ProgramWatch& watch) {
  std::unique_ptr<Progress> progress;
  pack::Report report = pack::verify(path, [&](std::int64_t done, std::int64_t total) {
    if (!progress) {
      progress = std::make_unique<Progress>("verifying", total);
    }
    progress->update(done);
    watch.beat("verifying sample", done);
  });
  progress.reset();
  if (!report.faults.empty()) {
    throw Error(fmt::format("{} is damaged: {} fault{} found", path, report.faults.size(),
                            report.faults.size() == 1 ? "" : "s"),
                ExitCode::failure, report.faults);
  }
  return report;
}

void print_notes(const pack::Report& report) {
  for (const std::string& note : report.notes) {
    fmt::print("note: {}\n", note);
  }
}

ExitCode run_verify(const std::string& path, ProgramWatch& watch) {
  const pack::Report report = verified(path, watch);
  fmt::print("{}\nevery sample, name and attribute is as it was packed\n",
             summary(path, report.schema, report.train_size, report.val_size));
  print_notes(report);
  return ExitCode::success;
}

ExitCode run_info(const std::string& path, ProgramWatch& watch) {
  const pack::Report report = verified(path, watch);
  const pack::Schema& schema = report.schema;
  fmt::print("{}\n", summary(path, schema, report.train_size, report.val_size));
  fmt::print("source: {}; resize: {}; packed {} by version {}\n", schema.source, schema.resize, schema.created,
             schema.tool_version);
  if (!schema.orientation.empty()) {
    fmt::print("pictures that EXIF turns: {} (orientation = \"{}\")\n",
               schema.orientation == "apply" ? "turned" : "left as stored", schema.orientation);
  }
  print_notes(report);
  const double pixels = static_cast<double>(report.pixels);
  for (std::size_t i = 0; i < schema.label_sets.size(); ++i) {
    const pack::LabelSet& set = schema.label_sets[i];
    fmt::print("{}:\n", set.name);
    for (std::size_t c = 0; c <= set.class_names.size(); ++c) {
      const std::int64_t count = report.label_pixels[i][c];
      fmt::print("  {:>3} {:<20} {:>14} pixels {:6.2f} %\n", c < set.class_names.size() ? std::to_string(c) : "255",
                 c < set.class_names.size() ? set.class_names[c] : "(void)", count,
                 100.0 * static_cast<double>(count) / pixels);
    }
  }
  fmt::print("depth: {} as {}, {:.4g} to {:.4g}, {:.2f} % invalid\n", pack::depth_kind_name(schema.depth_kind),
             pack::depth_type_name(schema.depth_type), report.depth_min, report.depth_max,
             100.0 * (1.0 - static_cast<double>(report.valid_depth_pixels) / pixels));
  if (schema.has_normals()) {
    fmt::print("normals: {}, {:.2f} % invalid\n", schema.normals,
               100.0 * (1.0 - static_cast<double>(report.valid_normal_pixels) / pixels));
  }
  for (const auto& [key, count] : report.labelled_samples) {
    fmt::print("{} of {} samples have labels of task {}\n", count, report.train_size + report.val_size, key);
  }
  if (!schema.skipped.empty()) {
    fmt::print("left out when it was packed, for {} faults:\n", schema.skipped.size());
    for (const std::string& line : schema.skipped) {
      fmt::print("  {}\n", line);
    }
  }
  return ExitCode::success;
}

ExitCode run_show(const Options& options) {
  const auto split = options.split == "val" ? pack::Split::val : pack::Split::train;
  const std::int64_t count = show_samples(options.pack, split, options.samples, options.output);
  fmt::print("{}: {} {} sample{} of {}\n", options.output, count, options.split, count == 1 ? "" : "s", options.pack);
  return ExitCode::success;
}

ExitCode run(const CLI::App& app, const Options& options, ProgramWatch& watch) {
  watch.set_limit(std::chrono::seconds(options.stall_seconds), "--stall-seconds");
  for (const auto& [word, open] : options.open) {
    if (app.got_subcommand(word)) {
      const auto size = options.size.empty() ? std::nullopt : std::optional(parse_size(options.size));
      watch.beat("a look at the raw data");
      return run_pack(*open(size), options, watch);
    }
  }
  require_input("PACK", options.pack);
  if (app.got_subcommand("show")) {
    watch.beat(fmt::format("showing samples of {} in {}", options.pack, options.output));
    return run_show(options);
  }
  watch.beat("opening " + options.pack);
  return app.got_subcommand("verify") ? run_verify(options.pack, watch) : run_info(options.pack, watch);
}

void add_commands(CLI::App& app, Options& options) {
  app.require_subcommand(1);
  for (const Dataset& dataset : datasets()) {
    CLI::App* command = app.add_subcommand(std::string(dataset.word), std::string(dataset.help));
    options.open.emplace_back(dataset.word, dataset.add_options(*command));
    add_pack_options(*command, options, dataset.has_files);
  }
  CLI::App* verify = app.add_subcommand("verify", "Read every byte of a pack and check it");
  verify->add_option("PACK", options.pack, "The pack")->required();
  CLI::App* info = app.add_subcommand("info", "Verify a pack and print its sizes, classes, depth range and normals");
  info->add_option("PACK", options.pack, "The pack")->required();
  CLI::App* show = app.add_subcommand("show", "Draw samples of a pack: image, labels, depth, normals, a row each");
  show->add_option("PACK", options.pack, "The pack")->required();
  show->add_option("--output", options.output, "The picture to write or replace (.png)")->required()->type_name("PNG");
  show->add_option("--samples", options.samples, "Which ones, e.g. 0,1,2; the first 4 when not given")->delimiter(',');
  show->add_option("--split", options.split, "Which of the pack's splits")
      ->check(CLI::IsMember({"val", "train"}))
      ->capture_default_str();
  for (CLI::App* command : {verify, info, show}) {
    add_stall_option(*command, options.stall_seconds);
  }
}

}  // namespace
}  // namespace xtasc::preprocess

int main(int argc, char** argv) {
  xtasc::ProgramWatch watch({.program = "xtasc-preprocess",
                             .stop_patience = std::chrono::seconds(1),
                             .when_stopped = xtasc::ExitCode::failure,
                             .advice = "nothing is left half written"});
  CLI::App app("Turns raw data into one pack file (.h5) for training, and checks packs.", "xtasc-preprocess");
  xtasc::preprocess::Options options;
  xtasc::preprocess::add_commands(app, options);
  return xtasc::run_program(app, argc, argv, [&] { return xtasc::preprocess::run(app, options, watch); });
}
