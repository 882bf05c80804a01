#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/ops/ones.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "config/run_config.hpp"
#include "core/random.hpp"
#include "optim/adam.hpp"
#include "weighting/task_weighting.hpp"

namespace xtasc::weighting {

/// What the methods' authors add to losses and norms.
constexpr double kEpsilon = 1e-8;
/// Guards 0 / 0, and changes nothing else.
constexpr double kTiny = 1e-300;

/// A method on gradients of the losses as they are.
class OfPlainLosses : public TaskWeighting {
 public:
  explicit OfPlainLosses(const MethodOptions& options) : ones_(at::ones({options.num_tasks}, options.tensors)) {}

  StepWeights weigh(const at::Tensor& losses_t, const Moment& /*moment*/) final { return {ones_, losses_t.sum()}; }

 private:
  at::Tensor ones_;  ///< (T)
};

// One file for each method. L_t: global losses; g_t: their global gradients; a_t: factors of the gradients.

/// L = sum_t L_t.
[[nodiscard]] std::unique_ptr<TaskWeighting> make_equal(const MethodOptions& options);

/// L = sum_t 0.5 exp(-s_t) L_t + r s_t, with s_t trained from 0. The regulariser r is 1 in the 2021 code and 0.5 in
/// Kendall et al. 2018, https://arxiv.org/abs/1705.07115, section 3. With a learning rate of its own, by an Adam of its
/// own, else by the main optimizer.
[[nodiscard]] std::unique_ptr<TaskWeighting> make_uncertainty(const MethodOptions& options);

/// GradNorm: w_t, from 1, follow the gradient of
///
///     sum_t | G_t - target_t |,   G_t = || w_t dL_t/dW ||,   target_t = mean(G) (r_t / mean(r))^alpha,   r_t = L_t /
///     L_t(0)
///
/// target_t held constant; W is one layer near the end of the encoder (model::Network says which). G_t is linear
/// in w_t, so the gradient is sign(G_t - target_t) G_t / w_t and no second derivative is needed. After each step of an
/// Adam of their own w_t are kept at 0.001 or more and scaled to sum T. L_t(0) is the mean over the first epoch, during
/// which w_t stay 1.
/// Source: Chen et al. 2018, https://arxiv.org/abs/1711.02257, algorithm 1.
[[nodiscard]] std::unique_ptr<TaskWeighting> make_gradnorm(const MethodOptions& options);

/// Dynamic weight average: w_t = T softmax_t(r_t / temperature), r_t = L_t(e - 1) / L_t(e - 2) by epoch means; 1 in the
/// first two epochs. Source: Liu et al. 2019, https://arxiv.org/abs/1803.10704, eq. 7.
[[nodiscard]] std::unique_ptr<TaskWeighting> make_dwa(const MethodOptions& options);

/// Random loss weighting: w = softmax(z), z_t normal, drawn anew from (seed, step) at each step; or w from
/// Dirichlet(1), or uniform numbers over their sum. They sum to 1. Source: Lin et al. 2022,
/// https://arxiv.org/abs/2111.10603, section 3.1.
[[nodiscard]] std::unique_ptr<TaskWeighting> make_rlw(const MethodOptions& options);

/// PCGrad: each gradient g_t meets the others in an order that is drawn from (seed, step); where what is left of it has
/// a negative product with g_s, it loses its part along g_s. What is left of all is added. For two tasks that is
///
///     a_t = 1 - min(0, g_1.g_2) / |g_t|^2
///
/// \param gram_tt  here and below: (T, T) float64, g_t.g_s \returns here and below: (T) float64, a_t
/// Source: Yu et al. 2020, https://arxiv.org/abs/2001.06782, algorithm 1.
[[nodiscard]] at::Tensor pcgrad_factors(const at::Tensor& gram_tt, std::uint64_t seed, std::int64_t step);
[[nodiscard]] std::unique_ptr<TaskWeighting> make_pcgrad(const MethodOptions& options);

/// CAGrad: T times the vector g_0 + c |g_0| g_w / |g_w|, where g_0 is the mean gradient and g_w = sum_t x_t g_t with x
/// in the simplex makes g_w.g_0 + c |g_0| |g_w| smallest; then divided by 1 + c^2 (rescale 1) or 1 + c (rescale 2). T
/// times (the authors' code: twice, for two tasks), so that c = 0 is `equal`. Where g_w vanishes (gradients that oppose
/// each other), g_0 is left. Source: Liu et al. 2021, https://arxiv.org/abs/2110.14048, algorithm 1.
[[nodiscard]] at::Tensor cagrad_factors(const at::Tensor& gram_tt, double c, std::int64_t rescale);
[[nodiscard]] std::unique_ptr<TaskWeighting> make_cagrad(const MethodOptions& options);

/// MGDA: the point sum_t x_t g_t' of the gradients' convex hull that is nearest to 0, g_t' = g_t / c_t. For two tasks
///
///     x_1 = clip((|g_2'|^2 - g_1'.g_2') / |g_1' - g_2'|^2, 0, 1)
///
/// with c_t = 1 (none), |g_t| (l2), L_t (loss) or L_t |g_t| (loss+). The result is made of the g_t' (the authors' code
/// puts x on the losses instead, which is a descent direction of both only for c_t = 1).
/// Source: Désidéri 2012, https://doi.org/10.1016/j.crma.2012.03.014; Sener and Koltun 2018,
/// https://arxiv.org/abs/1810.04650, eq. 3 and section 3.2.
[[nodiscard]] at::Tensor mgda_factors(const at::Tensor& gram_tt, const at::Tensor& losses_t,
                                      config::GradientNormalisation normalisation);
[[nodiscard]] std::unique_ptr<TaskWeighting> make_mgda(const MethodOptions& options);

/// IMTL-G: sum_t a_t = 1 and a gradient with the same projection on every g_t: a linear system, and even factors where
/// it has no solution. For two tasks that is
///
///     a_1 = |g_2| / (|g_1| + |g_2|)
///
/// Source: Liu et al. 2021, https://openreview.net/forum?id=IMPnRXEWpvr, eq. 5.
[[nodiscard]] at::Tensor imtl_g_factors(const at::Tensor& gram_tt);
[[nodiscard]] std::unique_ptr<TaskWeighting> make_imtl_g(const MethodOptions& options);

/// The a_t of a method as a function of the Gram matrix and the losses.
using GradientFactors =
    std::function<at::Tensor(const at::Tensor& gram_tt, const at::Tensor& losses_t, const Moment& moment)>;

/// Plain losses, gradients combined by `factors`.
[[nodiscard]] std::unique_ptr<TaskWeighting> make_gradient_method(const MethodOptions& options, GradientFactors factors,
                                                                  double max_norm = 0.0);

/// Losses that `uncertainty` weighs, gradients of the weighted losses combined by `factors`.
[[nodiscard]] std::unique_ptr<TaskWeighting> make_uncertainty_with(const MethodOptions& options,
                                                                   GradientFactors factors);

/// IMTL-L: L = sum_t exp(s_t) L_t - s_t, with s_t trained from 0 as for uncertainty.
/// Source: Liu et al. 2021, https://openreview.net/forum?id=IMPnRXEWpvr, section 3.2 and algorithm 1.
[[nodiscard]] std::unique_ptr<TaskWeighting> make_imtl_l(const MethodOptions& options);

/// IMTL: IMTL-L, the gradients of whose exp(s_t) L_t are combined by IMTL-G on top of that.
[[nodiscard]] std::unique_ptr<TaskWeighting> make_imtl(const MethodOptions& options);

/// FAMO: z = softmax(xi), xi from 0;  L = sum_t z_t log D_t / sum_t (z_t / D_t), the denominator held constant,
/// D_t = L_t + 1e-8. After the net's step the losses D_t' of the same batch are computed once more, and xi moves by an
/// Adam with weight decay along
///
///     z_t (delta_t - sum_k z_k delta_k),   delta_t = log D_t - log D_t'
///
/// Source: Liu et al. 2023, https://arxiv.org/abs/2306.03792, algorithm 1.
[[nodiscard]] std::unique_ptr<TaskWeighting> make_famo(const MethodOptions& options);

/// ALSW, as AdaMT-Net's paper means it: L = sum_t w_t L_t, w_t = m_t / sum_k m_k held constant, m_t the mean absolute
/// gradient of L_t at the first layer of task t's decoder. The 2021 code scales both decoders by the first task's w,
/// and its encoder gets g_1 + w_2 g_2.
[[nodiscard]] std::unique_ptr<TaskWeighting> make_alsw(const MethodOptions& options);

/// L = sum_t w_t L_t, w given.
[[nodiscard]] std::unique_ptr<TaskWeighting> make_fixed(const MethodOptions& options);

/// Scale-invariant: L = sum_t log L_t. A task of which a batch has nothing, and so no loss, is left out; here and
/// below. Source: as the FAMO paper compares with it, https://arxiv.org/abs/2306.03792.
[[nodiscard]] StepWeights of_log_losses(const at::Tensor& losses_t);
[[nodiscard]] std::unique_ptr<TaskWeighting> make_si(const MethodOptions& options);

/// Geometric loss strategy: L = (prod_t L_t)^(1/T).
/// Source: Chennupati et al. 2019, https://arxiv.org/abs/1904.08492.
[[nodiscard]] std::unique_ptr<TaskWeighting> make_gls(const MethodOptions& options);

/// Smooth Tchebycheff: L = T mu log sum_t exp(log(L_t / n_t) / mu), n_t the mean loss of epoch number `warm_up_epochs`
/// (from 0); until its end `si`. Source: Lin et al. 2024, https://arxiv.org/abs/2402.19078, of log losses as in the
/// field's code.
[[nodiscard]] std::unique_ptr<TaskWeighting> make_stch(const MethodOptions& options);

/// Soft optimal uncertainty: w = softmax_t(1 / (L_t + 1e-8) / temperature), held constant.
/// Source: Kirchdorfer et al. 2024, https://arxiv.org/abs/2408.07985.
[[nodiscard]] std::unique_ptr<TaskWeighting> make_uw_so(const MethodOptions& options);

/// (T) values, 0 for tasks that have no loss in this batch.
[[nodiscard]] at::Tensor if_any(const at::Tensor& losses_t, const at::Tensor& values_t);

/// Weights that follow from the losses of the step alone.
using LossFactors = std::function<StepWeights(const at::Tensor& losses_t)>;
[[nodiscard]] std::unique_ptr<TaskWeighting> make_loss_method(LossFactors factors);

/// w > 0 with (M w)_t = w_t^(-1/alpha), M the Gram matrix; 0 for a task without a gradient.
///
/// FairGrad: T times that. alpha = 1 is Nash-MTL, and for two tasks a_t = 1 / (|g_t| sqrt(1 + cos)); the result's norm
/// is then sqrt(T) whatever the gradients are, so a max_norm of 1 always shortens it. Source: Ban and Ji 2024,
/// https://arxiv.org/abs/2402.15638; Navon et al. 2022, https://arxiv.org/abs/2202.01017.
[[nodiscard]] at::Tensor fairgrad_factors(const at::Tensor& gram_tt, double alpha);
[[nodiscard]] std::unique_ptr<TaskWeighting> make_fairgrad(const MethodOptions& options);
[[nodiscard]] std::unique_ptr<TaskWeighting> make_nash(const MethodOptions& options);

/// Aligned-MTL: a = sqrt(l_min) M^(-1/2) 1, of M's eigenvalues above T eps(float32) l_max, l_min the smallest of them.
/// Source: Senushkin et al. 2023, https://arxiv.org/abs/2305.19000.
[[nodiscard]] at::Tensor aligned_factors(const at::Tensor& gram_tt);
[[nodiscard]] std::unique_ptr<TaskWeighting> make_aligned(const MethodOptions& options);

/// Gradient vaccine: each gradient meets the others in an order drawn from (seed, step), as for PCGrad; where its
/// cosine c with g_s is below a target h, it becomes g + g_s |g| (h sqrt(1 - c^2) - c sqrt(1 - h^2)) / (|g_s| sqrt(1 -
/// h^2)), whose cosine is h. Then h, from 0, moves by beta towards c. With h = 0 that is PCGrad. \param targets_tt  (T,
/// T) float64, moved \param stream  of the step's orders Source: Wang et al. 2021, https://arxiv.org/abs/2010.05874.
[[nodiscard]] at::Tensor gradvac_factors(const at::Tensor& gram_tt, const at::Tensor& targets_tt, double beta,
                                         RandomStream& stream);
[[nodiscard]] std::unique_ptr<TaskWeighting> make_gradvac(const MethodOptions& options);

/// UPGrad: the mean over t of the vector of the dual cone (no g_s has a negative product with it) that is nearest to
/// g_t. For two tasks half of PCGrad. No regulariser is added to M. Source: Quinton and Rey 2024,
/// https://arxiv.org/abs/2406.16232.
[[nodiscard]] at::Tensor upgrad_factors(const at::Tensor& gram_tt);
[[nodiscard]] std::unique_ptr<TaskWeighting> make_upgrad(const MethodOptions& options);

/// SDMGrad with one batch for its three gradients, as the authors' code in effect runs it: with M' = M over the square
/// of the mean norm, 20 steps of projected descent (momentum 0.5) of w on the simplex along M' (w + lambda / T), from
/// the last step's w; T (w + lambda / T) / (1 + lambda). \param shares_t  (T) float64: w, moved Source: Xiao et al.
/// 2023, https://arxiv.org/abs/2305.18409.
[[nodiscard]] at::Tensor sdmgrad_factors(const at::Tensor& gram_tt, const at::Tensor& shares_t, double lambda,
                                         double learning_rate);
[[nodiscard]] std::unique_ptr<TaskWeighting> make_sdmgrad(const MethodOptions& options);

/// DB-MTL: gradients of log(L_t + 1e-8), of which a moving average g' is kept (g' <- beta g' + (1 - beta) g, the first
/// being g; beta = 0: none), all scaled to the length of the longest. A task's own part gets g_t / L_t.
/// Source: Lin et al. 2023, https://arxiv.org/abs/2308.12029.
[[nodiscard]] at::Tensor db_mtl_factors(const at::Tensor& gram_tt);
[[nodiscard]] std::unique_ptr<TaskWeighting> make_db_mtl(const MethodOptions& options);

/// MoCo: y_t, from 0, moves by beta / sqrt(k) towards L_t g_t / |g_t|, k the number of the step; then w, from 1 / T,
/// becomes softmax(w - learning_rate / sqrt(k) Y Y^T w); the result is sum_t w_t y_t. Source: Fernando et al. 2023,
/// https://openreview.net/forum?id=dLAYGdKTi2, with the constants and the normalisation that the field's code runs it
/// by.
[[nodiscard]] std::unique_ptr<TaskWeighting> make_moco(const MethodOptions& options);

/// ExcessMTL: w_t, from 1, times exp(learning_rate e_t / e_t(first)), scaled to sum T; e_t = sum g_t^2 / sqrt(S_t +
/// 1e-7) over the elements, S_t the sum of g_t^2 over the steps. Source: He et al. 2024,
/// https://arxiv.org/abs/2402.02009.
[[nodiscard]] std::unique_ptr<TaskWeighting> make_excess_mtl(const MethodOptions& options);

/// GradDrop: of each element only the positive or only the negative ones of the tasks' gradients are left, the positive
/// ones with probability (1 + sum_t g_t / (sum_t |g_t| + 1e-8)) / 2, drawn from (seed, step, element).
/// \param gradients_t  (T) of 1-D, changed where they lie \param uniforms  as many float64 in [0, 1)
/// Source: Chen et al. 2020, https://arxiv.org/abs/2010.06808, on the shared parameters, leak 0.
void drop_by_sign(const std::vector<at::Tensor>& gradients_t, const at::Tensor& uniforms);
[[nodiscard]] std::unique_ptr<TaskWeighting> make_graddrop(const MethodOptions& options);

/// Adam (0.9, 0.999) over the values of a method alone.
[[nodiscard]] optim::Adam own_adam(const at::Tensor& values, const at::Tensor& gradients, double weight_decay = 0.0);

}  // namespace xtasc::weighting
