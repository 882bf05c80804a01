#include "resize.hpp"

#include <opencv2/core.hpp>
#include <opencv2/imgproc.hpp>

namespace xtasc::preprocess {

std::vector<std::uint8_t> resize_area(std::span<const std::uint8_t> rgb, Size from, Size to) {
  std::vector<std::uint8_t> out(static_cast<std::size_t>(to.height * to.width * 3));
  const cv::Mat source(static_cast<int>(from.height), static_cast<int>(from.width), CV_8UC3,
                       const_cast<std::uint8_t*>(rgb.data()));
  cv::Mat target(static_cast<int>(to.height), static_cast<int>(to.width), CV_8UC3, out.data());
  cv::resize(source, target, target.size(), 0, 0, cv::INTER_AREA);
  return out;
}

}  // namespace xtasc::preprocess
