#include "events/event_file.hpp"

#include <events/event.pb.h>

#include <boost/crc.hpp>
#include <chrono>
#include <cstring>

namespace xtasc::events {

namespace {

/// Castagnoli's polynomial, https://www.rfc-editor.org/rfc/rfc3720#appendix-B.4
using Crc32c = boost::crc_optimal<32, 0x1EDC6F41, 0xFFFFFFFF, 0xFFFFFFFF, true, true>;

constexpr std::size_t kLengthBytes = 8, kCrcBytes = 4;

/// Of the machine's bytes, which are little-endian, as the format's are.
template <typename T>
std::string bytes_of(T value) {
  std::string bytes(sizeof(T), '\0');
  std::memcpy(bytes.data(), &value, sizeof(T));
  return bytes;
}
template <typename T>
T value_of(std::string_view bytes) {
  T value{};
  std::memcpy(&value, bytes.data(), sizeof(T));
  return value;
}

/// Length, its checksum, the message, its checksum.
/// Source: https://github.com/tensorflow/tensorflow/blob/v2.20.0/tensorflow/core/lib/io/record_writer.h
std::string framed(wire::Event event) {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  event.set_wall_time(std::chrono::duration<double>(now).count());
  const std::string message = event.SerializeAsString();
  const std::string length = bytes_of<std::uint64_t>(message.size());
  return length + bytes_of(masked_crc(length)) + message + bytes_of(masked_crc(message));
}

wire::Summary::Value* add_value(wire::Event& event, std::string_view tag) {
  wire::Summary::Value* value = event.mutable_summary()->add_value();
  value->set_tag(std::string(tag));
  return value;
}

}  // namespace

std::uint32_t masked_crc(std::string_view bytes) {
  Crc32c crc;
  crc.process_bytes(bytes.data(), bytes.size());
  const std::uint32_t sum = crc.checksum();
  return ((sum >> 15) | (sum << 17)) + 0xA282EAD8U;
}

std::string numbers_record(std::int64_t step, const std::vector<Number>& numbers) {
  wire::Event event;
  event.set_step(step);
  for (const Number& number : numbers) {
    add_value(event, number.tag)->set_simple_value(static_cast<float>(number.value));
  }
  return framed(std::move(event));
}

std::string text_record(std::int64_t step, std::string_view tag, std::string_view text) {
  wire::Event event;
  event.set_step(step);
  wire::Summary::Value* value = add_value(event, tag);
  value->mutable_metadata()->mutable_plugin_data()->set_plugin_name("text");
  value->mutable_metadata()->set_data_class(wire::DATA_CLASS_TENSOR);
  wire::Tensor* tensor = value->mutable_tensor();
  tensor->set_dtype(wire::DT_STRING);
  tensor->mutable_tensor_shape();
  tensor->add_string_val(std::string(text));
  return framed(std::move(event));
}

std::string picture_record(std::int64_t step, std::string_view tag, std::span<const std::byte> png, std::int64_t height,
                           std::int64_t width) {
  wire::Event event;
  event.set_step(step);
  wire::Summary::Image* image = add_value(event, tag)->mutable_image();
  image->set_height(static_cast<std::int32_t>(height));
  image->set_width(static_cast<std::int32_t>(width));
  image->set_colorspace(3);
  image->set_encoded_image_string(png.data(), png.size());
  return framed(std::move(event));
}

std::string version_record() {
  wire::Event event;
  event.set_file_version("brain.Event:2");
  return framed(std::move(event));
}

Records records_of(std::string_view file) {
  Records found;
  constexpr std::size_t kHead = kLengthBytes + kCrcBytes;
  while (file.size() - found.end >= kHead) {
    const std::string_view rest = file.substr(found.end);
    const auto length = value_of<std::uint64_t>(rest);
    if (value_of<std::uint32_t>(rest.substr(kLengthBytes)) != masked_crc(rest.substr(0, kLengthBytes))) {
      found.is_damaged = true;
      break;
    }
    if (rest.size() - kHead < length || rest.size() - kHead - length < kCrcBytes) {
      break;  // cut short
    }
    const std::string_view message = rest.substr(kHead, length);
    wire::Event event;
    if (value_of<std::uint32_t>(rest.substr(kHead + length)) != masked_crc(message) ||
        !event.ParseFromArray(message.data(), static_cast<int>(message.size()))) {
      found.is_damaged = true;
      break;
    }
    found.end += kHead + length + kCrcBytes;
    found.records.push_back({.end = found.end,
                             .step = event.step(),
                             .tag = event.summary().value_size() > 0 ? event.summary().value(0).tag() : ""});
  }
  return found;
}

}  // namespace xtasc::events
