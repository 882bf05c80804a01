#include "train/checkpoint_folder.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <nlohmann/json.hpp>

#include "io/atomic_file.hpp"
#include "io/checksum.hpp"

namespace xtasc::train {

namespace fs = std::filesystem;
using nlohmann::json;

std::string digest_of(json index) {
  index.erase(kDigest);
  return io::digest_hex(index.dump());
}

OpenFolder::OpenFolder(const fs::path& path)
    : path_(path), descriptor_(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) {
  check(descriptor_ >= 0 || errno != ENOENT, "no checkpoint at {}", path.string());
  check(descriptor_ >= 0, "cannot open the checkpoint {}: {}", path.string(), errno_text(errno));
}

OpenFolder::~OpenFolder() {
  ::close(descriptor_);
}

json OpenFolder::index() const {
  const fs::path path = path_ / kIndex;
  json index;
  try {
    index = json::parse(read(kIndex));
    const int version = index.at("version").get<int>();
    if (index.at("format") != "xtasc-checkpoint" || (version != 1 && version != kVersion)) {
      fail_damaged("{} is damaged, or of another version than 1 and {}", path.string(), kVersion);
    }
    if (version != 1 && index.at(kDigest).get<std::string>() != digest_of(index)) {
      fail_damaged("{} is damaged: its own checksum is not that of its content", path.string());
    }
  } catch (const json::exception&) {
    fail_damaged("{} is damaged: it is not the JSON that was written", path.string());
  }
  return index;
}

std::string OpenFolder::file(const json& index, const std::string& name) const {
  std::string bytes = read(name);
  bool is_whole = false;
  try {
    const auto& entry = index.at("files").at(name);
    is_whole = bytes.size() == entry.at("bytes").get<std::size_t>() &&
               io::digest_hex(bytes) == entry.at(kDigest).get<std::string>();
  } catch (const json::exception&) {
    fail_damaged("{} is damaged: it says nothing of {}", (path_ / kIndex).string(), name);
  }
  if (!is_whole) {
    fail_damaged("{} is damaged: its checksum is not the one in {}", (path_ / name).string(), kIndex);
  }
  return bytes;
}

bool OpenFolder::is_in_place() const {
  struct stat held {};
  struct stat found {};
  return ::fstat(descriptor_, &held) == 0 && ::stat(path_.c_str(), &found) == 0 && held.st_dev == found.st_dev &&
         held.st_ino == found.st_ino;
}

std::string OpenFolder::read(const std::string& name) const {
  if (::faccessat(descriptor_, name.c_str(), F_OK, 0) != 0 && errno == ENOENT) {
    fail_damaged("{} is missing", (path_ / name).string());
  }
  return io::read_file_at(descriptor_, name, path_ / name);
}

}  // namespace xtasc::train
