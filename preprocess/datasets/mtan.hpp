#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "io/npy.hpp"
#include "preprocess/datasets/depth_bounds.hpp"
#include "preprocess/datasets/raw_folder.hpp"
#include "preprocess/normals.hpp"
#include "preprocess/raw_dataset.hpp"

namespace xtasc::preprocess {

/// Which of MTAN's two data sets a tree holds.
enum class MtanKind { nyuv2, cityscapes };

/// The preprocessed data of MTAN, which most published code on multi-task learning reads: ROOT/{train,val}/ with
/// image/N.npy (H x W x 3, floats 0 .. 1 or uint8), label/N.npy (H x W, class or -1) and depth/N.npy (H x W x 1; NYUv2:
/// metres, Cityscapes: inverse depth; 0 invalid). `val` may be called `test`. Cityscapes has label_7/ and label_19/
/// instead of label/, or one of them. NYUv2's normal/N.npy (H x W x 3 unit vectors, 0 invalid) is packed where the user
/// asks for it; label_2/ and all other folders are left out, which the log says.
///
/// MTAN's files are 288 x 384 (NYUv2) or 128 x 256: the log and the pack say where these are not, and what is higher
/// than wide is refused. So is depth that cannot be in the set's unit (depth_bounds.hpp).
///
/// Images become uint8, round(255 x): exact for what was uint8 once (as the values in MTAN's issue 50 were); the log
/// warns where it is not. Samples are in the order of their numbers and named "train/image/0.npy".
///
/// Source: https://github.com/lorenmt/mtan (README.md, im2im_pred/create_dataset.py, issues 11, 25, 41, 50),
/// https://github.com/Cranial-XIX/CAGrad/blob/main/cityscapes/create_dataset.py and
/// https://github.com/median-research-group/LibMTL/blob/main/examples/cityscapes/create_dataset.py
class MtanDataset final : public RawDataset {
 public:
  /// Lists the folders. \param num_classes  7 or 19, Cityscapes only: what label/ holds (7 where not said), or the one
  /// of label_7/ and label_19/ to take (both where not said).
  /// \param normals  packs normal/ too, whose components have these signs
  /// \throws Error  listing the folders that are missing; exit code 2 where num_classes does not fit the data set.
  MtanDataset(std::filesystem::path root, MtanKind kind, std::optional<int> num_classes = std::nullopt,
              std::optional<AxisSigns> normals = std::nullopt);

  [[nodiscard]] const pack::Schema& schema() const override { return schema_; }
  [[nodiscard]] const std::vector<std::string>& names(pack::Split split) const override {
    return names_[static_cast<std::size_t>(split)];
  }
  [[nodiscard]] std::vector<std::string> list_faults() const override { return list_faults_; }
  [[nodiscard]] std::vector<std::string> check_files(pack::Split split, std::size_t index) const override;
  [[nodiscard]] RawSample decode(pack::Split split, std::size_t index, const Resize& resize) const override;
  [[nodiscard]] std::optional<std::string> depth_fault(double largest) const override;

 private:
  /// The files of one number, relative to the root; in the order of folders_.
  struct Sample {
    std::vector<std::string> files;
    std::vector<std::string> faults;  ///< files that are missing or there twice
  };

  void choose_label_sets(std::optional<int> num_classes);
  void list_split(pack::Split split);
  void log_unused() const;
  void find_first_size();
  void check_first_size();
  [[nodiscard]] const DepthBounds& depth_bounds() const;
  void list_folder(const std::string& folder, std::size_t position, std::map<std::uint64_t, Sample>& samples);
  [[nodiscard]] std::vector<std::uint8_t> decode_image(const io::NpyNumbers& file, const std::string& name) const;
  [[nodiscard]] std::vector<std::uint8_t> decode_labels(const io::NpyNumbers& file, std::size_t label_set,
                                                        const std::string& name) const;
  [[nodiscard]] std::vector<float> decode_depth(const io::NpyNumbers& file, const std::string& name) const;
  [[nodiscard]] std::string quoted(const std::string& name) const;

  std::filesystem::path root_;
  MtanKind kind_;
  std::optional<AxisSigns> normals_;
  pack::Schema schema_;
  std::array<std::string, 2> split_folders_;  ///< "train" and "val" or "test"
  std::vector<std::string> folders_;          ///< "image", the label folders, "depth", "normal" where asked for
  std::array<std::vector<Sample>, 2> samples_;
  std::array<std::vector<std::string>, 2> names_;
  std::vector<std::string> list_faults_;
  PassedOver passed_over_;
  std::optional<Size> first_size_;  ///< of the first image that can be read, which all others must have
  std::string first_name_;
  mutable std::atomic<bool> warned_of_rounding_ = false;
};

}  // namespace xtasc::preprocess
