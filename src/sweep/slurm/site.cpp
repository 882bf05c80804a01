#include "sweep/slurm/site.hpp"

#include <algorithm>
#include <cctype>
#include <functional>
#include <limits>
#include <optional>
#include <sstream>
#include <string_view>

#include "config/field_list.hpp"
#include "core/error.hpp"
#include "core/user_path.hpp"
#include "io/file.hpp"

namespace xtasc::sweep {

namespace {

using config::Value;

bool is_one_line(const std::string& text) {
  return std::none_of(text.begin(), text.end(), [](unsigned char c) { return c < 0x20 || c == 0x7F; });
}

/// Letters, digits and these signs: goes into a directive as it stands.
bool is_word(const std::string& text, std::string_view signs) {
  return std::all_of(text.begin(), text.end(), [signs](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || signs.find(c) != std::string_view::npos;
  });
}

bool is_assignment(const std::string& text) {
  const auto name = text.substr(0, text.find('='));
  return text.find('=') != std::string::npos && !name.empty() && is_word(name, "_") &&
         std::isdigit(static_cast<unsigned char>(name.front())) == 0 && is_one_line(text);
}

bool is_long_option(const std::string& text) {
  return text.starts_with("--") && text.size() > 2 && is_one_line(text);
}

/// As fill_in_home() does with a path, with what stands behind the first "=", or with all of the text.
std::string fill_in_value(std::string& text) {
  const auto begin = text.find('=') + 1;  // npos + 1 is 0
  std::string value = text.substr(begin);
  std::string fault = fill_in_home(value);
  text.replace(begin, std::string::npos, value);
  return fault;
}

/// Seconds of a time limit in one of sbatch's forms: M, M:S, H:M:S, D-H, D-H:M, D-H:M:S. nullopt: it is in none.
std::optional<std::int64_t> seconds_of_limit(const std::string& text) {
  const auto dash = text.find('-');
  const bool has_days = dash != std::string::npos;
  std::vector<std::int64_t> parts;
  std::istringstream stream(has_days ? text.substr(dash + 1) : text);
  for (std::string part; std::getline(stream, part, ':');) {
    if (part.empty() || part.size() > 9 || part.find_first_not_of("0123456789") != std::string::npos) {
      return std::nullopt;
    }
    parts.push_back(std::stoll(part));
  }
  const std::string days = has_days ? text.substr(0, dash) : "0";
  const bool is_known = !parts.empty() && parts.size() <= 3 && text.back() != ':' && !days.empty() &&
                        days.size() <= 6 && days.find_first_not_of("0123456789") == std::string::npos;
  if (!is_known) {
    return std::nullopt;
  }
  // What the first part counts: hours after days and of three parts, else minutes.
  std::int64_t unit = has_days || parts.size() == 3 ? 3600 : 60;
  std::int64_t seconds = 86400 * std::stoll(days);
  for (const std::int64_t part : parts) {
    seconds += unit * part;
    unit /= 60;
  }
  return seconds;
}

/// The keys of a site file, in its order.
class SiteFields {
 public:
  explicit SiteFields(Site& site) {
    list_.section = "job";
    word("partition", site.partition, "_-,.", "a partition's name");
    word("account", site.account, "_-.", "an account's name");
    word("qos", site.qos, "_-.", "the name of a quality of service");
    word("time", site.time, ":-", "a time limit as sbatch takes it, e.g. \"24:00:00\" or \"2-00:00:00\"");
    list_.integer("nodes", site.nodes, 1, "");
    list_.integer("gpus_per_node", site.gpus_per_node, 0, "");
    word("gpu_type", site.gpu_type, "_-.", "a type of GPU as the cluster names it, e.g. \"h100\"");
    list_.integer("ranks_per_node", site.ranks_per_node, 0, "");
    list_.integer("cpus_per_rank", site.cpus_per_rank, 1, "");
    word("memory", site.memory, "", "a size as sbatch takes it, e.g. \"64G\"");
    list_.integer("max_at_once", site.max_at_once, 0, "");
    texts("extra", site.extra, is_long_option, "a list of options of sbatch, e.g. [\"--constraint=ib\"]");
    list_.section = "launch";
    launcher("launcher", site.launcher);
    texts("options", site.options, is_one_line, "a list of options of the launcher");
    texts(
        "modules", site.modules, [](const std::string& name) { return !name.empty() && is_word(name, "_-./+=:@"); },
        "a list of module names, e.g. [\"cuda/12.8\"]");
    texts("environment", site.environment, is_assignment, "a list of \"NAME=value\"");
    list_.integer("runs_per_gpu", site.runs_per_gpu, 1, "");
    list_.section = "restart";
    list_.integer("warning_seconds", site.warning_seconds, 1, "");
    list_.integer("max_fruitless_starts", site.max_fruitless_starts, 1, "");
    list_.section = "cost";
    list_.real("tflops_per_rank", site.tflops_per_rank, 0.0, true, std::numeric_limits<double>::infinity(), "");
  }

