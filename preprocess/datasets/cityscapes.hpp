#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "io/image/image.hpp"
#include "preprocess/datasets/raw_folder.hpp"
#include "preprocess/raw_dataset.hpp"

namespace xtasc::preprocess {

/// Cityscapes as it is downloaded: leftImg8bit/, gtFine/ and disparity/, each with train/ and val/ and in these a
/// folder for every city. The labels of test/ are not public: it is left out.
///
/// Both label sets, label_7 and label_19, come from *_labelIds.png, or from *_instanceIds.png where a frame has no
/// labelIds. Depth is inverse depth, min((d - 1) / 65536, 0.4922) for a disparity d > 1 and invalid (0) for d = 0 and
/// d = 1, stored as multiples of 1/65536. Samples are sorted by name: city, sequence, frame.
class CityscapesDataset final : public RawDataset {
 public:
  /// Lists the folders. \throws Error  when root has none of them, or images of test/ only.
  explicit CityscapesDataset(std::filesystem::path root);

  [[nodiscard]] const pack::Schema& schema() const override { return schema_; }
  [[nodiscard]] const std::vector<std::string>& names(pack::Split split) const override {
    return names_[static_cast<std::size_t>(split)];
  }
  [[nodiscard]] std::vector<std::string> list_faults() const override { return list_faults_; }
  [[nodiscard]] std::vector<std::string> check_files(pack::Split split, std::size_t index) const override;
  [[nodiscard]] RawSample decode(pack::Split split, std::size_t index, const Resize& resize) const override;
  [[nodiscard]] std::optional<std::string> depth_fault(double largest) const override;

  /// Size of the raw files: that of most images, 1024 x 2048 for the original ones.
  [[nodiscard]] Size raw_size() const { return raw_size_; }
  /// The three files of a sample: image, labels, disparity.
  [[nodiscard]] std::vector<std::filesystem::path> files(pack::Split split, std::size_t index) const;

 private:
  /// The files of one frame, relative to the root.
  struct Frame {
    std::string image, label, disparity;
    bool has_instances = false;  ///< `label` is the *_instanceIds.png
  };

  void list_split(pack::Split split);
  void list_city(pack::Split split, const std::string& city);
  void list_strays(pack::Split split);
  void log_unused() const;
  void find_raw_size();
  [[nodiscard]] io::ImageRules rules() const;
  [[nodiscard]] std::vector<std::uint8_t> decode_label_ids(const Frame& frame) const;

  std::filesystem::path root_;
  pack::Schema schema_;
  Size raw_size_{1024, 2048};
  std::array<std::vector<Frame>, 2> frames_;
  std::array<std::vector<std::string>, 2> names_;  ///< images relative to the root
  std::set<std::string> known_files_;              ///< images by name alone, of both splits
  std::vector<std::string> list_faults_;
  PassedOver passed_over_;
};

}  // namespace xtasc::preprocess
