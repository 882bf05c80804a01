#include "report/axis_groups.hpp"

#include <algorithm>
#include <functional>
#include <iterator>
#include <map>
#include <optional>
#include <set>
#include <string>

#include "config/run_config.hpp"
#include "config/systems.hpp"
#include "core/error.hpp"
#include "core/log.hpp"

namespace xtasc::report {

namespace {

/// What stays the same along an axis: the keys that decide a group's numbers, without those that begin with one of
/// `prefixes`.
std::string family_of(const SeedGroup& group, const std::vector<std::string>& prefixes) {
  std::string text;
  for (const auto& [key, value] : group_identity(group.first())) {
    const bool is_left_out =
        std::ranges::any_of(prefixes, [&key = key](const std::string& prefix) { return key.starts_with(prefix); });
    text += is_left_out ? "" : fmt::format("{} = {}\n", key, value);
  }
  return text;
}

/// A group's family, and where it stands on the axis.
struct Standing {
  std::string family;
  std::string place;
};

/// The groups that say something about an axis: those of families with two places on it. All where no family has two,
/// and always those without a standing, if `belongs` says so.
std::vector<SeedGroup> along_axis(std::span<const SeedGroup> groups,
                                  const std::function<std::optional<Standing>(const SeedGroup&)>& standing,
                                  const std::function<bool(const SeedGroup&, const SeedGroup&)>& belongs) {
  std::map<std::string, std::set<std::string>> places;
  for (const SeedGroup& group : groups) {
    if (const auto of = standing(group)) {
      places[of->family].insert(of->place);
    }
  }
  std::erase_if(places, [](const auto& family) { return family.second.size() < 2; });
  if (places.empty()) {
    return {groups.begin(), groups.end()};
  }
  std::vector<SeedGroup> along;
  const auto is_along = [&](const SeedGroup& group) {
    const auto of = standing(group);
    return of && places.contains(of->family);
  };
  std::ranges::copy_if(groups, std::back_inserter(along), [&](const SeedGroup& group) {
    return is_along(group) || (!standing(group) && std::ranges::any_of(groups, [&](const SeedGroup& other) {
             return is_along(other) && belongs(group, other);
           }));
  });
  if (along.size() < groups.size()) {
    log_warning("not drawn: {} of {} nets, of which there is one place of the axis only", groups.size() - along.size(),
                groups.size());
  }
  return along;
}

}  // namespace

std::vector<SeedGroup> along_lambda(std::span<const SeedGroup> groups) {
  return along_axis(
      groups,
      [](const SeedGroup& group) -> std::optional<Standing> {
        const config::RunConfig& config = group.first().config;
        return config::system_of(config.model).has_transfer()
                   ? std::optional(Standing{family_of(group, {"run.", "loss.lambda_"}),
                                            fmt::format("{} {}", config.loss.lambda_1, config.loss.lambda_2)})
                   : std::nullopt;
      },
      [](const SeedGroup& group, const SeedGroup& other) {
        const config::ModelSection& a = group.first().config.model;
        const config::ModelSection& b = other.first().config.model;
        return config::encoder_of(a) == config::encoder_of(b) && run::weights_of(a) == run::weights_of(b) &&
               a.decoder_width == b.decoder_width;
      });
}

std::vector<SeedGroup> along_encoders(std::span<const SeedGroup> groups) {
  return along_axis(
      groups,
      [](const SeedGroup& group) {
        return std::optional(
            Standing{family_of(group, {"run.", "model.encoder"}), config::encoder_of(group.first().config.model)});
      },
      [](const SeedGroup&, const SeedGroup&) { return false; });
}

std::vector<SeedGroup> along_labels(std::span<const SeedGroup> groups) {
  return along_axis(
      groups,
      [](const SeedGroup& group) {
        const config::DataSection& data = group.first().config.data;
        return std::optional(Standing{family_of(group, {"run.", "data.label_share", "data.one_label"}),
                                      fmt::format("{} {}", data.label_share, data.one_label)});
      },
      [](const SeedGroup&, const SeedGroup&) { return false; });
}

}  // namespace xtasc::report
