#include "preprocess/datasets.hpp"

#include <CLI/CLI.hpp>
#include <array>
#include <filesystem>
#include <string>

#include "core/error.hpp"
#include "core/user_path.hpp"
#include "preprocess/datasets/cityscapes.hpp"
#include "preprocess/datasets/folder.hpp"
#include "preprocess/datasets/mtan.hpp"
#include "preprocess/datasets/nyuv2.hpp"
#include "preprocess/datasets/scenes_dataset.hpp"

namespace fs = std::filesystem;

namespace xtasc::preprocess {

namespace {

/// A required --root. \returns where its value will be, for as long as somebody has it
std::shared_ptr<fs::path> add_root(CLI::App& command, const std::string& help) {
  auto root = std::make_shared<fs::path>();
  command.add_option("--root", *root, help)->required()->type_name("DIR");
  return root;
}

/// --normals-axes, which needs --normals. \returns where its words will be
std::shared_ptr<std::string> add_axes(CLI::App& command, CLI::Option* normals) {
  auto axes = std::make_shared<std::string>(kPackAxes);
  command
      .add_option("--normals-axes", *axes,
                  "What the components of the files' normals count: left, up or out (to the camera) in their places")
      ->capture_default_str()
      ->type_name("WORDS")
      ->needs(normals);
  return axes;
}

AxisSigns signs_of(const std::string& axes) {
  const auto signs = axis_signs(axes);
  if (!signs) {
    fail_usage("--normals-axes '{}': '{}' is expected, or left, up or out in their places", axes, kPackAxes);
  }
  return *signs;
}

OpenDataset nyuv2(CLI::App& command) {
  const auto root = add_root(
      command, "Folder with nyu_depth_v2_labeled.mat; a splits.mat in it says another split than the official one");
  const auto normals = std::make_shared<std::string>();
  CLI::Option* option =
      command
          .add_option(
              "--normals", *normals,
              "Pack surface normals too: from-depth, or a folder with normals/0000.png, ... and masks/0000.png, ...")
          ->type_name("from-depth|DIR");
  const auto axes = add_axes(command, option);
  return [=](std::optional<Size>) {
    std::optional<Nyuv2Normals> source;
    if (*normals == "from-depth" && *axes != kPackAxes) {
      fail_usage("--normals-axes {}: it is about files, and normals from depth have the pack's axes", *axes);
    }
    if (*normals != "from-depth") {
      require_input("--normals", *normals);
    }
    if (!normals->empty()) {
      source = {.folder = *normals == "from-depth" ? fs::path() : fs::path(*normals), .signs = signs_of(*axes)};
    }
    return std::make_unique<Nyuv2Dataset>(*root, source);
  };
}

OpenDataset cityscapes(CLI::App& command) {
  const auto root = add_root(command, "Folder with leftImg8bit/, gtFine/ and disparity/");
  return [root](std::optional<Size>) { return std::make_unique<CityscapesDataset>(*root); };
}

OpenDataset mtan(CLI::App& command) {
  struct Choice {
    std::string dataset;
    std::optional<int> num_classes;
    bool with_normals = false;
  };
  const auto root = add_root(command, "Folder with {train,val}/{image,label,depth}/0.npy, 1.npy, ...");
  const auto options = std::make_shared<Choice>();
  command.add_option("--dataset", options->dataset, "Which of the two it is")
      ->required()
      ->check(CLI::IsMember({"nyuv2", "cityscapes"}));
  command
      .add_option("--classes", options->num_classes,
                  "Cityscapes: what label/ holds (7 if not given), or which of label_7/ and label_19/ to take (both)")
      ->check(CLI::IsMember({7, 19}));
  const auto axes = add_axes(
      command, command.add_flag("--normals", options->with_normals, "Pack the surface normals of normal/ too"));
  return [=](std::optional<Size>) {
    const MtanKind kind = options->dataset == "nyuv2" ? MtanKind::nyuv2 : MtanKind::cityscapes;
    return std::make_unique<MtanDataset>(*root, kind, options->num_classes,
                                         options->with_normals ? std::optional(signs_of(*axes)) : std::nullopt);
  };
}

OpenDataset folder(CLI::App& command) {
  const auto root = add_root(command, "Folder that the description's paths start from");
  const auto description = std::make_shared<std::string>();
  command.add_option("--description", *description, "The description, when it is not DIR/dataset.toml")
      ->type_name("FILE");
  return [root, description](std::optional<Size>) {
    require_input("--root", root->string());
    require_input("--description", *description);
    return std::make_unique<FolderDataset>(
        *root, read_folder_description(description->empty() ? *root / "dataset.toml" : fs::path(*description)));
  };
}

OpenDataset scenes(CLI::App& command) {
  struct Choice {
    std::int64_t num_train = 0, num_val = 0;
    std::uint64_t seed = 0;
    bool with_normals = false;
  };
  const auto options = std::make_shared<Choice>();
  command.add_option("--train", options->num_train, "Number of training scenes")->required()->type_name("N");
  command.add_option("--val", options->num_val, "Number of validation scenes")->required()->type_name("N");
  command.add_option("--seed", options->seed, "Other seeds give other scenes")->capture_default_str()->type_name("S");
  command.add_flag("--normals", options->with_normals, "Pack the exact surface normals too");
  return [options](std::optional<Size> size) {
    return std::make_unique<ScenesDataset>(options->num_train, options->num_val, options->seed,
                                           size.value_or(Size{64, 128}), options->with_normals);
  };
}

constexpr std::array<Dataset, 5> kDatasets = {{
    {.word = "nyuv2", .help = "Pack the official NYU Depth v2 .mat file (288x384, 13 classes)", .add_options = nyuv2},
    {.word = "cityscapes",
     .help = "Pack Cityscapes as downloaded (128x256, 7 and 19 classes, inverse depth)",
     .add_options = cityscapes},
    {.word = "mtan", .help = "Pack MTAN's preprocessed .npy folders (288x384 or 128x256)", .add_options = mtan},
    {.word = "folder",
     .help = "Pack folders of images, label PNGs and depth PNGs, described by a dataset.toml",
     .add_options = folder},
    {.word = "scenes",
     .help = "Render and pack generated scenes (64x128, 7 classes)",
     .has_files = false,
     .add_options = scenes},
}};

}  // namespace

std::span<const Dataset> datasets() {
  return kDatasets;
}

}  // namespace xtasc::preprocess
