#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Parallel.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>

#include "config/systems.hpp"
#include "core/error.hpp"
#include "data/sampler.hpp"
#include "kernels/augment/augment.hpp"
#include "kernels/upsample/upsample.hpp"
#include "launch/selftest/checks.hpp"
#include "launch/selftest/trial.hpp"
#include "loss/objective.hpp"
#include "model/batch_norm.hpp"
#include "model/unit_vectors.hpp"

namespace xtasc::launch {

namespace {

using config::Precision;

/// The way that every other is held against: the CPU with one thread.
struct Reference {
  ThreadsFor one_thread{1};
  at::Device device = at::kCPU;
};
/// The device; where that is the CPU itself, at least two threads of it.
struct Subject {
  explicit Subject(const Machine& machine) : threads(std::max(2, at::get_num_threads())), device(machine.device) {}
  ThreadsFor threads;
  at::Device device;
};

/// What one step computes.
struct StepValues {
  NamedValues losses, predictions, gradients;
};

/// Of one world of one rank: nothing in here is collective.
StepValues step_values(Precision precision, at::Device device, const std::vector<std::string>& more = {}) {
  const auto solo = dist::make_solo_communicator();
  Trial trial(precision, device, *solo, more);
  const train::StepResult result = trial.compute(trial_batch(7, 4));
  StepValues values;
  const std::vector<std::string> names = train::loss_names(*trial.learner.objective);
  for (std::size_t k = 0; k < names.size(); ++k) {
    values.losses.emplace_back("loss " + names[k], result.losses[static_cast<std::int64_t>(k)].clone());
  }
  for (const auto& [name, tensor] : result.predictions.named()) {
    values.predictions.emplace_back(name, tensor);
  }
  for (const auto& [name, tensor] : trial.learner.net.parameters().parameters()) {
    values.gradients.emplace_back(name, tensor.grad().clone());
  }
  values.gradients = with_influence(std::move(values.gradients), trial.config.model);
  for (auto& [name, gradient] : values.gradients) {
    name.insert(0, "the gradient of ");
  }
  return values;
}

/// The same step both ways.
struct BothWays {
  StepValues found, expected;
};
BothWays both_ways(const Machine& machine, Precision precision, const std::vector<std::string>& more = {}) {
  BothWays both;
  {
    const Subject subject(machine);
    both.found = step_values(precision, subject.device, more);
  }
  const Reference reference;
  both.expected = step_values(precision, reference.device, more);
  return both;
}

Finding compare(const NamedValues& found, const NamedValues& expected, double bound) {
  const Worst worst = worst_deviation(found, expected);
  return at_most(worst.value, bound, worst.name);
}

Finding bf16_follows_fp32(const Machine& machine) {
  const Subject subject(machine);
  const at::Tensor fast = step_values(Precision::bf16, subject.device).losses.back().second;
  const at::Tensor exact = step_values(Precision::fp32, subject.device).losses.back().second;
  check(!at::equal(fast, exact), "bf16 gives the bits of fp32: it did not compute in bf16");
  return at_most(deviation(fast, exact), 0.02, "the total loss");
}

/// One of the repository's own batch norms: output, running statistics, gradients of x, weight and bias.
NamedValues own_batch_norm(const at::Tensor& x_64, const at::Tensor& grad_64, at::ScalarType type, at::Device device,
                           bool relu) {
  model::ParameterSet set(1, device, type);
  const model::BatchNorm norm = model::make_batch_norm(set, "bn", x_64.size(1));
  set.flatten();
  at::Tensor x = x_64.to(device, type).contiguous(at::MemoryFormat::ChannelsLast).requires_grad_(true);
  const at::Tensor y = model::batch_norm(x, norm, {.training = true, .compute = type},
                                         relu ? model::Activation::relu : model::Activation::none);
  (y * grad_64.to(device, type)).sum().backward();
  return {{"y", y},
          {"running_mean", norm.running_mean},
          {"running_var", norm.running_var},
          {"the gradient of x", x.grad()},
          {"the gradient of weight", norm.weight.grad()},
          {"the gradient of bias", norm.bias.grad()}};
}

/// The same by torch's operations, in fp64 on the CPU.
NamedValues torch_batch_norm(const at::Tensor& x_64, const at::Tensor& grad_64, bool relu) {
  const std::int64_t channels = x_64.size(1);
  at::Tensor x = x_64.clone().requires_grad_(true);
  at::Tensor weight = at::ones({channels}, at::kDouble).requires_grad_(true);
  at::Tensor bias = at::zeros({channels}, at::kDouble).requires_grad_(true);
  const at::Tensor mean = at::zeros({channels}, at::kDouble);
  const at::Tensor var = at::ones({channels}, at::kDouble);
  at::Tensor y = at::batch_norm(x, weight, bias, mean, var, /*training=*/true, /*momentum=*/0.1, /*eps=*/1e-5,
                                /*cudnn_enabled=*/false);
  y = relu ? at::relu(y) : y;
  (y * grad_64).sum().backward();
  return {{"y", y},
          {"running_mean", mean},
          {"running_var", var},
          {"the gradient of x", x.grad()},
          {"the gradient of weight", weight.grad()},
          {"the gradient of bias", bias.grad()}};
}

/// \param relu  not in fp32: rounding switches single elements on or off
Finding batch_norm_is_right(const Machine& machine, at::ScalarType type, bool relu, double bound) {
  const Subject subject(machine);
  const at::Generator generator = at::detail::createCPUGenerator(5);
  const at::Tensor x = at::rand({4, 24, 9, 11}, generator, at::kDouble) * 3.0 - 1.0;
  const at::Tensor gradient = at::rand({4, 24, 9, 11}, generator, at::kDouble) - 0.5;
  return compare(own_batch_norm(x, gradient, type, subject.device, relu), torch_batch_norm(x, gradient, relu), bound);
}

/// The element functions, which CUDA's kernels run, against ATen's upsample in fp64: output and gradient, alone and as
/// some channels of a wider tensor, in packs of channels and one by one.
Finding upsample_is_right(const Machine& machine, at::ScalarType type, double bound) {
  const at::Generator generator = at::detail::createCPUGenerator(6);
  Worst worst;
  for (const std::int64_t channels : {16, 7}) {
    const at::Tensor values = (at::rand({3, channels, 12, 20}, generator, at::kDouble) - 0.5).to(type);
    const at::Tensor upper = (at::rand({3, channels, 24, 40}, generator, at::kDouble) - 0.5).to(type);
    const auto both = [&](const at::Tensor& input, at::Tensor (*upsample)(const at::Tensor&)) {
      const at::Tensor x = input.detach().requires_grad_(true);
      const at::Tensor y = upsample(x);
      y.backward(upper.to(y.options()));
      return std::pair{y.detach().cpu(), x.grad().cpu()};
    };
    const auto joined = [](const at::Tensor& x) {
      return kernels::upsample_joined(x, at::zeros({3, 8, 24, 40}, x.options())).narrow(1, 0, x.size(1));
    };
    const auto [y_exact, gradient_exact] = both(values.to(at::kDouble), kernels::upsample_twice);
    for (at::Tensor (*upsample)(const at::Tensor&) : {+joined, &kernels::upsample_by_elements}) {
      const auto [y, gradient] = both(values.to(machine.device), upsample);
      worst.add(deviation(y, y_exact), "output");
      worst.add(deviation(gradient, gradient_exact), "gradient");
    }
  }
  return at_most(worst.value, bound, worst.name);
}

/// The losses in one pass, which CUDA's kernels compute on a GPU, against the plain ones in fp64: sums and gradients of
/// three tasks and all their transfers, an image without labels of one task among them.
Finding fused_losses_are_right(const Machine& machine, at::ScalarType type, double bound) {
  constexpr std::int64_t kImages = 3, kClasses = 7, kHeight = 64, kWidth = 64;
  const at::Generator generator = at::detail::createCPUGenerator(8);
  const task::Tasks tasks = {task::of_key("seg"), task::of_key("depth"), task::of_key("normals")};
  const auto random = [&](std::int64_t channels) {
    return at::randn({kImages, channels, kHeight, kWidth}, generator, at::kDouble);
  };
  loss::Targets truth = {{"seg", at::randint(0, kClasses, {kImages, kHeight, kWidth}, generator, at::kLong)},
                         {"depth", random(1).abs()},
                         {"normals", model::unit_vectors(random(3))}};
  truth.at("seg")[1].fill_(task::kIgnoreLabel);
  truth.at("depth").masked_fill_(random(1) > 1.0, 0.0);
  truth.at("normals").masked_fill_(random(1) > 1.0, 0.0);
  truth[task::flags_key("seg")] = at::tensor({1, 0, 1}, at::kByte);
  std::vector<model::Transfer> transfers;
  NamedValues predictions;
  for (const task::Task& task : tasks) {
    predictions.emplace_back(task.key, random(task.num_channels(kClasses)).to(type));
  }
  for (const task::Task& from : tasks) {
    for (const task::Task& to : tasks) {
      if (from.key != to.key) {
        transfers.push_back({std::string(from.key), std::string(to.key)});
        predictions.emplace_back(transfers.back().name(), random(to.num_channels(kClasses)).to(type));
      }
    }
  }
  const auto objective = loss::make_objective(config::Consistency::xtc, {}, tasks, transfers);
  const auto both = [&](at::Device device, at::ScalarType as, loss::LossForm form) {
    std::vector<at::Tensor> x;
    model::Predictions all;
    for (std::size_t i = 0; i < predictions.size(); ++i) {
      x.push_back(predictions[i].second.detach().clone().to(device, as).requires_grad_(true));
      if (i < tasks.size()) {
        all.direct.emplace(predictions[i].first, x.back());
      } else {
        all.transferred.push_back({transfers[i - tasks.size()], x.back()});
      }
    }
    loss::Targets targets;
    for (const auto& [name, tensor] : truth) {
      targets.emplace(name, tensor.is_floating_point() ? tensor.to(type).to(device, as) : tensor.to(device));
    }
    std::vector<at::Tensor> each;
    for (const loss::SummedLoss& one : objective->losses(all, targets, form)) {
      each.push_back(one.sum);
    }
    const at::Tensor sums = at::stack(each);
    sums.sum().backward();
    NamedValues values = {{"sums", sums.detach().cpu()}};
    for (std::size_t i = 0; i < x.size(); ++i) {
      values.emplace_back("gradient of " + predictions[i].first, x[i].grad().cpu());
    }
    return values;
  };
  const NamedValues found = both(machine.device, type, loss::LossForm::fused);
  const NamedValues exact = both(at::kCPU, at::kDouble, loss::LossForm::plain);
  Worst worst;
  for (std::size_t i = 0; i < found.size(); ++i) {
    worst.add(deviation(found[i].second, exact[i].second), found[i].first);
  }
  return at_most(worst.value, bound, worst.name);
}

/// Stored samples and what augmentation makes of them.
struct Augmented {
  at::Tensor image, label, depth, normals;
};

Augmented augment(at::Device device, bool depth_is_uint16) {
  constexpr std::int64_t kNum = 70;  // more than a kernel's arguments hold
  constexpr std::int64_t kHeight = 64;
  constexpr std::int64_t kWidth = 96;
  const at::Generator generator = at::detail::createCPUGenerator(9);
  const auto bytes = [&](at::IntArrayRef shape, std::int64_t end) {
    return at::randint(0, end, shape, generator, at::kByte).to(device);
  };
  const at::Tensor image = bytes({kNum, kHeight, kWidth, 3}, 256);
  const at::Tensor label = bytes({kNum, kHeight, kWidth}, 20);
  const at::Tensor metres = at::rand({kNum, kHeight, kWidth}, generator, at::kFloat);
  const at::Tensor depth = (depth_is_uint16 ? (metres * 65535.0).to(at::kInt).to(at::kUInt16) : metres).to(device);
  const at::Tensor normals = at::randint(-32767, 32768, {kNum, kHeight, kWidth, 3}, generator, at::kShort).to(device);
  const kernels::SampleStore store = {.image = image.const_data_ptr<std::uint8_t>(),
                                      .label = label.const_data_ptr<std::uint8_t>(),
                                      .depth = depth.const_data_ptr(),
                                      .normals = normals.const_data_ptr<std::int16_t>(),
                                      .depth_is_uint16 = depth_is_uint16,
                                      .height = kHeight,
                                      .width = kWidth,
                                      .mean = {0.485F, 0.456F, 0.406F},
                                      .inverse_std = {1.0F / 0.229F, 1.0F / 0.224F, 1.0F / 0.225F}};
  std::vector<kernels::SampleView> views;
  for (std::int64_t n = 0; n < kNum; ++n) {
    const data::Augmentation a = data::draw_augmentation({}, 3, 0, n, kHeight, kWidth);
    views.push_back({.index = n,
                     .window_y = static_cast<std::int32_t>(a.window_y),
                     .window_x = static_cast<std::int32_t>(a.window_x),
                     .window_height = static_cast<std::int32_t>(a.window_height),
                     .window_width = static_cast<std::int32_t>(a.window_width),
                     .depth_factor = static_cast<float>(1.0 / a.scale),
                     .flip = a.flip ? 1 : 0,
                     .hidden = static_cast<std::uint32_t>(n % 8)});
  }
  const auto options = at::TensorOptions().device(device);
  Augmented out = {at::empty({kNum, kHeight, kWidth, 3}, options.dtype(at::kFloat)),
                   at::empty({kNum, kHeight, kWidth}, options.dtype(at::kLong)),
                   at::empty({kNum, kHeight, kWidth}, options.dtype(at::kFloat)),
                   at::empty({kNum, kHeight, kWidth, 3}, options.dtype(at::kFloat))};
  const kernels::BatchMemory memory = {.image = out.image.mutable_data_ptr<float>(),
                                       .label = out.label.mutable_data_ptr<std::int64_t>(),
                                       .depth = out.depth.mutable_data_ptr<float>(),
                                       .normals = out.normals.mutable_data_ptr<float>()};
  kernels::augment(store, views, memory, device);
  return {out.image.cpu(), out.label.cpu(), out.depth.cpu(), out.normals.cpu()};
}

Finding augmentation_is_right(const Machine& machine, bool depth_is_uint16) {
  const Augmented found = [&] {
    const Subject subject(machine);
    return augment(subject.device, depth_is_uint16);
  }();
  const Augmented expected = [&] {
    const Reference reference;
    return augment(reference.device, depth_is_uint16);
  }();
  if (!at::equal(found.label, expected.label) || !at::equal(found.depth, expected.depth)) {
    return wanted(false, at::equal(found.label, expected.label) ? "depth differs" : "labels differ", "the same bits");
  }
  const double of_image = deviation(found.image, expected.image);
  const double of_normals = deviation(found.normals, expected.normals);
  return at_most(std::max(of_image, of_normals), 1e-6, of_image < of_normals ? "the normals" : "the image");
}

Finding same_bits_twice(const Machine& machine, Precision precision) {
  const auto solo = dist::make_solo_communicator();
  const auto trained = [&] {
    Trial trial(precision, machine.device, *solo);
    for (std::uint64_t i = 0; i < 2; ++i) {
      static_cast<void>(trial.train(trial_batch(i, 3)));
    }
    NamedValues weights;
    for (const auto& [name, tensor] : trial.learner.weights()) {
      weights.emplace_back(name, tensor.clone());
    }
    return weights;
  };
  const std::string difference = first_difference(trained(), trained());
  return difference.empty() ? wanted(true, "2 steps", "the same bits") : failed(difference + " differs");
}

void check_steps(CheckRunner& runner, const Machine& machine) {
  std::optional<BothWays> both;
  const auto run = [&](const std::string& name, NamedValues StepValues::*part, double bound) {
    runner.run("device", name, [&both, part, bound] {
      return both ? compare(both->found.*part, both->expected.*part, bound) : skipped("there was no step");
    });
  };
  for (const Precision precision : {Precision::fp64, Precision::fp32}) {
    const bool exact = precision == Precision::fp64;
    const std::string of = fmt::format("one step in {}, ", config::name(precision));
    both.reset();
    runner.run("device", of + "losses", [&] {
      both = both_ways(machine, precision);
      return compare(both->found.losses, both->expected.losses, exact ? 1e-9 : 1e-5);
    });
    run(of + "predictions", &StepValues::predictions, exact ? 1e-9 : 1e-4);
    if (exact) {  // in fp32 a ReLU's input that rounding pushes over zero moves single gradients by 1e-2
      run(of + "every gradient", &StepValues::gradients, 1e-9);
    }
  }
}

}  // namespace

void check_device(CheckRunner& runner, const Machine& machine) {
  const auto run = [&](const std::string& name, const std::function<Finding()>& check) {
    runner.run("device", name, check);
  };
  check_steps(runner, machine);
  // A SegNet and its attention; that, adaptors and two teachers; sigmoids, factors, dropout and the gradients of ALSW;
  // dilated convolutions and dropout of values.
  for (const auto& [name, assignments] :
       {std::pair{"STAN", std::vector<std::string>{"model.system=stan", "model.tasks=[\"depth\"]"}},
        {"KD4MTL", {"model.system=kd4mtl"}},
        {"AdaMT-Net with ALSW", {"model.system=adamt", "weighting.method=alsw", "model.adamt_attention=per_slot"}},
        {"DeepLab HPS", {"model.system=deeplab"}}}) {
    run(fmt::format("one step of {} in fp32, losses and predictions", name), [&, &assignments = assignments] {
      const BothWays both = both_ways(machine, Precision::fp32, assignments);
      const Finding losses = compare(both.found.losses, both.expected.losses, 1e-5);
      return losses.outcome == Outcome::pass ? compare(both.found.predictions, both.expected.predictions, 1e-4)
                                             : losses;
    });
  }
  run("bf16's loss is near fp32's", [&] { return bf16_follows_fp32(machine); });
  run("batch norm with ReLU in fp64 against torch's",
      [&] { return batch_norm_is_right(machine, at::kDouble, true, 1e-10); });
  run("batch norm in fp32 against torch's", [&] { return batch_norm_is_right(machine, at::kFloat, false, 1e-5); });
  check_norm_passes(runner, machine);
  check_epilogues(runner, machine);
  check_pool(runner, machine);
  run("upsample in fp64 against ATen's", [&] { return upsample_is_right(machine, at::kDouble, 1e-13); });
  run("upsample in fp32", [&] { return upsample_is_right(machine, at::kFloat, 1e-5); });
  run("upsample in bf16", [&] { return upsample_is_right(machine, at::kBFloat16, 1e-2); });
  run("losses in one pass in fp64 against ATen's", [&] { return fused_losses_are_right(machine, at::kDouble, 1e-13); });
  run("losses in one pass in fp32", [&] { return fused_losses_are_right(machine, at::kFloat, 1e-5); });
  run("augmentation: label and depth the same bits, image", [&] { return augmentation_is_right(machine, false); });
  run("augmentation, depth as 16 bits", [&] { return augmentation_is_right(machine, true); });
  run("the same 2 steps twice in fp32", [&] { return same_bits_twice(machine, Precision::fp32); });
  run("the same 2 steps twice in bf16", [&] { return same_bits_twice(machine, Precision::bf16); });
}

}  // namespace xtasc::launch
