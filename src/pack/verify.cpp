#include "pack/verify.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <optional>
#include <set>

#include "core/error.hpp"
#include "pack/digest.hpp"
#include "pack/reader.hpp"

namespace xtasc::pack {

namespace {

/// Reads the pack sample by sample and gathers what is wrong.
class Verifier {
 public:
  explicit Verifier(const std::filesystem::path& path) : reader_(path), digest_(reader_.schema()) {
    const Schema& schema = reader_.schema();
    report_.schema = schema;
    report_.train_size = reader_.size(Split::train);
    report_.val_size = reader_.size(Split::val);
    for (const LabelSet& set : schema.label_sets) {
      report_.label_pixels.emplace_back(set.class_names.size() + 1, 0);
    }
    pixels_ = static_cast<std::size_t>(schema.height * schema.width);
    report_.depth_min = std::numeric_limits<double>::infinity();
  }

  Report run(const std::function<void(std::int64_t, std::int64_t)>& progress) {
    const std::int64_t total = report_.train_size + report_.val_size;
    std::int64_t done = 0;
    for (const Split split : {Split::train, Split::val}) {
      const std::vector<std::string> names = read_names(split);
      const std::vector<std::int64_t> labelled_before = labelled_pixels();
      const std::int64_t valid_before = report_.valid_depth_pixels;
      const std::int64_t normals_before = report_.valid_normal_pixels;
      read_flags(split);
      for (std::int64_t i = 0; i < reader_.size(split); ++i) {
        const std::string& name = names[static_cast<std::size_t>(i)];
        verify_sample(split, i, fmt::format("sample {} ({})", i, name));
        if (progress) {
          progress(++done, total);
        }
      }
      if (reader_.size(split) > 0) {
        note_what_is_missing(split, labelled_before, valid_before);
        if (report_.schema.has_normals() && report_.valid_normal_pixels == normals_before) {
          report_.notes.push_back(no_normals_note(split));
        }
      }
    }
    report_.pixels = total * static_cast<std::int64_t>(pixels_);
    for (const auto& [key, count] : num_without_) {
      if (count > 0) {
        report_.labelled_samples[key] = total - count;
      }
    }
    if (std::isinf(report_.depth_min)) {
      report_.depth_min = 0.0;
    }
    check_digest();
    return report_;
  }

 private:
  std::vector<std::string> read_names(Split split) {
    std::vector<std::string> names;
    attempt([&] { names = reader_.names(split); });
    names.resize(static_cast<std::size_t>(reader_.size(split)));
    for (const std::string& name : names) {
      if (name.empty() || !names_.insert(name).second) {
        report_.faults.push_back(fmt::format("/{}/name: '{}' is empty or there twice", split_name(split), name));
      }
      digest_.add_name(split, name);
    }
    return names;
  }

  /// Which samples of the split have which labels.
  void read_flags(Split split) {
    flags_.clear();
    for (const std::string& key : label_keys(report_.schema)) {
      attempt([&] { flags_[key] = reader_.has_labels(split, key); });
      digest_.set_flags(split, key, flags_[key]);
      num_without_[key] += std::count(flags_[key].begin(), flags_[key].end(), 0);
    }
  }

  /// Runs `read`; notes the error instead of passing it on. \returns whether it worked.
  template <typename Read>
  bool attempt(const Read& read) {
    try {
      read();
      return true;
    } catch (const Error& error) {
      report_.faults.emplace_back(error.what());
      is_readable_ = false;
      return false;
    }
  }

  void note(Split split, const std::string& data_set, const std::string& sample,
            const std::optional<std::string>& fault) {
    if (fault) {
      report_.faults.push_back(fmt::format("/{}/{}: {}: {}", split_name(split), data_set, sample, *fault));
    }
  }

  /// A sample without labels of a task must have none. \param is_empty  whether it has none in this data set
  void check_flag(Split split, const std::string& key, const std::string& data_set, std::int64_t index,
                  const std::string& sample, bool is_empty) {
    const auto& flags = flags_[key];
    if (!is_empty && !flags.empty() && flags[static_cast<std::size_t>(index)] == 0) {
      note(split, data_set, sample, fmt::format("{} says that it has no labels, it has some", flags_name(key)));
    }
  }

  /// Pixels that have a class, for each label set.
  [[nodiscard]] std::vector<std::int64_t> labelled_pixels() const {
    std::vector<std::int64_t> sums;
    for (const auto& counts : report_.label_pixels) {
      sums.push_back(std::accumulate(counts.begin(), counts.end() - 1, std::int64_t{0}));
    }
    return sums;
  }

  void note_what_is_missing(Split split, const std::vector<std::int64_t>& labelled_before, std::int64_t valid_before) {
    const std::vector<std::int64_t> labelled = labelled_pixels();
    for (std::size_t set = 0; set < labelled.size(); ++set) {
      if (labelled[set] == labelled_before[set]) {
        report_.notes.push_back(no_labels_note(split, report_.schema.label_sets[set].name));
      }
    }
    if (report_.valid_depth_pixels == valid_before) {
      report_.notes.push_back(no_depth_note(split));
    }
  }

