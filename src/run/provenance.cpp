#include "run/provenance.hpp"

#include <set>
#include <string_view>
#include <utility>

#include "core/error.hpp"
#include "core/json.hpp"
#include "io/atomic_file.hpp"
#include "io/checksum.hpp"

namespace xtasc::run {

namespace {

using json_fields::Json;

std::vector<std::string> texts(const Json& json, const std::string& key) {
  const Json& values = json_fields::field(json, key);
  check(values.is_array(), "the field \"{}\" is {}, an array of texts is needed", key, values.type_name());
  std::vector<std::string> result;
  for (const Json& value : values) {
    check(value.is_string(), "the field \"{}\" holds {}, texts are needed", key, value.type_name());
    result.push_back(value.get<std::string>());
  }
  return result;
}

std::map<std::string, std::string> named_texts(const Json& json, const std::string& key) {
  const Json& values = json_fields::field(json, key);
  check(values.is_object(), "the field \"{}\" is {}, an object of texts is needed", key, values.type_name());
  std::map<std::string, std::string> result;
  for (const auto& [name, value] : values.items()) {
    check(value.is_string(), "the field \"{}.{}\" is {}, a text is needed", key, name, value.type_name());
    result.emplace(name, value.get<std::string>());
  }
  return result;
}

/// The field `key`, or `absent` in a file of a version that had none.
template <typename T>
T get_or(const Json& json, const std::string& key, T absent) {
  return json.contains(key) ? json_fields::get<T>(json, key) : std::move(absent);
}

Json to_json(const Start& start) {
  return Json{{"time", start.time},
              {"version", start.version},
              {"commit", start.commit},
              {"diff_hash", start.diff_hash},
              {"build_type", start.build_type},
              {"compiler", start.compiler},
              {"libraries", start.libraries},
              {"hosts", start.hosts},
              {"devices", start.devices},
              {"world_size", start.world_size},
              {"pack_path", start.pack_path},
              {"command_line", start.command_line},
              {"epoch", start.epoch},
              {"step", start.step}};
}

Start start_from_json(const Json& json) {
  using json_fields::get;
  check(json.is_object(), "the field \"starts\" holds {}, objects are needed", json.type_name());
  Start start;
  start.time = get<std::string>(json, "time");
  start.version = get<std::string>(json, "version");
  start.commit = get<std::string>(json, "commit");
  start.diff_hash = get<std::string>(json, "diff_hash");
  start.build_type = get<std::string>(json, "build_type");
  start.compiler = get<std::string>(json, "compiler");
  start.libraries = named_texts(json, "libraries");
  start.hosts = texts(json, "hosts");
  start.devices = texts(json, "devices");
  start.world_size = get<int>(json, "world_size");
  start.pack_path = get<std::string>(json, "pack_path");
  start.command_line = texts(json, "command_line");
  start.epoch = get<std::int64_t>(json, "epoch");
  start.step = get<std::int64_t>(json, "step");
  return start;
}

constexpr const char* kDigest = "digest";

/// Of all fields but the digest itself.
std::string json_digest(Json json) {
  json.erase(kDigest);
  return io::digest_hex(json.dump());
}

Provenance from_json(const Json& json) {
  using json_fields::get;
  Provenance result;
  result.version = get<std::string>(json, "version");
  result.commit = get<std::string>(json, "commit");
  result.diff_hash = get<std::string>(json, "diff_hash");
  result.build_type = get<std::string>(json, "build_type");
  result.compiler = get<std::string>(json, "compiler");
  result.libraries = named_texts(json, "libraries");
  result.hosts = texts(json, "hosts");
  result.devices = texts(json, "devices");
  result.world_size = get<int>(json, "world_size");
  result.precision = get<std::string>(json, "precision");
  result.pack_path = get<std::string>(json, "pack_path");
  result.pack_digest = get<std::string>(json, "pack_digest");
  result.pack_dataset = get<std::string>(json, "pack_dataset");
  result.pack_height = get<std::int64_t>(json, "pack_height");
  result.pack_width = get<std::int64_t>(json, "pack_width");
  result.pack_num_classes = get<std::int64_t>(json, "pack_num_classes");
  result.pack_depth_kind = get<std::string>(json, "pack_depth_kind");
  result.pack_orientation = json.contains("pack_orientation") ? get<std::string>(json, "pack_orientation") : "";
  result.pack_resize = json.contains("pack_resize") ? get<std::string>(json, "pack_resize") : "";
  result.command_line = texts(json, "command_line");
  result.started = get<std::string>(json, "started");
  result.finished = get<std::string>(json, "finished");
  result.resumed = texts(json, "resumed");
  result.num_parameters = get<std::int64_t>(json, "num_parameters");
  result.pack_bytes = get_or<std::int64_t>(json, "pack_bytes", 0);
  result.pack_modified = get_or<std::int64_t>(json, "pack_modified", 0);
  if (json.contains("teacher_weights")) {
    result.teacher_weights = named_texts(json, "teacher_weights");
    result.teacher_recipes = named_texts(json, "teacher_recipes");
  }
  if (json.contains("starts")) {
    const Json& starts = json_fields::field(json, "starts");
    check(starts.is_array(), "the field \"starts\" is {}, an array is needed", starts.type_name());
    for (const Json& start : starts) {
      result.starts.push_back(start_from_json(start));
    }
  }
  return result;
}

std::string build_text(const Start& start) {
  return fmt::format("{} ({}{})", start.version, start.commit.substr(0, 12),
                     start.diff_hash.empty() ? "" : ", changed: " + start.diff_hash.substr(0, 8));
}

std::string joined(const std::map<std::string, std::string>& values) {
  std::vector<std::string> parts;
  for (const auto& [name, value] : values) {
    parts.push_back(name + " " + value);
  }
  return fmt::format("{}", fmt::join(parts, ", "));
}

}  // namespace

Start start_of(const Provenance& provenance) {
  return {.time = provenance.started,
          .version = provenance.version,
          .commit = provenance.commit,
          .diff_hash = provenance.diff_hash,
          .build_type = provenance.build_type,
          .compiler = provenance.compiler,
          .libraries = provenance.libraries,
          .hosts = provenance.hosts,
          .devices = provenance.devices,
          .world_size = provenance.world_size,
          .pack_path = provenance.pack_path,
          .command_line = provenance.command_line};
}

std::string difference_of_last_starts(const Provenance& provenance) {
  const std::size_t count = provenance.starts.size();
  if (count < 2) {
    return {};
  }
  const Start& before = provenance.starts[count - 2];
  const Start& now = provenance.starts[count - 1];
  std::vector<std::string> differences;
  const auto compare = [&](const std::string& what, const std::string& a, const std::string& b) {
    if (a != b) {
      differences.push_back(fmt::format("{} {} instead of {}", what, b, a));
    }
  };
  compare("version", build_text(before), build_text(now));
  compare("compiler", before.compiler, now.compiler);
  compare("libraries", joined(before.libraries), joined(now.libraries));
  compare("ranks", std::to_string(before.world_size), std::to_string(now.world_size));
  const auto distinct = [](const std::vector<std::string>& devices) {
    return fmt::format("{}", fmt::join(std::set<std::string>(devices.begin(), devices.end()), ", "));
  };
  compare("devices", distinct(before.devices), distinct(now.devices));
  return fmt::format("{}", fmt::join(differences, "; "));
}

std::string ranks_text(const Provenance& provenance) {
  std::vector<int> sizes = {provenance.world_size};
  for (const Start& start : provenance.starts) {
    if (start.world_size != sizes.back()) {
      sizes.push_back(start.world_size);
    }
  }
  return fmt::format("{}", fmt::join(sizes, ", then "));
}

void write_provenance(const std::filesystem::path& path, const Provenance& provenance) {
  Json starts = Json::array();
  for (const Start& start : provenance.starts) {
    starts.push_back(to_json(start));
  }
  Json json{{"version", provenance.version},
            {"commit", provenance.commit},
            {"diff_hash", provenance.diff_hash},
            {"build_type", provenance.build_type},
            {"compiler", provenance.compiler},
            {"libraries", provenance.libraries},
            {"hosts", provenance.hosts},
            {"devices", provenance.devices},
            {"world_size", provenance.world_size},
            {"precision", provenance.precision},
            {"pack_path", provenance.pack_path},
            {"pack_digest", provenance.pack_digest},
            {"pack_dataset", provenance.pack_dataset},
            {"pack_height", provenance.pack_height},
            {"pack_width", provenance.pack_width},
            {"pack_num_classes", provenance.pack_num_classes},
            {"pack_depth_kind", provenance.pack_depth_kind},
            {"pack_orientation", provenance.pack_orientation},
            {"pack_resize", provenance.pack_resize},
            {"command_line", provenance.command_line},
            {"started", provenance.started},
            {"finished", provenance.finished},
            {"resumed", provenance.resumed},
            {"num_parameters", provenance.num_parameters},
            {"pack_bytes", provenance.pack_bytes},
            {"pack_modified", provenance.pack_modified},
            {"starts", std::move(starts)}};
  if (!provenance.teacher_weights.empty()) {
    json["teacher_weights"] = provenance.teacher_weights;
    json["teacher_recipes"] = provenance.teacher_recipes;
  }
  // File names need not be UTF-8, JSON must be: such bytes are replaced rather than the run ended.
  Json written = Json::parse(json.dump(-1, ' ', false, Json::error_handler_t::replace));
  written[kDigest] = json_digest(written);
  io::write_file_atomically(path, std::string_view(written.dump(2) + '\n'));
}

Provenance read_provenance(const std::filesystem::path& path) {
  const std::string text = io::read_file(path);
  try {
    const Json json = json_fields::parse(text);
    // Versions that recorded no starts wrote no digest.
    check(!json.contains("starts") ||
              (json.contains(kDigest) && json_fields::get<std::string>(json, kDigest) == json_digest(json)),
          "its digest is not that of its content: it was changed after it was written");
    return from_json(json);
  } catch (const Error& error) {
    fail("{}: {}", path.string(), error.what());
  }
}

}  // namespace xtasc::run
