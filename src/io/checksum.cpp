#include "io/checksum.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>
#include <xxhash.h>

#include <cerrno>
#include <new>
#include <vector>

#include "core/error.hpp"

namespace xtasc::io {

namespace {

std::string hex_text(XXH128_hash_t hash) {
  return fmt::format("{:016x}{:016x}", hash.high64, hash.low64);
}

/// A file open for reading.
class ReadOnlyFile {
 public:
  explicit ReadOnlyFile(const std::filesystem::path& path)
      : path_(path), descriptor_(::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
    check(descriptor_ >= 0, "cannot read {}: {}", path.string(), errno_text(errno));
  }
  ~ReadOnlyFile() { ::close(descriptor_); }
  ReadOnlyFile(const ReadOnlyFile&) = delete;
  ReadOnlyFile& operator=(const ReadOnlyFile&) = delete;

  /// \returns how many bytes came; 0 at the end
  [[nodiscard]] std::size_t read(std::span<std::byte> out) const {
    ssize_t count = 0;
    do {
      count = ::read(descriptor_, out.data(), out.size());
    } while (count < 0 && errno == EINTR);
    check(count >= 0, "cannot read {}: {}", path_.string(), errno_text(errno));
    return static_cast<std::size_t>(count);
  }

 private:
  std::filesystem::path path_;
  int descriptor_;
};

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
  const ReadOnlyFile file(path);
  std::vector<std::byte> block(std::size_t{1} << 20);
  Digest digest;
  while (const std::size_t count = file.read(block)) {
    digest.add(std::span(block).first(count));
  }
  return digest.hex();
}

}  // namespace xtasc::io
