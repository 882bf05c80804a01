#include "sweep/random_axes.hpp"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <iterator>
#include <numeric>
#include <set>
#include <utility>

#include "config/field_list.hpp"
#include "config/run_config.hpp"
#include "core/error.hpp"
#include "core/nearest.hpp"
#include "core/random.hpp"

namespace xtasc::sweep {

namespace {

constexpr std::int64_t kMostDraws = 10000;
/// Of draws for each that is wanted; where they bring no more that differ, there are none.
constexpr std::int64_t kTries = 1000;

const std::vector<std::string> kDistributions = {"uniform", "log_uniform", "choice", "simplex"};

/// To four digits: the last bits of exp and log differ between machines.
double rounded(double value) {
  return std::strtod(fmt::format("{:.4g}", value).c_str(), nullptr);
}

/// Uniform over all lists of `parts` multiples of 0.001 that are positive and add up to `parts`: of Dirichlet(1, ...,
/// 1) the nearest, by largest remainders.
std::string simplex_text(std::int64_t parts, RandomStream& stream) {
  const auto count = static_cast<std::size_t>(parts);
  std::vector<double> weights(count);
  for (double& weight : weights) {
    weight = -std::log(1.0 - stream.uniform());
  }
  const double sum = std::accumulate(weights.begin(), weights.end(), 0.0);
  const std::int64_t to_share = 999 * parts;  // thousandths; each has one already
  std::int64_t left = to_share;
  std::vector<std::int64_t> thousandths(count, 1);
  std::vector<std::pair<double, std::size_t>> remainders;
  for (std::size_t i = 0; i < count; ++i) {
    const double share = static_cast<double>(to_share) * weights[i] / sum;
    const auto whole = static_cast<std::int64_t>(share);
    thousandths[i] += whole;
    left -= whole;
    remainders.emplace_back(static_cast<double>(whole) - share, i);
  }
  std::ranges::sort(remainders);
  for (std::size_t i = 0; i < static_cast<std::size_t>(left); ++i) {
    ++thousandths[remainders[i].second];
  }
  std::vector<std::string> texts;
  std::ranges::transform(thousandths, std::back_inserter(texts),
                         [](std::int64_t value) { return config::real_text(static_cast<double>(value) / 1000.0); });
  return fmt::format("[{}]", fmt::join(texts, ", "));
}

/// Reads one axis of [random].
class DistributionReader {
 public:
  DistributionReader(const std::string& key, const TomlValue& value, SettingReader& reader)
      : key_(key), value_(value), reader_(reader) {}

  std::optional<Distribution> read() {
    if (!value_.is(TomlValue::Kind::table) || value_.table.size() != 1) {
      return fault(value_.where,
                   "needed is one of { uniform = [LOW, HIGH] }, { log_uniform = [LOW, HIGH] }, "
                   "{ choice = [VALUES] }, { simplex = TASKS }");
    }
    const TomlValue& given = value_.table.front();
    const auto kind = std::ranges::find(kDistributions, given.key);
    if (kind == kDistributions.end()) {
      return fault(given.key_where, fmt::format("there is no distribution \"{}\"; {}", given.key,
                                                did_you_mean(given.key, kDistributions)));
    }
    Distribution axis{
        .key = key_, .kind = static_cast<Distribution::Kind>(kind - kDistributions.begin()), .where = value_.where};
    switch (axis.kind) {
      case Distribution::Kind::uniform:
      case Distribution::Kind::log_uniform:
        return bounded(std::move(axis), given);
      case Distribution::Kind::choice:
        axis.choices = reader_.values_of(key_, given.list);
        if (given.list.empty()) {
          return fault(given.where, "choice must be a list of values");
        }
        return axis.choices.size() == given.list.size() ? std::optional(axis) : std::nullopt;
      case Distribution::Kind::simplex:
        return simplex(std::move(axis), given);
    }
    return std::nullopt;
  }

 private:
  std::optional<Distribution> fault(const std::string& where, const std::string& what) {
    reader_.fault(where, fmt::format("{}: {}", key_, what));
    return std::nullopt;
  }

  bool takes(const std::string& value) const {
    try {
      config::check_assignment(fmt::format("{}={}", key_, value), value_.where);
      return true;
    } catch (const Error&) {
      return false;
    }
  }

  std::optional<Distribution> bounded(Distribution axis, const TomlValue& given) {
    const bool are_two = given.list.size() == 2 && given.list[0].is_number() && given.list[1].is_number();
    if (!are_two || given.list[0].real >= given.list[1].real) {
      return fault(given.where,
                   fmt::format("{} must be [LOW, HIGH], two numbers of which the first is smaller{}", given.key,
                               are_two ? fmt::format(", found [{}, {}]", given.list[0].real, given.list[1].real)
                                       : ", found " + given.type_name));
    }
    axis.low = given.list[0].real;
    axis.high = given.list[1].real;
    if (axis.kind == Distribution::Kind::log_uniform && axis.low <= 0.0) {
      return fault(given.list[0].where, fmt::format("log_uniform needs bounds above 0, found {}", axis.low));
    }
    for (const TomlValue& bound : given.list) {
      const std::string number = config::real_text(bound.real);
      if (!takes(number) && takes(fmt::format("{:.0f}", bound.real))) {
        return fault(given.where, fmt::format("{} draws numbers with fractions, which this key does not take: name its "
                                              "values, {{ choice = [...] }}",
                                              given.key));
      }
      if (!reader_.attempt([&] { config::check_assignment(fmt::format("{}={}", key_, number), bound.where); })) {
        return std::nullopt;
      }
    }
    return axis;
  }

