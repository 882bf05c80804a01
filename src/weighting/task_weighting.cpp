#include "weighting/task_weighting.hpp"

#include <map>

#include "core/error.hpp"
#include "weighting/methods.hpp"

namespace xtasc::weighting {

namespace {

/// What makes a method, by its word.
std::map<std::string, MakeMethod, std::less<>>& makers() {
  static std::map<std::string, MakeMethod, std::less<>> rows = {
      {"equal", make_equal},
      {"uncertainty", make_uncertainty},
      {"gradnorm", make_gradnorm},
      {"dwa", make_dwa},
      {"rlw", make_rlw},
      {"pcgrad", make_pcgrad},
      {"cagrad", make_cagrad},
      {"mgda", make_mgda},
      {"imtl_l", make_imtl_l},
      {"imtl_g", make_imtl_g},
      {"imtl", make_imtl},
      {"famo", make_famo},
      {"alsw", make_alsw},
      {"fixed", make_fixed},
      {"si", make_si},
      {"gls", make_gls},
      {"stch", make_stch},
      {"uw_so", make_uw_so},
      {"fairgrad", make_fairgrad},
      {"nash", make_nash},
      {"aligned", make_aligned},
      {"gradvac", make_gradvac},
      {"upgrad", make_upgrad},
      {"sdmgrad", make_sdmgrad},
      {"db_mtl", make_db_mtl},
      {"moco", make_moco},
      {"excess_mtl", make_excess_mtl},
      {"graddrop", make_graddrop},
  };
  return rows;
}

}  // namespace

double factor_of_scale(const config::WeightingSection& section, std::size_t num_tasks) {
  const auto tasks = static_cast<double>(num_tasks);
  return section.scale == config::default_weighting(section.method).scale ? 1.0
         : section.scale == config::FactorScale::sum                      ? tasks
                                                                          : 1.0 / tasks;
}

at::Tensor TaskWeighting::combine(const at::Tensor& /*gram_tt*/, const at::Tensor& /*losses_t*/,
                                  const Moment& /*moment*/) {
  fail("this weighting method combines no gradients");
}

at::Tensor TaskWeighting::weigh_by_magnitudes(const at::Tensor& /*magnitudes_t*/) const {
  fail("this weighting method looks at no magnitudes");
}

optim::Adam own_adam(const at::Tensor& values, const at::Tensor& gradients, double weight_decay) {
  return {{{.name = "weighting", .values = values, .gradients = gradients, .weight_decay = weight_decay}},
          {.beta1 = 0.9, .beta2 = 0.999}};
}

std::unique_ptr<TaskWeighting> make_task_weighting(const MethodOptions& options) {
  const auto found = makers().find(options.section.method);
  check(found != makers().end(), "nothing makes weighting method \"{}\"", options.section.method);
  return found->second(options);
}

void add_method(std::string_view word, MakeMethod make) {
  check(makers().emplace(word, make).second, "there is a weighting method \"{}\" already", word);
}

}  // namespace xtasc::weighting
