#include "preprocess/resize.hpp"

#include <fmt/format.h>

#include <opencv2/core.hpp>
#include <opencv2/imgproc.hpp>

#include "preprocess/raw_dataset.hpp"

namespace xtasc::preprocess {

io::Selection nearest_selection(Size from, Size to) {
  io::Selection selection;
  if (from == to) {
    return selection;
  }
  for (std::int64_t row = 0; row < to.height; ++row) {
    selection.rows.push_back(nearest_source(row, from.height, to.height));
  }
  for (std::int64_t column = 0; column < to.width; ++column) {
    selection.columns.push_back(nearest_source(column, from.width, to.width));
  }
  return selection;
}

std::vector<std::uint8_t> resize_area(std::span<const std::uint8_t> rgb, Size from, Size to) {
  std::vector<std::uint8_t> out(static_cast<std::size_t>(to.height * to.width * 3));
  const cv::Mat source(static_cast<int>(from.height), static_cast<int>(from.width), CV_8UC3,
                       const_cast<std::uint8_t*>(rgb.data()));
  cv::Mat target(static_cast<int>(to.height), static_cast<int>(to.width), CV_8UC3, out.data());
  cv::resize(source, target, target.size(), 0, 0, cv::INTER_AREA);
  return out;
}

void resize_sample(RawSample& sample, const Resize& resize) {
  const Size from{sample.height, sample.width};
  if (from == resize.to) {
    return;
  }
  const auto resize_plane = [&]<typename T>(std::vector<T>& values, std::int64_t channels) {
    values = resize_nearest(std::span<const T>(values), from, resize.to, channels);
  };
  if (resize.image_filter == ImageFilter::area) {
    sample.image = resize_area(sample.image, from, resize.to);
  } else {
    resize_plane(sample.image, 3);
  }
  for (auto& labels : sample.labels) {
    resize_plane(labels, 1);
  }
  std::visit([&](auto& depth) { resize_plane(depth, 1); }, sample.depth);
  if (!sample.normals.empty()) {
    resize_plane(sample.normals, 3);
  }
  sample.height = resize.to.height;
  sample.width = resize.to.width;
}

void note_remark(const std::string& remark, const std::string& file, RawSample& sample) {
  if (!remark.empty()) {
    sample.remark = fmt::format("'{}': {}", file, remark);
  }
}

void leave_out(RawSample& sample, std::string_view key, const pack::Schema& schema) {
  const auto pixels = static_cast<std::size_t>(sample.height * sample.width);
  if (key == "seg") {
    sample.labels.assign(schema.label_sets.size(), std::vector<std::uint8_t>(pixels, pack::kIgnoreLabel));
  } else if (key == "depth") {
    if (schema.depth_type == pack::DepthType::float32) {
      sample.depth = std::vector<float>(pixels, 0.0F);
    } else {
      sample.depth = std::vector<std::uint16_t>(pixels, std::uint16_t{0});
    }
  } else {
    sample.normals.assign(3 * pixels, std::int16_t{0});
  }
  sample.without.emplace_back(key);
}

}  // namespace xtasc::preprocess
