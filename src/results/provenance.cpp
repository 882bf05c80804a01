#include "results/provenance.hpp"

#include <array>
#include <cstdlib>
#include <ctime>
#include <string_view>

#include "core/error.hpp"
#include "io/atomic_file.hpp"
#include "results/json_fields.hpp"

namespace xtasc::results {

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
  result.command_line = texts(json, "command_line");
  result.started = get<std::string>(json, "started");
  result.finished = get<std::string>(json, "finished");
  result.resumed = texts(json, "resumed");
  result.num_parameters = get<std::int64_t>(json, "num_parameters");
  return result;
}

}  // namespace

void write_provenance(const std::filesystem::path& path, const Provenance& provenance) {
  const Json json{{"version", provenance.version},
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
                  {"command_line", provenance.command_line},
                  {"started", provenance.started},
                  {"finished", provenance.finished},
                  {"resumed", provenance.resumed},
                  {"num_parameters", provenance.num_parameters}};
  // File names need not be UTF-8, JSON must be: such bytes are replaced rather than the run ended.
  const std::string text = json.dump(2, ' ', false, Json::error_handler_t::replace) + '\n';
  io::write_file_atomically(path, std::string_view(text));
}

Provenance read_provenance(const std::filesystem::path& path) {
  const std::string text = io::read_file(path);
  try {
    return from_json(json_fields::parse(text));
  } catch (const Error& error) {
    fail("{}: {}", path.string(), error.what());
  }
}

std::string utc_now() {
  std::time_t now = std::time(nullptr);
  if (const char* fixed = std::getenv("SOURCE_DATE_EPOCH"); fixed != nullptr && *fixed != '\0') {
    char* end = nullptr;
    const long long seconds = std::strtoll(fixed, &end, 10);
    check(*end == '\0' && seconds >= 0, "SOURCE_DATE_EPOCH is \"{}\", a number of seconds since 1970 is needed", fixed);
    now = static_cast<std::time_t>(seconds);
  }
  std::tm utc{};
  std::array<char, 32> text{};
  check(::gmtime_r(&now, &utc) != nullptr && std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &utc) != 0,
        "the time {} s since 1970 has no date", now);
  return text.data();
}

}  // namespace xtasc::results