  std::optional<Distribution> simplex(Distribution axis, const TomlValue& given) {
    constexpr std::int64_t kMostParts = 100;
    if (!given.is(TomlValue::Kind::integer) || given.integer < 2 || given.integer > kMostParts) {
      return fault(given.where,
                   fmt::format("simplex must be the number of weights, an integer from 2 to {}", kMostParts));
    }
    axis.parts = given.integer;
    const std::vector<std::string> ones(static_cast<std::size_t>(axis.parts), "1.0");
    const bool is_taken = reader_.attempt(
        [&] { config::check_assignment(fmt::format("{}=[{}]", key_, fmt::join(ones, ", ")), given.where); });
    return is_taken ? std::optional(axis) : std::nullopt;
  }

  const std::string& key_;
  const TomlValue& value_;
  SettingReader& reader_;
};

}  // namespace

std::string Distribution::text() const {
  const std::string& name = kDistributions[static_cast<std::size_t>(kind)];
  switch (kind) {
    case Kind::uniform:
    case Kind::log_uniform:
      return fmt::format("{} in {} .. {}", name, low, high);
    case Kind::choice:
      return fmt::format("{} of {}", name, choices.size());
    case Kind::simplex:
      return fmt::format("{} of {}", name, parts);
  }
  return name;
}

Setting drawn_value(const Distribution& axis, std::uint64_t seed, std::uint64_t draw) {
  RandomStream stream(seed, Purpose::sweep_axes, draw, hash_name(axis.key));
  const auto number = [&axis](double value) {
    return config::real_text(std::clamp(rounded(value), axis.low, axis.high));
  };
  Setting setting{.key = axis.key, .value = {}, .where = axis.where};
  switch (axis.kind) {
    case Distribution::Kind::uniform:
      setting.value = number(stream.uniform(axis.low, axis.high));
      break;
    case Distribution::Kind::log_uniform:
      setting.value = number(std::exp(stream.uniform(std::log(axis.low), std::log(axis.high))));
      break;
    case Distribution::Kind::choice:
      setting.value = axis.choices[stream.below(axis.choices.size())].value;
      break;
    case Distribution::Kind::simplex:
      setting.value = simplex_text(axis.parts, stream);
      break;
  }
  return setting;
}

std::optional<AxisGroup> drawn_values(const std::vector<Distribution>& axes, std::uint64_t seed, std::int64_t count) {
  AxisGroup group;
  for (const Distribution& axis : axes) {
    group.axes.push_back({.key = axis.key, .values = {}});
  }
  std::set<std::vector<std::string>> seen;
  for (std::int64_t draw = 0; draw < kTries * count && std::ssize(seen) < count; ++draw) {
    std::vector<Setting> step;
    std::vector<std::string> values;
    for (const Distribution& axis : axes) {
      step.push_back(drawn_value(axis, seed, static_cast<std::uint64_t>(draw)));
      values.push_back(step.back().value);
    }
    if (seen.insert(std::move(values)).second) {
      for (std::size_t i = 0; i < axes.size(); ++i) {
        group.axes[i].values.push_back(std::move(step[i]));
      }
    }
  }
  return std::ssize(seen) == count ? std::optional(std::move(group)) : std::nullopt;
}

std::optional<AxisGroup> read_random(const TomlValue& entry, SettingReader& reader) {
  std::vector<Distribution> axes;
  std::size_t num_keys = 0;
  reader.for_each_key(entry.key, entry, {"seed", "count"}, [&](const std::string& key, const TomlValue& value) {
    ++num_keys;
    if (auto axis = DistributionReader(key, value, reader).read()) {
      axes.push_back(std::move(*axis));
    }
  });
  const TomlValue* given_seed = entry.find("seed");
  const TomlValue* given_count = entry.find("count");
  const std::int64_t seed = given_seed == nullptr ? 1 : reader.integer(*given_seed, 0);
  const std::int64_t count = given_count == nullptr ? 0 : reader.integer(*given_count, 1);
  if (!entry.is(TomlValue::Kind::table)) {
    return std::nullopt;
  }
  if (given_count == nullptr) {
    reader.fault(entry.where, "[random] lacks count: how many rows are drawn");
  } else if (count > kMostDraws) {
    reader.fault(given_count->where, fmt::format("count must be at most {}", kMostDraws));
  } else if (num_keys == 0) {
    reader.fault(entry.where, "[random] has no axis, e.g. train.learning_rate = { log_uniform = [1e-5, 1e-3] }");
  } else if (axes.size() == num_keys && count >= 1 && seed >= 0) {
    std::optional<AxisGroup> group = drawn_values(axes, static_cast<std::uint64_t>(seed), count);
    if (!group) {
      reader.fault(given_count->where, fmt::format("count = {}, but the axes of [random] have fewer different values "
                                                   "together",
                                                   count));
      return std::nullopt;
    }
    group->where = entry.where;
    std::vector<std::string> texts;
    std::ranges::transform(axes, std::back_inserter(texts),
                           [](const Distribution& axis) { return fmt::format("{} {}", axis.key, axis.text()); });
    group->drawn = fmt::format("{} draws by seed {}: {}", count, seed, fmt::join(texts, "; "));
    return group;
  }
  return std::nullopt;
}

}  // namespace xtasc::sweep
