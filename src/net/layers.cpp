#include "net/layers.hpp"

namespace xtasc::net {

std::string_view name(Part part) {
  switch (part) {
    case Part::encoder:
      return "encoder";
    case Part::decoders:
      return "decoders";
    case Part::transfer_nets:
      break;
  }
  return "transfer nets";
}

double& PartWork::of(Part part) {
  switch (part) {
    case Part::encoder:
      return encoder;
    case Part::decoders:
      return decoders;
    case Part::transfer_nets:
      break;
  }
  return transfer_nets;
}

std::array<std::int64_t, 2> Convolution::output_size(std::int64_t height, std::int64_t width) const {
  return is_of_mean ? std::array<std::int64_t, 2>{1, 1} : std::array{height / shrunk, width / shrunk};
}

std::int64_t Convolution::num_parameters() const {
  return in * out * kernel * kernel + (has_bias ? out : 0) + (norm.empty() ? 0 : 2 * out);
}

double Convolution::multiply_adds(std::int64_t height, std::int64_t width) const {
  const auto [rows, columns] = output_size(height, width);
  return static_cast<double>(in * out * kernel * kernel * uses) * static_cast<double>(rows * columns);
}

}  // namespace xtasc::net