  void verify_sample(Split split, std::int64_t index, const std::string& sample) {
    const Schema& schema = report_.schema;
    image_.resize(pixels_ * 3);
    if (attempt([&] { reader_.read_images(split, index, 1, image_); })) {
      digest_.add(split, 0, std::as_bytes(std::span(image_)));
    }
    labels_.resize(pixels_);
    for (std::size_t set = 0; set < schema.label_sets.size(); ++set) {
      if (attempt([&] { reader_.read_labels(split, set, index, 1, labels_); })) {
        digest_.add(split, 1 + set, std::as_bytes(std::span(labels_)));
        note(split, schema.label_sets[set].name, sample, label_fault(schema, set, labels_));
        auto& counts = report_.label_pixels[set];
        const std::int64_t ignored_before = counts.back();
        for (const std::uint8_t label : labels_) {
          ++counts[std::min<std::size_t>(label, counts.size() - 1)];
        }
        const bool is_empty = counts.back() - ignored_before == static_cast<std::int64_t>(pixels_);
        check_flag(split, "seg", schema.label_sets[set].name, index, sample, is_empty);
      }
    }
    const std::int64_t valid_before = report_.valid_depth_pixels;
    if (schema.depth_type == DepthType::float32) {
      verify_depth(split, index, depth_float_);
      note(split, "depth", sample, depth_fault(schema, depth_float_));
    } else {
      verify_depth(split, index, depth_uint16_);
    }
    check_flag(split, "depth", "depth", index, sample, report_.valid_depth_pixels == valid_before);
    if (schema.has_normals()) {
      verify_normals(split, index, sample);
    }
  }

  void verify_normals(Split split, std::int64_t index, const std::string& sample) {
    normals_.resize(3 * pixels_);
    if (!attempt([&] { reader_.read_normals(split, index, 1, normals_); })) {
      return;
    }
    digest_.add(split, normals_data_set(report_.schema), std::as_bytes(std::span(normals_)));
    note(split, "normals", sample, normals_fault(report_.schema, normals_));
    const std::int64_t valid_before = report_.valid_normal_pixels;
    for (std::size_t i = 0; i < normals_.size(); i += 3) {
      report_.valid_normal_pixels += normals_[i] != 0 || normals_[i + 1] != 0 || normals_[i + 2] != 0 ? 1 : 0;
    }
    check_flag(split, "normals", "normals", index, sample, report_.valid_normal_pixels == valid_before);
  }

  template <typename T>
  void verify_depth(Split split, std::int64_t index, std::vector<T>& depth) {
    depth.assign(pixels_, T{0});
    if (!attempt([&] { reader_.read_depth(split, index, 1, std::span<T>(depth)); })) {
      depth.assign(pixels_, T{0});
      return;
    }
    digest_.add(split, depth_data_set(report_.schema), std::as_bytes(std::span(depth)));
    for (const T stored : depth) {
      if (stored > T{0}) {
        const double value = static_cast<double>(stored) * report_.schema.depth_scale;
        report_.depth_min = std::min(report_.depth_min, value);
        report_.depth_max = std::max(report_.depth_max, value);
        ++report_.valid_depth_pixels;
      }
    }
  }

  void check_digest() {
    const Schema& schema = report_.schema;
    if (!is_readable_) {
      return;  // the faults above say more
    }
    if (report_.depth_max != schema.depth_max) {
      report_.faults.push_back(
          fmt::format("attribute depth_max is {}, the largest depth is {}", schema.depth_max, report_.depth_max));
    }
    const std::string found = digest_.hex(schema);
    if (found != schema.content_digest) {
      report_.faults.push_back(fmt::format(
          "content digest is {}, names, attributes and samples give {}: something was changed after packing",
          schema.content_digest, found));
    } else if (std::string fault = reader_.fault_of_version(); !fault.empty()) {
      report_.faults.push_back(std::move(fault));
    }
  }

  Reader reader_;
  ContentDigest digest_;
  Report report_;
  std::set<std::string> names_;
  std::size_t pixels_ = 0;
  bool is_readable_ = true;
  std::vector<std::uint8_t> image_, labels_;
  std::vector<float> depth_float_;
  std::vector<std::uint16_t> depth_uint16_;
  std::vector<std::int16_t> normals_;
  std::map<std::string, std::vector<std::uint8_t>> flags_;  ///< of the split at hand, by task
  std::map<std::string, std::int64_t> num_without_;         ///< samples without labels of a task
};

}  // namespace

std::string no_labels_note(Split split, const std::string& label_set) {
  return fmt::format("the {} split has no pixel with a class in {}", split_name(split), label_set);
}

std::string no_depth_note(Split split) {
  return fmt::format("the {} split has no pixel with a valid depth", split_name(split));
}

std::string no_normals_note(Split split) {
  return fmt::format("the {} split has no pixel with a valid normal", split_name(split));
}

Report verify(const std::filesystem::path& path, const std::function<void(std::int64_t, std::int64_t)>& progress) {
  return Verifier(path).run(progress);
}

}  // namespace xtasc::pack
