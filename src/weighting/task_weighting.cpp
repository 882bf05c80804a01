#include "weighting/task_weighting.hpp"

#include "core/error.hpp"
#include "weighting/methods.hpp"

namespace xtasc::weighting {

namespace {

GradientFactors gradient_factors(const config::WeightingSection& section) {
  switch (section.method) {
    case config::Weighting::pcgrad:
      return [](const Gram& gram, const at::Tensor&) { return pcgrad_factors(gram); };
    case config::Weighting::cagrad:
      return
          [section](const Gram& gram, const at::Tensor&) { return cagrad_factors(gram, section.c, section.rescale); };
    case config::Weighting::mgda:
      return [section](const Gram& gram, const at::Tensor& losses) {
        return mgda_factors(gram, losses, section.normalisation);
      };
    case config::Weighting::imtl_g:
    case config::Weighting::imtl:
      return [](const Gram& gram, const at::Tensor&) { return imtl_g_factors(gram); };
    default:
      fail("weighting method {} combines no gradients", config::name(section.method));
  }
}

}  // namespace

at::Tensor TaskWeighting::combine(const Gram& /*gram*/, const at::Tensor& /*global_losses_2*/) const {
  fail("this weighting method combines no gradients");
}

optim::Adam own_adam(const at::Tensor& values, const at::Tensor& gradients, double weight_decay) {
  return {{{"weighting", values, gradients}}, {.beta1 = 0.9, .beta2 = 0.999, .weight_decay = weight_decay}};
}

std::unique_ptr<TaskWeighting> make_task_weighting(const config::WeightingSection& section, std::uint64_t seed,
                                                   const at::TensorOptions& options) {
  switch (section.method) {
    case config::Weighting::equal:
      return make_equal(options);
    case config::Weighting::uncertainty:
      return make_uncertainty(section, options);
    case config::Weighting::gradnorm:
      return make_gradnorm(section, options);
    case config::Weighting::dwa:
      return make_dwa(section, options);
    case config::Weighting::rlw:
      return make_rlw(seed, options);
    case config::Weighting::pcgrad:
    case config::Weighting::cagrad:
    case config::Weighting::mgda:
    case config::Weighting::imtl_g:
      return make_gradient_method(gradient_factors(section), options);
    case config::Weighting::imtl_l:
      return make_imtl_l(section, options);
    case config::Weighting::imtl:
      return make_imtl_l(section, options, gradient_factors(section));
    case config::Weighting::famo:
      return make_famo(section, options);
  }
  fail("unknown weighting method {}", static_cast<int>(section.method));
}

}  // namespace xtasc::weighting
