#include "io/checksum.hpp"

#include <fmt/format.h>
#include <libdeflate.h>
#include <unistd.h>
#include <xxhash.h>

#include <cerrno>
#include <new>
#include <vector>

#include "core/error.hpp"
#include "io/file.hpp"

namespace xtasc::io {

namespace {

std::string hex_text(XXH128_hash_t hash) {
  return fmt::format("{:016x}{:016x}", hash.high64, hash.low64);
}

}  // namespace

struct Digest::Impl {
  Impl() : state(XXH3_createState()) {
    if (state == nullptr) {
      throw std::bad_alloc();
    }
    XXH3_128bits_reset(state);
  }
  ~Impl() { XXH3_freeState(state); }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  XXH3_state_t* state;
};

Digest::Digest() : impl_(std::make_unique<Impl>()) {}
Digest::~Digest() = default;

void Digest::add(std::span<const std::byte> bytes) {
  XXH3_128bits_update(impl_->state, bytes.data(), bytes.size());
}

void Digest::add_text(std::string_view text) {
  const std::uint64_t size = text.size();
  add(std::as_bytes(std::span(&size, 1)));
  add(std::as_bytes(std::span(text)));
}

std::string Digest::hex() const {
  return hex_text(XXH3_128bits_digest(impl_->state));
}

std::uint32_t crc32(std::string_view bytes) {
  return libdeflate_crc32(0, bytes.data(), bytes.size());
}

std::string digest_hex(std::span<const std::byte> bytes) {
  return hex_text(XXH3_128bits(bytes.data(), bytes.size()));
}

std::string digest_hex(std::string_view text) {
  return digest_hex(std::as_bytes(std::span(text)));
}

bool is_digest(std::string_view text) {
  constexpr std::size_t kDigits = 32;
  return text.size() == kDigits && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

std::string file_digest(const std::filesystem::path& path) {
  const Descriptor file = open_file(path);
  std::vector<std::byte> block(std::size_t{1} << 20);
  Digest digest;
  while (true) {
    const ssize_t count = ::read(file.get(), block.data(), block.size());
    if (count < 0 && errno == EINTR) {
      continue;
    }
    check(count >= 0, "cannot read '{}': {}", path.string(), errno_text(errno));
    if (count == 0) {
      return digest.hex();
    }
    digest.add(std::span(block).first(static_cast<std::size_t>(count)));
  }
}

}  // namespace xtasc::io
