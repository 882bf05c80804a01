#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

#include "core/cli.hpp"
#include "core/log.hpp"
#include "core/progress.hpp"
#include "core/signals.hpp"
#include "pack/verify.hpp"
#include "preprocess/datasets/cityscapes.hpp"
#include "preprocess/datasets/depth_bounds.hpp"
#include "preprocess/datasets/folder.hpp"
#include "preprocess/datasets/mtan.hpp"
#include "preprocess/datasets/nyuv2.hpp"
#include "preprocess/datasets/scenes_dataset.hpp"
#include "preprocess/pack_builder.hpp"
#include "preprocess/show.hpp"

namespace xtasc::preprocess {
namespace {

/// What the user typed; each field belongs to the option of its name.
struct Options {
  std::string root, description, output, size, image_filter = "nearest", report, pack;
  int workers = static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
  bool force = false, skip_bad = false;
  std::int64_t num_train = 0, num_val = 0;
  std::uint64_t seed = 0;
  std::string dataset, split = "val";
  std::optional<int> num_classes;
  std::vector<std::int64_t> samples;
};

Size parse_size(const std::string& text) {
  const auto [height, width] = pack::parse_size("--size", text);
  return {height, width};
}

void add_pack_options(CLI::App& command, Options& options, bool has_images) {
  command.add_option("--output", options.output, "The pack to write (.h5)")->required()->type_name("PACK");
  command.add_option("--size", options.size, "Height and width of the samples, multiples of 32")->type_name("HxW");
  command.add_option("--workers", options.workers, "Threads that decode; the pack is the same for any number")
      ->type_name("N")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  command.add_flag("--force", options.force, "Replace an existing output");
  if (has_images) {
    command.add_flag("--skip-bad", options.skip_bad,
                     "Leave out samples with a faulty file, and write into the pack which and why");
    command.add_option("--report", options.report, "List every faulty file here, one line each")->type_name("FILE");
    command.add_option("--image-filter", options.image_filter, "How images are made smaller (labels, depth: nearest)")
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

ExitCode run_pack(const RawDataset& raw, const Options& options) {
  BuildOptions build;
  build.output = options.output;
  build.resize.to = options.size.empty() ? Size{raw.schema().height, raw.schema().width} : parse_size(options.size);
  build.resize.image_filter = options.image_filter == "area" ? ImageFilter::area : ImageFilter::nearest;
  build.workers = options.workers;
  build.overwrite = options.force;
  build.skip_bad = options.skip_bad;
  build.report = options.report;
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

pack::Report verified(const std::string& path) {
  std::unique_ptr<Progress> progress;
  const pack::Report report = pack::verify(path, [&](std::int64_t done, std::int64_t total) {
    if (!progress) {
      progress = std::make_unique<Progress>("verifying", total);
    }
    progress->update(done);
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

ExitCode run_verify(const std::string& path) {
  const pack::Report report = verified(path);
  fmt::print("{}\nevery sample, name and attribute is as it was packed\n",
             summary(path, report.schema, report.train_size, report.val_size));
  print_notes(report);
  return ExitCode::success;
}

ExitCode run_info(const std::string& path) {
  const pack::Report report = verified(path);
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

ExitCode run(const CLI::App& app, const Options& options) {
  install_stop_handlers();
  std::signal(SIGXFSZ, SIG_IGN);  // a file size limit is then an error like a full disk
  if (app.got_subcommand("nyuv2")) {
    return run_pack(Nyuv2Dataset(options.root), options);
  }
  if (app.got_subcommand("cityscapes")) {
    return run_pack(CityscapesDataset(options.root), options);
  }
  if (app.got_subcommand("mtan")) {
    const MtanKind kind = options.dataset == "nyuv2" ? MtanKind::nyuv2 : MtanKind::cityscapes;
    return run_pack(MtanDataset(options.root, kind, options.num_classes), options);
  }
  if (app.got_subcommand("folder")) {
    const std::filesystem::path root(options.root);
    check(std::filesystem::is_directory(root), "there is no folder '{}'", options.root);
    const auto description =
        options.description.empty() ? root / "dataset.toml" : std::filesystem::path(options.description);
    return run_pack(FolderDataset(root, read_folder_description(description)), options);
  }
  if (app.got_subcommand("scenes")) {
    const Size size = options.size.empty() ? Size{64, 128} : parse_size(options.size);
    return run_pack(ScenesDataset(options.num_train, options.num_val, options.seed, size), options);
  }
  if (app.got_subcommand("show")) {
    return run_show(options);
  }
  return app.got_subcommand("verify") ? run_verify(options.pack) : run_info(options.pack);
}

void add_commands(CLI::App& app, Options& options) {
  app.require_subcommand(1);
  CLI::App* nyuv2 = app.add_subcommand("nyuv2", "Pack the official NYU Depth v2 .mat file (288x384, 13 classes)");
  nyuv2
      ->add_option("--root", options.root,
                   "Folder with nyu_depth_v2_labeled.mat; a splits.mat in it says another split than the official one")
      ->required()
      ->type_name("DIR");
  add_pack_options(*nyuv2, options, true);

  CLI::App* cityscapes =
      app.add_subcommand("cityscapes", "Pack Cityscapes as downloaded (128x256, 7 and 19 classes, inverse depth)");
  cityscapes->add_option("--root", options.root, "Folder with leftImg8bit/, gtFine/ and disparity/")
      ->required()
      ->type_name("DIR");
  add_pack_options(*cityscapes, options, true);

  CLI::App* mtan = app.add_subcommand("mtan", "Pack MTAN's preprocessed .npy folders (288x384 or 128x256)");
  mtan->add_option("--root", options.root, "Folder with {train,val}/{image,label,depth}/0.npy, 1.npy, ...")
      ->required()
      ->type_name("DIR");
  mtan->add_option("--dataset", options.dataset, "Which of the two it is")
      ->required()
      ->check(CLI::IsMember({"nyuv2", "cityscapes"}));
  mtan->add_option("--classes", options.num_classes,
                   "Cityscapes: what label/ holds (7 if not given), or which of label_7/ and label_19/ to take (both)")
      ->check(CLI::IsMember({7, 19}));
  add_pack_options(*mtan, options, true);

  CLI::App* folder =
      app.add_subcommand("folder", "Pack folders of images, label PNGs and depth PNGs, described by a dataset.toml");
  folder->add_option("--root", options.root, "Folder that the description's paths start from")
      ->required()
      ->type_name("DIR");
  folder->add_option("--description", options.description, "The description, when it is not DIR/dataset.toml")
      ->type_name("FILE");
  add_pack_options(*folder, options, true);

  CLI::App* scenes = app.add_subcommand("scenes", "Render and pack generated scenes (64x128, 7 classes)");
  scenes->add_option("--train", options.num_train, "Number of training scenes")->required()->type_name("N");
  scenes->add_option("--val", options.num_val, "Number of validation scenes")->required()->type_name("N");
  scenes->add_option("--seed", options.seed, "Other seeds give other scenes")->capture_default_str()->type_name("S");
  add_pack_options(*scenes, options, false);

  CLI::App* verify = app.add_subcommand("verify", "Read every byte of a pack and check it");
  verify->add_option("PACK", options.pack, "The pack")->required();
  CLI::App* info = app.add_subcommand("info", "Verify a pack and print its sizes, classes and depth range");
  info->add_option("PACK", options.pack, "The pack")->required();
  CLI::App* show = app.add_subcommand("show", "Draw samples of a pack: image, labels, depth, a row each");
  show->add_option("PACK", options.pack, "The pack")->required();
  show->add_option("--output", options.output, "The picture to write or replace (.png)")->required()->type_name("PNG");
  show->add_option("--samples", options.samples, "Which ones, e.g. 0,1,2; the first 4 when not given")->delimiter(',');
  show->add_option("--split", options.split, "Which of the pack's splits")
      ->check(CLI::IsMember({"val", "train"}))
      ->capture_default_str();
}

}  // namespace
}  // namespace xtasc::preprocess

int main(int argc, char** argv) {
  CLI::App app("Turns raw data into one pack file (.h5) for training, and checks packs.", "xtasc-preprocess");
  xtasc::preprocess::Options options;
  xtasc::preprocess::add_commands(app, options);
  return xtasc::run_program(app, argc, argv, [&] { return xtasc::preprocess::run(app, options); });
}
