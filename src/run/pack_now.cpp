#include "run/pack_now.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <optional>
#include <system_error>

#include "core/error.hpp"
#include "pack/digest.hpp"
#include "pack/reader.hpp"

namespace fs = std::filesystem;

namespace xtasc::run {

namespace {

std::optional<FileStamp> stamp_if_there(const fs::path& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) {
    return std::nullopt;
  }
  constexpr std::int64_t kNanoseconds = 1'000'000'000;
  return FileStamp{.bytes = static_cast<std::int64_t>(status.st_size),
                   .modified = static_cast<std::int64_t>(status.st_mtim.tv_sec) * kNanoseconds +
                               static_cast<std::int64_t>(status.st_mtim.tv_nsec)};
}

FileStamp recorded_stamp(const Provenance& recorded) {
  return {.bytes = recorded.pack_bytes, .modified = recorded.pack_modified};
}

std::string runs_text(std::size_t count) {
  return fmt::format("{} run{}", count, count == 1 ? " was" : "s were");
}

/// What is to be said of one pack and the runs that were trained on it; empty: nothing.
std::string warning_of(const fs::path& path, const std::vector<const Provenance*>& trained,
                       const std::function<void()>& on_part) {
  const PackNow now = pack_now(path, trained, on_part);
  if (!now.is_there) {
    return {};
  }
  std::map<std::string, std::size_t> runs_by_digest;
  for (const Provenance* recorded : trained) {
    ++runs_by_digest[recorded->pack_digest];
  }
  if (now.is_edited()) {
    return fmt::format("{}; {} trained on {}", edited_text(path, now), runs_text(runs_by_digest[now.digest]),
                       now.digest);
  }
  if (!now.fault.empty()) {
    return fmt::format("data.pack {} cannot be read any more: {}; {} trained on it", path.string(), now.fault,
                       runs_text(trained.size()));
  }
  std::vector<std::string> others;
  for (const auto& [digest, count] : runs_by_digest) {
    if (digest != now.digest) {
      others.push_back(fmt::format("{} trained on {}", runs_text(count), digest));
    }
  }
  return others.empty() ? ""
                        : fmt::format("data.pack {} holds another pack by now (digest {}): {}", path.string(),
                                      now.digest, fmt::join(others, ", "));
}

}  // namespace

FileStamp stamp_of(const fs::path& path) {
  const auto stamp = stamp_if_there(path);
  check(stamp.has_value(), "cannot look at {}: {}", path.string(), errno_text(errno));
  return *stamp;
}

bool is_untouched(const Provenance& recorded, const fs::path& pack) {
  return recorded_stamp(recorded) != FileStamp{} && stamp_if_there(pack) == recorded_stamp(recorded);
}

const std::string& last_pack_path(const Provenance& recorded) {
  const bool is_told = !recorded.starts.empty() && !recorded.starts.back().pack_path.empty();
  return is_told ? recorded.starts.back().pack_path : recorded.pack_path;
}

bool is_same_place(const fs::path& a, const fs::path& b) {
  std::error_code error;
  return a == b || (fs::equivalent(a, b, error) && !error);
}

PackNow pack_now(const fs::path& path, std::span<const Provenance* const> trained,
                 const std::function<void()>& on_part) {
  PackNow now;
  std::error_code ignored;
  now.is_there = fs::exists(path, ignored);
  if (!now.is_there) {
    return now;
  }
  try {
    pack::Reader reader(path);
    if (on_part) {
      reader.set_on_part(on_part);
    }
    now.digest = reader.schema().content_digest;
    bool is_touched = false;
    for (const Provenance* recorded : trained) {
      const bool says_something = recorded->pack_digest == now.digest && recorded_stamp(*recorded) != FileStamp{};
      if (says_something && is_untouched(*recorded, path)) {
        return now;
      }
      is_touched = is_touched || says_something;
    }
    if (is_touched) {
      now.contents = pack::content_digest(reader);
    }
  } catch (const Error& error) {
    now.fault = error.what();
  }
  return now;
}

std::string edited_text(const fs::path& path, const PackNow& now) {
  return fmt::format("data.pack {} was edited after it was packed: its header says {}, its contents are {}",
                     path.string(), now.digest, now.contents);
}

std::vector<std::string> pack_warnings(std::span<const RunSummary> runs,
                                       const std::function<void(const fs::path& pack)>& on_part) {
  const auto begin = [&on_part](const fs::path& pack) {
    if (on_part) {
      on_part(pack);
    }
  };
  std::vector<std::pair<fs::path, std::vector<const Provenance*>>> packs;
  for (const RunSummary& run : runs) {
    const Provenance& recorded = run.provenance;
    const std::string& path = last_pack_path(recorded);
    if (path.empty() || recorded.pack_digest.empty()) {
      continue;
    }
    begin(path);
    auto pack = std::ranges::find_if(packs, [&](const auto& known) { return is_same_place(known.first, path); });
    if (pack == packs.end()) {
      packs.push_back({path, {}});
      pack = std::prev(packs.end());
    }
    pack->second.push_back(&recorded);
  }
  std::vector<std::string> warnings;
  for (const auto& [path, trained] : packs) {
    begin(path);
    if (std::string warning = warning_of(path, trained, [&, pack = path] { begin(pack); }); !warning.empty()) {
      warnings.push_back(std::move(warning));
    }
  }
  return warnings;
}

}  // namespace xtasc::run