  [[nodiscard]] const std::vector<config::Field>& fields() const { return list_.fields; }

 private:
  void word(std::string key, std::string& target, std::string_view signs, std::string accepted) {
    list_.add(std::move(key), "").read = [&target, signs, accepted](const Value& value) -> std::string {
      if (value.kind != Value::Kind::text || !is_word(value.text, signs)) {
        return accepted;
      }
      target = value.text;
      return {};
    };
  }

  void texts(std::string key, std::vector<std::string>& target, std::function<bool(const std::string&)> is_good,
             std::string accepted) {
    list_.add(std::move(key), "").read = [&target, is_good, accepted](const Value& value) -> std::string {
      std::vector<std::string> read;
      for (const Value& element : value.list) {
        if (element.kind != Value::Kind::text || !is_good(element.text)) {
          return fmt::format("{} ({} is none)", accepted, element.type_name);
        }
        std::string text = element.text;
        if (const std::string fault = fill_in_value(text); !fault.empty()) {
          return fmt::format("{} ({})", accepted, fault);
        }
        read.push_back(std::move(text));
      }
      if (value.kind != Value::Kind::list) {
        return accepted;
      }
      target = read;
      return {};
    };
  }

  void launcher(std::string key, Launcher& target) {
    list_.add(std::move(key), "").read = [&target](const Value& value) -> std::string {
      if (value.kind != Value::Kind::text || (value.text != "srun" && value.text != "mpirun")) {
        return "one of srun, mpirun";
      }
      target = value.text == "srun" ? Launcher::srun : Launcher::mpirun;
      return {};
    };
  }

  config::FieldList list_;
};

}  // namespace

Site parse_site(const std::string& text, const std::string& source) {
  Site site;
  site.ranks_per_node = 0;
  config::read_toml(text, source, SiteFields(site).fields());
  if (site.time.empty()) {
    fail_usage("{}: job.time must not be empty: without a limit nothing warns the runs before they are ended", source);
  }
  const std::optional<std::int64_t> limit = seconds_of_limit(site.time);
  if (!limit) {
    fail_usage(
        "{}: job.time must be a time limit as sbatch takes it, e.g. \"24:00:00\" or \"2-00:00:00\", found \"{}\"",
        source, site.time);
  }
  if (*limit < 2 * site.warning_seconds) {
    fail_usage(
        "{}: job.time = \"{}\" is {} s; it must be at least twice restart.warning_seconds = {}, or a run is told to "
        "stop "
        "as soon as it starts",
        source, site.time, *limit, site.warning_seconds);
  }
  if (site.gpus_per_node > 0 && site.ranks_per_node != 0 && site.ranks_per_node != site.gpus_per_node) {
    fail_usage("{}: job.ranks_per_node = {}, but job.gpus_per_node = {}: each rank has one GPU; leave it at 0", source,
               site.ranks_per_node, site.gpus_per_node);
  }
  if (site.gpus_per_node == 0 && site.ranks_per_node == 0) {
    fail_usage("{}: job.gpus_per_node = 0, so job.ranks_per_node must say how many ranks a node has", source);
  }
  if (site.gpus_per_node == 0 && !site.gpu_type.empty()) {
    fail_usage("{}: job.gpu_type = \"{}\", but job.gpus_per_node = 0", source, site.gpu_type);
  }
  site.ranks_per_node = site.gpus_per_node > 0 ? site.gpus_per_node : site.ranks_per_node;
  if (site.warning_seconds < 120) {
    fail_usage("{}: restart.warning_seconds must be an integer >= 120, found {}: Slurm warns up to a minute late",
               source, site.warning_seconds);
  }
  return site;
}

Site read_site(const std::filesystem::path& file) {
  std::error_code ignored;
  if (!std::filesystem::exists(file, ignored)) {
    fail_usage("no site file {}: copy slurm/site.toml and fill it in, then name it by --site", file.string());
  }
  return parse_site(io::read_config_file(file, "a site file (TOML)"), file.string());
}

}  // namespace xtasc::sweep
