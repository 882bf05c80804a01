#include "train/health.hpp"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <set>
#include <utility>
#include <vector>

#include "config/systems.hpp"
#include "core/error.hpp"
#include "core/log.hpp"
#include "dist/communicator.hpp"
#include "kernels/finite/finite_element.hpp"
#include "net/networks.hpp"
#include "optim/finite.hpp"
#include "run/has_tasks.hpp"
#include "task/task.hpp"

namespace xtasc::train {

namespace {

constexpr const char* kAdvice =
    "the run stays at its last checkpoint; try a lower train.learning_rate, or run.precision fp32 instead of bf16";

template <typename... Args>
void require(bool condition, fmt::format_string<Args...> format, Args&&... args) {
  if (!condition) {
    throw Diverged(fmt::format(format, std::forward<Args>(args)...));
  }
}

/// "a label", "a depth", "normals".
std::string truth_of_pixel(const task::Task& task) {
  return fmt::format("{}{}", task.kind == task::Kind::unit_vector ? "" : "a ", task.truth);
}

/// Sum of the bits of all weights as whole numbers: the same on every device, whatever the order.
std::int64_t fingerprint_of(const Learner& learner) {
  const at::Tensor& values = learner.net.parameters().flat_values();
  const at::Tensor bits = values.view(values.scalar_type() == at::kDouble ? at::kLong : at::kInt);
  return bits.sum(at::kLong).item<std::int64_t>();
}

/// A tensor of the state that is not finite, and how much of it; empty: there is none.
std::string fault_of(const Learner& learner) {
  std::vector<std::pair<std::string, at::Tensor>> tensors = learner.weights();
  for (const auto& named : learner.state()) {
    tensors.push_back(named);
  }
  std::erase_if(tensors, [](const auto& named) { return !named.second.is_floating_point(); });
  const optim::FiniteCheck check(learner.net.parameters().device());
  for (const auto& [name, tensor] : tensors) {
    check.add(tensor);
  }
  // Names are looked for only where there is one to find.
  return check.state()[kernels::kIsBad].item<std::int64_t>() == 0 ? "" : optim::first_not_finite(tensors);
}

/// The ranks that say something, by what they say: "rank 1 on n2: ...".
std::string told_by(const dist::MpiSession& session, const std::string& mine) {
  const std::vector<std::string> texts = session.gather(mine.empty() ? "" : dist::host_name() + ": " + mine);
  std::vector<std::string> told;
  for (std::size_t rank = 0; rank < texts.size(); ++rank) {
    if (!texts[rank].empty()) {
      told.push_back(fmt::format("rank {} on {}", rank, texts[rank]));
    }
  }
  return fmt::format("{}", fmt::join(told, "; "));
}

constexpr std::string_view kChoosesTheBest = "no epoch could be called the best";
constexpr std::string_view kSeenAtTheEnd = "the run's numbers would be none";

/// \throws Error where a set has no truth of any of the system's tasks; warns of those of which it has none.
/// \param without_any  what would follow
void check_judges(const config::RunConfig& config, const data::Dataset& judges, const std::string& pack,
                  std::string_view place, std::string_view without_any) {
  const config::System& system = config::system_of(config.model);
  const task::Tasks tasks = config::tasks_of(system);
  std::vector<std::string> truths;
  std::vector<task::Task> judged;
  for (const task::Task& task : tasks) {
    truths.push_back(task.kind == task::Kind::classes ? fmt::format("{}s", task.truth) : std::string(task.truth));
    if (judges.has_truth_of(task.key)) {
      judged.push_back(task);
    }
  }
  check(!judged.empty(), "{}: {} has nothing that {} predicts, {} {}: {}", pack, place, system.word,
        truths.size() > 1 ? "neither" : "no", fmt::join(truths, " nor "), without_any);
  const auto joined = [](const auto& rows, auto member) {
    std::vector<std::string_view> texts;
    std::ranges::transform(rows, std::back_inserter(texts), member);
    return fmt::format("{}", fmt::join(texts, " and "));
  };
  for (const task::Task& task : tasks) {
    if (!judges.has_truth_of(task.key)) {
      log_warning("{}: no pixel of {} has {}: {} by {} alone, {} stay unknown", pack, place, truth_of_pixel(task),
                  without_any == kChoosesTheBest ? "the best epoch is chosen" : "its loss is made",
                  joined(judged, &task::Task::name), joined(task.metrics, &task::Metric::header));
    }
  }
}

}  // namespace

std::vector<double> require_finite_steps(const dist::MpiSession& session, const Step& step, const at::Tensor& losses,
                                         const RunMoment& moment) {
  const at::Tensor all = at::cat({losses.to(at::kDouble), step.losses_check().state().to(at::kDouble),
                                  step.gradients_check().state().to(at::kDouble)})
                             .to(at::kCPU);  // one wait
  const auto* values = all.const_data_ptr<double>();
  std::vector<double> read(values, values + losses.size(0));
  const auto first_bad = [&](std::int64_t check) {
    return static_cast<std::int64_t>(values[losses.size(0) + check * kernels::kFiniteStateSize + kernels::kFirstBad]);
  };
  std::string mine;
  for (const auto& [check, what] :
       {std::pair{0, "the losses of its images are"}, {1, "the gradient of its images is"}}) {
    if (const std::int64_t bad = first_bad(check); bad >= 0 && mine.empty()) {
      mine = fmt::format("{} not finite in step {}", what, moment.start + bad + 1);
    }
  }
  std::string told = told_by(session, mine);
  for (std::size_t k = 0; k < read.size() && told.empty(); ++k) {  // sums of finite numbers that are too large
    if (!std::isfinite(read[k])) {
      told =
          fmt::format("the {} loss of all ranks' images is {} in step {}", step.loss_names()[k], read[k], moment.step);
    }
  }
  require(told.empty(), "training diverged in epoch {}: {}; {}", moment.epoch, told, kAdvice);
  return read;
}

void require_finite_state(const dist::MpiSession& session, const Learner& learner, const RunMoment& moment) {
  const std::string fault = fault_of(learner);
  const std::string told = told_by(session, fault.empty() ? "" : fault + " are not finite");
  require(told.empty(), "training diverged in epoch {}, after step {}: {}; {}", moment.epoch, moment.step, told,
          kAdvice);
  if (session.size() == 1) {
    return;
  }
  const std::vector<std::string> prints = session.gather(fmt::format("{:016x}", fingerprint_of(learner)));
  const std::vector<std::string> hosts = session.gather(dist::host_name());
  for (std::size_t rank = 1; rank < prints.size(); ++rank) {
    require(prints[rank] == prints.front(),
            "epoch {}, after step {}: rank {} on {} holds other weights than rank 0 on {}: a device or memory computes "
            "wrongly, or the hosts' processors round differently; the run stays at its last checkpoint",
            moment.epoch, moment.step, rank, hosts[rank], hosts.front());
  }
}

std::string first_not_finite(const Evaluation& evaluation) {
  for (const auto& [what, values] : {std::pair{"loss", &evaluation.losses},
                                     {"metric of the paper protocol", &evaluation.report.paper},
                                     {"metric of the dataset protocol", &evaluation.report.dataset},
                                     {"consistency energy", &evaluation.consistency}}) {
    for (const auto& [name, value] : *values) {
      if (!std::isfinite(value)) {
        return fmt::format("{} {} is {}", what, name, value);
      }
    }
  }
  return {};
}

void require_finite(const Evaluation& evaluation, const RunMoment& moment, std::string_view of) {
  const std::string fault = first_not_finite(evaluation);
  require(fault.empty(), "training diverged in epoch {}, after step {}: the {} {}; {}", moment.epoch, moment.step, of,
          fault, kAdvice);
}

void check_batch_norm(const config::ModelSection& model, std::int64_t num_images, std::int64_t batch_size,
                      std::int64_t max_steps, std::int64_t height, std::int64_t width, std::int64_t accumulate) {
  const bool reaches_rest = max_steps == 0 || max_steps > num_images / batch_size;
  const std::int64_t rest = reaches_rest ? num_images % batch_size : 0;
  const std::int64_t smallest_batch = rest > 0 ? rest : std::min(batch_size, num_images);
  const std::int64_t smallest = std::max<std::int64_t>(1, smallest_batch / accumulate);  // of its pieces
  if (smallest * net::fewest_normed_pixels(model, height, width) > 1) {
    return;
  }
  const bool size_helps = net::fewest_normed_pixels(model, 2 * height, 2 * width) > 1;
  const bool has_pieces = accumulate > 1;
  fail_usage(
      "batch norm needs two values a channel, but {} has {} image (of {}, train.batch_size = {}{}), which is 1 x 1 at "
      "the network's deepest layer ({} x {} pixels): another train.batch_size{}{}",
      has_pieces                 ? "a piece of a batch"
      : num_images <= batch_size ? "the only batch of an epoch"
      : rest > 0                 ? "the last batch of an epoch"
                                 : "each batch",
      smallest, num_images, batch_size, has_pieces ? fmt::format(", train.accumulate = {}", accumulate) : "", height,
      width, has_pieces ? " or train.accumulate" : "", size_helps ? ", or larger images" : "");
}

void check_targets(const config::RunConfig& config, const data::Splits& splits, const std::string& pack) {
  run::check_has_tasks(splits.train.label_keys(), config.model, pack);
  const config::System& system = config::system_of(config.model);
  for (const task::Task& task : config::tasks_of(system)) {
    const bool has_classes = task.kind == task::Kind::classes;
    check(splits.train.num_with_labels(task.key) > 0,
          "{}: no image of /train has labels of {} (data.label_share = {}, data.one_label = {}), which {} trains: "
          "nothing "
          "can be learnt",
          pack, task.name, config.data.label_share, config.data.one_label, system.word);
    check(splits.train.has_truth_of(task.key),
          "{}: no pixel of /train has {} ({}), and {} trains a {}{}: nothing can be learnt", pack, truth_of_pixel(task),
          has_classes ? "all are 255, ignored" : "all are 0, invalid", system.word, task.name,
          has_classes ? "" : " prediction");
  }
  check_judges(config, splits.val, pack, "/val", splits.held_out ? kSeenAtTheEnd : kChoosesTheBest);
  if (splits.held_out) {
    check_judges(config, *splits.held_out, pack, "the held-out images (data.holdout)", kChoosesTheBest);
  }
}

}  // namespace xtasc::train
