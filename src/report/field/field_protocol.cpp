#include "report/field/field_protocol.hpp"

#include <algorithm>
#include <charconv>
#include <iterator>
#include <utility>

#include "config/methods.hpp"
#include "config/systems.hpp"
#include "core/error.hpp"
#include "run/config_values.hpp"

namespace xtasc::report {

namespace {

using OfRun = std::function<std::string(const run::RunSummary&)>;

/// Of each of the net's runs, told once where they agree.
std::function<std::string(const SeedGroup&)> of_runs(OfRun text) {
  return [text = std::move(text)](const SeedGroup& group) {
    std::vector<std::string> texts;
    for (const run::RunSummary* run : group.seeds.front().runs) {
      const std::string of_run = text(*run);
      if (std::ranges::find(texts, of_run) == texts.end()) {
        texts.push_back(of_run);
      }
    }
    return fmt::format("{}", fmt::join(texts, " + "));
  };
}

std::optional<double> plain_number(std::string_view text) {
  double value = 0.0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size() ? std::optional(value) : std::nullopt;
}

/// A number without what spelling adds to it: 1e-4 is 0.0001.
std::string plain(const std::string& value) {
  const std::optional<double> number = plain_number(value);
  return number ? fmt::format("{}", *number) : value;
}

/// "3 seeds", "1 seed".
std::string counted(std::int64_t number, const char* word) {
  return fmt::format("{} {}{}", number, word, number == 1 ? "" : "s");
}

/// The value of a key of [train]; of keys that came later what was before them, and nothing where there was nothing.
std::string train_value(const run::RunSummary& run, const std::string& key) {
  const run::ConfigValues values = run::config_values(run.config);
  const auto found = values.find("train." + key);
  return found != values.end() ? plain(run::shown_value(found->second))
         : key == "optimizer"  ? "adam"
         : key == "schedule"   ? "step"
                               : "";
}

/// Whether the key says nothing beside a schedule or an optimizer that is another one.
bool is_moot(const run::RunSummary& run, const std::string& key) {
  return ((key == "lr_step" || key == "lr_gamma" || key == "lr_step_at") && train_value(run, "schedule") != "step") ||
         (key == "momentum" && train_value(run, "optimizer") != "sgd");
}

std::int64_t steps_an_epoch(const run::RunSummary& run) {
  return run.last.step / std::max<std::int64_t>(1, run.last.epoch);
}

/// A key of the table's `train`.
Aspect train_aspect(const std::string& key, const std::string& value) {
  const auto text = [key](const std::string& of) {
    return key == "epochs"       ? fmt::format("{} epochs", of)
           : key == "steps"      ? fmt::format("{} steps", of)
           : key == "lr_step_at" ? fmt::format("lr_step after {} steps", of)
                                 : fmt::format("{} {}", key, of);
  };
  const std::string published = text(plain(value));
  return {.published = published, .ours = of_runs([=](const run::RunSummary& run) {
                                    return is_moot(run, key) ? published
                                           : key == "epochs" ? text(fmt::format("{}", run.last.epoch))
                                           : key == "steps"  ? text(fmt::format("{}", run.last.step))
                                           : key == "lr_step_at"
                                               ? text(fmt::format("{}", run.config.train.lr_step * steps_an_epoch(run)))
                                               : text(train_value(run, key));
                                  })};
}

/// The number of training images is known by the steps of an epoch, whose last batch may be smaller.
Aspect split_aspect(const std::string& split) {
  return {.published = split,
          .ours = of_runs([split](const run::RunSummary& run) {
            const std::int64_t batch = run.config.train.batch_size;
            const std::int64_t most = steps_an_epoch(run) * batch;
            const std::size_t end = split.find(" train");
            const std::optional<double> published =
                end == std::string::npos ? std::nullopt : plain_number(std::string_view(split).substr(0, end));
            const bool fits = !published || (*published > static_cast<double>(most - batch) &&
                                             *published <= static_cast<double>(most));
            return fits ? split
                        : fmt::format("{}{} training images", batch == 1 ? "" : fmt::format("{} to ", most - batch + 1),
                                      most);
          })};
}

std::string augmentation_text(const config::DataSection& data) {
  const std::string scale_crop = data.scale_crop ? "scale crop 1, 1.2, 1.5" : "";
  return scale_crop + (data.scale_crop && data.flip ? " and " : "") +
         (data.flip         ? "flip"
          : data.scale_crop ? ""
                            : "none");
}

/// A key whose default everybody has whose source says nothing of it.
Aspect implied_aspect(const std::string& key) {
  const run::ConfigValues defaults = run::config_values(config::RunConfig{});
  const auto usual = defaults.find(key);
  const std::string published =
      usual == defaults.end() ? "" : fmt::format("{} {}", key, run::shown_value(usual->second));
  return {.published = published,
          .ours = of_runs([=](const run::RunSummary& run) {
            return published.empty()
                       ? published
                       : fmt::format("{} {}", key, run::shown_value(run::config_values(run.config).at(key)));
          }),
          .is_implied = true};
}

/// Adam's decay rates, of which published texts say nothing: PyTorch's.
Aspect betas_aspect() {
  const std::string published = "betas [0.9, 0.999]";
  return {.published = published,
          .ours = of_runs([published](const run::RunSummary& run) {
            const std::vector<double>& betas = run.config.train.betas;
            return betas.empty() ? published : fmt::format("betas [{}]", fmt::join(betas, ", "));
          }),
          .is_implied = true};
}

/// What of [weighting] is another than the method's authors have it. The weights of `fixed` and what weighs the losses
/// beneath a method are said where rows are told apart.
Aspect weighting_aspect() {
  const std::string published = "the weighting's own settings";
  return {.published = published,
          .ours = of_runs([published](const run::RunSummary& run) {
            config::RunConfig usual = run.config;
            usual.weighting = config::default_weighting(run.config.weighting.method);
            if (usual.weighting.learning_rate == 0.0) {
              usual.weighting.learning_rate = config::method_of(usual.weighting.method).learning_rate;
            }
            usual.weighting.weights = run.config.weighting.weights;
            usual.weighting.losses = run.config.weighting.losses;
            const run::ConfigValues values = run::config_values(usual);
            std::vector<std::string> others;
            for (const auto& [key, value] : run::config_values(run.config)) {
              const bool is_used = config::method_of(run.config.weighting.method)
                                       .uses(std::string_view(key).substr(std::min(key.find('.') + 1, key.size())));
              if (key.starts_with("weighting.") && is_used && values.at(key) != value) {
                others.push_back(fmt::format("{} {}", key, run::shown_value(value)));
              }
            }
            return others.empty() ? published : fmt::format("{}", fmt::join(others, ", "));
          }),
          .is_implied = true};
}

std::string tasks_text(const std::vector<std::string>& tasks) {
  return fmt::format("tasks {}", fmt::join(tasks, ", "));
}

/// "segmentation pooled by image".
std::string pooling_text(const std::string& task, const std::string& word) {
  return fmt::format("{} pooled {}", task::of_key(task).name,
                     word == "dataset"     ? "over the data set"
                     : word == "per_batch" ? "by batch"
                                           : "by image");
}

/// What a protocol of ours does with a task's metrics.
std::string pooling_of(const std::string& task, Protocol protocol) {
  return protocol == Protocol::dataset                    ? "dataset"
         : task::of_key(task).kind == task::Kind::classes ? "per_image"
                                                          : "per_batch";
}

}  // namespace

Protocol protocol_of(const FieldTable& table, const std::string& task, const std::optional<Protocol>& forced) {
  const auto found = table.pooling.find(task);
  const bool is_over_all = found == table.pooling.end() || found->second == "dataset";
  return forced.value_or(is_over_all ? Protocol::dataset : Protocol::paper);
}

std::vector<Aspect> aspects_of(const FieldTable& table, Checkpoint checkpoint, const std::optional<Protocol>& forced) {
  std::vector<Aspect> aspects;
  const auto add = [&aspects](std::string published, std::function<std::string(const SeedGroup&)> ours) {
    aspects.push_back({.published = std::move(published), .ours = std::move(ours)});
  };
  add(tasks_text(table.tasks), [](const SeedGroup& group) {
    std::vector<std::string> keys;
    std::ranges::transform(tasks_of(group), std::back_inserter(keys),
                           [](const task::Task& task) { return std::string(task.key); });
    return tasks_text(keys);
  });
  add(fmt::format("{} x {} pixels", table.height, table.width), of_runs([](const run::RunSummary& run) {
        return fmt::format("{} x {} pixels", run.provenance.pack_height, run.provenance.pack_width);
      }));
  add(counted(table.num_classes, "classe"),
      of_runs([](const run::RunSummary& run) { return counted(run.provenance.pack_num_classes, "classe"); }));
  if (!table.abs_err_unit.empty()) {
    const std::string published = "depth in " + table.abs_err_unit;
    add(published, of_runs([published, unit = table.abs_err_unit](const run::RunSummary& run) {
          const bool is_inverse = run.provenance.pack_depth_kind == "inverse_depth";
          const bool fits = is_inverse == (unit == "inverse depth") || run.provenance.pack_depth_kind.empty();
          return fits ? published : std::string(is_inverse ? "depth in inverse depth" : "depth in m");
        }));
  }
  if (!table.split.empty()) {
    aspects.push_back(split_aspect(table.split));
  }
  if (!table.augmentation.empty()) {
    add("augmentation: " + table.augmentation,
        of_runs([](const run::RunSummary& run) { return "augmentation: " + augmentation_text(run.config.data); }));
  }
  std::ranges::transform(table.train, std::back_inserter(aspects),
                         [](const auto& entry) { return train_aspect(entry.first, entry.second); });
  if (table.has_normalised_images) {
    const auto text = [](bool is_normalised) { return is_normalised ? "images normalised" : "images between 0 and 1"; };
    add(text(*table.has_normalised_images),
        of_runs([text](const run::RunSummary& run) { return std::string(text(run.config.data.normalise)); }));
  }
  if (table.is_pretrained) {
    const auto text = [](bool is_pretrained) { return is_pretrained ? "pretrained encoder" : "random weights"; };
    add(text(*table.is_pretrained), of_runs([text](const run::RunSummary& run) {
          return std::string(text(!run.config.model.encoder_weights.empty()));
        }));
  }
  for (const char* key :
       {"data.label_share", "data.one_label", "data.holdout", "train.accumulate", "train.patience",
        "train.warmup_steps", "train.clip_norm", "run.precision", "loss.depth", "loss.label_smoothing"}) {
    aspects.push_back(implied_aspect(key));
  }
  aspects.push_back(betas_aspect());
  aspects.push_back(weighting_aspect());
  if (!table.checkpoint.empty()) {
    add("checkpoint " + table.checkpoint,
        [checkpoint](const SeedGroup&) { return fmt::format("checkpoint {}", name(checkpoint)); });
  }
  if (table.num_seeds) {
    add(counted(*table.num_seeds, "seed"),
        [](const SeedGroup& group) { return counted(static_cast<std::int64_t>(group.seeds.size()), "seed"); });
  }
  for (const std::string& task : table.tasks) {
    if (const auto word = table.pooling.find(task); word != table.pooling.end()) {
      std::string of_ours = pooling_text(task, pooling_of(task, protocol_of(table, task, forced)));
      add(pooling_text(task, word->second), [of_ours](const SeedGroup&) { return of_ours; });
    }
  }
  return aspects;
}

std::vector<std::string> departures_of(const SeedGroup& group, const std::vector<Aspect>& aspects) {
  std::vector<std::string> departures;
  for (const Aspect& aspect : aspects) {
    if (const std::string ours = aspect.ours(group); ours != aspect.published) {
      departures.push_back(fmt::format("{} (published: {})", ours, aspect.published));
    }
  }
  return departures;
}

}  // namespace xtasc::report
