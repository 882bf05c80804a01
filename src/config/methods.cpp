#include "config/methods.hpp"

#include <algorithm>
#include <utility>

#include "config/rows.hpp"
#include "config/run_config.hpp"
#include "core/error.hpp"

namespace xtasc::config {

namespace {

void check_fairgrad(const RunConfig& c) {
  const double alpha = c.weighting.alpha;
  if (alpha != 0.0 && (alpha < 0.5 || alpha > 5.0)) {
    fail_usage(
        "weighting.alpha of fairgrad must be 0, or between 0.5 and 5, where its solver is known to converge; found {}",
        alpha);
  }
}

void check_moco(const RunConfig& c) {
  if (c.weighting.beta == 0.0) {
    fail_usage("weighting.beta = 0 would keep moco from ever seeing a gradient: a number > 0 and <= 1");
  }
}

void check_db_mtl(const RunConfig& c) {
  if (c.weighting.beta == 1.0) {
    fail_usage("weighting.beta = 1 would keep db_mtl at its first batch's gradients: a number >= 0 and < 1");
  }
}

void check_stch(const RunConfig& c) {
  const std::int64_t warm_up = c.weighting.warm_up_epochs;
  if (c.train.epochs <= warm_up + 1) {
    fail_usage("weighting.warm_up_epochs = {} leaves stch none of train.epochs = {}: its first is epoch {}", warm_up,
               c.train.epochs, warm_up + 2);
  }
}

std::vector<Method>& method_rows() {
  static std::vector<Method> rows = {
      {.word = "equal", .keys = {"scale"}, .weighs_before_losses = true},
      {.word = "uncertainty", .keys = {"regulariser", "learning_rate"}, .weighs_before_losses = true},
      {.word = "gradnorm", .needs = Needs::norms, .keys = {"learning_rate", "alpha"}},
      {.word = "dwa", .keys = {"temperature", "scale"}, .weighs_before_losses = true},
      {.word = "rlw", .keys = {"distribution", "scale"}, .defaults = {"scale=mean"}, .weighs_before_losses = true},
      {.word = "pcgrad", .needs = Needs::gram, .keys = {"parameters", "losses", "heads", "scale"}},
      {.word = "cagrad", .needs = Needs::gram, .keys = {"parameters", "c", "rescale", "heads", "scale"}},
      {.word = "mgda",
       .needs = Needs::gram,
       .keys = {"parameters", "normalisation", "heads", "scale"},
       .defaults = {"scale=mean"}},
      {.word = "imtl_l", .keys = {"learning_rate"}, .weighs_before_losses = true},
      {.word = "imtl_g", .needs = Needs::gram, .keys = {"parameters", "heads", "scale"}, .defaults = {"scale=mean"}},
      {.word = "imtl",
       .needs = Needs::gram,
       .keys = {"parameters", "learning_rate", "heads", "scale"},
       .defaults = {"scale=mean"}},
      {.word = "famo",
       .needs = Needs::losses_after_step,
       .learning_rate = 0.025,
       .keys = {"learning_rate", "weight_decay", "max_norm"}},
      {.word = "alsw", .needs = Needs::own_magnitudes, .keys = {}},
      {.word = "fixed", .keys = {"weights", "scale"}, .weighs_before_losses = true},
      {.word = "si", .keys = {"scale"}},
      {.word = "gls", .keys = {"scale"}},
      {.word = "stch", .keys = {"mu", "warm_up_epochs", "scale"}, .check_keys = check_stch},
      {.word = "uw_so", .keys = {"temperature", "scale"}, .defaults = {"temperature=1.0", "scale=mean"}},
      {.word = "fairgrad",
       .needs = Needs::gram,
       .keys = {"parameters", "alpha", "max_norm", "heads", "scale"},
       .defaults = {"alpha=2.0"},
       .check_keys = check_fairgrad},
      {.word = "nash",
       .needs = Needs::gram,
       .keys = {"parameters", "max_norm", "heads", "scale"},
       .defaults = {"heads=weighted"}},
      {.word = "aligned", .needs = Needs::gram, .keys = {"parameters", "heads", "scale"}},
      {.word = "gradvac", .needs = Needs::gram, .keys = {"parameters", "beta", "heads", "scale"}},
      {.word = "upgrad",
       .needs = Needs::gram,
       .keys = {"parameters", "heads", "scale"},
       .defaults = {"heads=weighted", "scale=mean"}},
      {.word = "sdmgrad",
       .needs = Needs::gram,
       .learning_rate = 10.0,
       .keys = {"parameters", "lambda", "learning_rate", "max_norm", "heads", "scale"}},
      {.word = "db_mtl",
       .needs = Needs::vectors,
       .keys = {"beta", "heads", "scale"},
       .defaults = {"beta=0.9"},
       .check_keys = check_db_mtl},
      {.word = "moco",
       .needs = Needs::vectors,
       .learning_rate = 0.1,
       .keys = {"beta", "learning_rate", "heads", "scale"},
       .defaults = {"heads=weighted", "scale=mean"},
       .check_keys = check_moco},
      {.word = "excess_mtl",
       .needs = Needs::vectors,
       .learning_rate = 0.01,
       .keys = {"learning_rate", "heads", "scale"},
       .defaults = {"heads=weighted"}},
      {.word = "graddrop", .needs = Needs::vectors, .keys = {"scale"}},
  };
  return rows;
}

}  // namespace

bool Method::uses(std::string_view key) const {
  return std::ranges::find(keys, key) != keys.end();
}

const std::vector<Method>& methods() {
  return method_rows();
}

const Method& method_of(std::string_view word) {
  return row_of(methods(), word, "weighting method");
}

std::size_t place_of_method(std::string_view word) {
  return static_cast<std::size_t>(&method_of(word) - methods().data());
}

void add_method(Method method) {
  add_row(method_rows(), std::move(method), "weighting method");
}

}  // namespace xtasc::config
