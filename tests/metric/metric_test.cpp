#include "metric/metrics.hpp"

#include <ATen/ATen.h>
#include <ATen/record_function.h>
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <memory>
#include <random>
#include <string_view>

#include "core/error.hpp"

namespace xtasc::metric {
namespace {

constexpr int kHeight = 6;
constexpr int kWidth = 8;
constexpr int kPixels = kHeight * kWidth;

struct Image {
  std::array<int, kPixels> predicted{}, label{};
  std::array<float, kPixels> depth{}, target{};
};
using Images = std::vector<Image>;

// The specification's protocols as plain loops over pixels, without tensors.

void plain_segmentation(const Images& images, int classes, Values& values,
                        std::vector<std::optional<double>>* class_iou = nullptr) {
  double iou_sum = 0.0;
  int present = 0;
  for (int c = 0; c < classes; ++c) {
    int both = 0;
    int either = 0;
    for (const Image& image : images) {
      for (std::size_t i = 0; i < kPixels; ++i) {
        if (image.label[i] != 255) {
          both += image.predicted[i] == c && image.label[i] == c ? 1 : 0;
          either += image.predicted[i] == c || image.label[i] == c ? 1 : 0;
        }
      }
    }
    iou_sum += either > 0 ? static_cast<double>(both) / either : 0.0;
    present += either > 0 ? 1 : 0;
    if (class_iou != nullptr) {
      class_iou->push_back(either > 0 ? std::optional(static_cast<double>(both) / either) : std::nullopt);
    }
  }
  int right = 0;
  int labelled = 0;
  for (const Image& image : images) {
    for (std::size_t i = 0; i < kPixels; ++i) {
      labelled += image.label[i] != 255 ? 1 : 0;
      right += image.label[i] != 255 && image.predicted[i] == image.label[i] ? 1 : 0;
    }
  }
  if (labelled > 0) {
    values["miou"] = iou_sum / present;
    values["pix_acc"] = static_cast<double>(right) / labelled;
  }
}

void plain_depth(const Images& images, Values& values) {
  Values sums;
  int count = 0;
  for (const Image& image : images) {
    for (std::size_t i = 0; i < kPixels; ++i) {
      if (image.target[i] > 0) {
        const double t = static_cast<double>(image.target[i]);
        const double p = static_cast<double>(image.depth[i]);
        const double positive = p < 1e-3 ? 1e-3 : p;
        const double ratio = positive > t ? positive / t : t / positive;
        sums["abs_err"] += std::abs(p - t);
        sums["rel_err"] += std::abs(p - t) / t;
        sums["sq_rel"] += (p - t) * (p - t) / t;
        sums["rmse"] += (p - t) * (p - t);
        sums["irmse"] += std::pow(1 / positive - 1 / t, 2);
        sums["log_irmse"] += std::pow(std::log(1 / positive) - std::log(1 / t), 2);
        sums["delta_1"] += ratio < 1.25 ? 1 : 0;
        sums["delta_2"] += ratio < 1.25 * 1.25 ? 1 : 0;
        sums["delta_3"] += ratio < 1.25 * 1.25 * 1.25 ? 1 : 0;
        ++count;
      }
    }
  }
  for (const auto& [name, sum] : sums) {
    values[name] = name.find("rmse") == std::string::npos ? sum / count : std::sqrt(sum / count);
  }
}

/// Adds up values times weight, by name, and divides by the weights of those that had the name.
class WeightedMean {
 public:
  void add(const Values& values, double weight) {
    for (const auto& [name, value] : values) {
      sums_[name] += weight * value;
      weights_[name] += weight;
    }
  }
  void write_to(Values& values) const {
    for (const auto& [name, sum] : sums_) {
      values[name] = sum / weights_.at(name);
    }
  }

 private:
  Values sums_, weights_;
};

Report plain_report(const Images& images, int classes, std::size_t batch) {
  Report report;
  plain_segmentation(images, classes, report.dataset, &report.class_iou);
  plain_depth(images, report.dataset);
  WeightedMean mean;
  for (std::size_t begin = 0; begin < images.size(); begin += batch) {
    const Images part(images.begin() + static_cast<std::ptrdiff_t>(begin),
                      images.begin() + static_cast<std::ptrdiff_t>(std::min(images.size(), begin + batch)));
    for (const Image& image : part) {
      Values values;
      plain_segmentation({image}, classes, values);
      mean.add(values, 1.0);
    }
    Values values;
    plain_depth(part, values);
    mean.add(values, static_cast<double>(part.size()));
  }
  mean.write_to(report.paper);
  return report;
}

const task::Tasks& both_tasks() {
  static const task::Tasks tasks = {task::of_key("seg"), task::of_key("depth")};
  return tasks;
}

/// Logits whose largest is that of the class.
at::Tensor logits_of(const at::Tensor& predicted_nhw, int classes) {
  return at::one_hot(predicted_nhw, classes).permute({0, 3, 1, 2}).to(at::kFloat);
}

void add_batch(Metrics& metrics, const Images& images, int classes, std::size_t begin, std::size_t end) {
  const auto n = static_cast<std::int64_t>(end - begin);
  const at::Tensor predicted = at::empty({n, kHeight, kWidth}, at::kLong);
  const at::Tensor label = at::empty({n, kHeight, kWidth}, at::kLong);
  const at::Tensor depth = at::empty({n, 1, kHeight, kWidth}, at::kFloat);
  const at::Tensor target = at::empty({n, 1, kHeight, kWidth}, at::kFloat);
  for (std::size_t i = begin; i < end; ++i) {
    const std::size_t offset = (i - begin) * kPixels;
    std::copy(images[i].predicted.begin(), images[i].predicted.end(), predicted.data_ptr<std::int64_t>() + offset);
    std::copy(images[i].label.begin(), images[i].label.end(), label.data_ptr<std::int64_t>() + offset);
    std::copy(images[i].depth.begin(), images[i].depth.end(), depth.data_ptr<float>() + offset);
    std::copy(images[i].target.begin(), images[i].target.end(), target.data_ptr<float>() + offset);
  }
  metrics.add({{"seg", logits_of(predicted, classes)}, {"depth", depth}}, {{"seg", label}, {"depth", target}});
}

/// As the evaluation does it: batches dealt out to the ranks in turn, then summed.
Report measure(const Images& images, int classes, std::size_t batch, std::size_t num_ranks = 1) {
  std::vector<Metrics> ranks;
  for (std::size_t i = 0; i < num_ranks; ++i) {
    ranks.emplace_back(both_tasks(), classes, at::kCPU);
  }
  for (std::size_t begin = 0; begin < images.size(); begin += batch) {
    add_batch(ranks[begin / batch % num_ranks], images, classes, begin, std::min(images.size(), begin + batch));
  }
  std::vector<at::Tensor> totals;
  for (std::size_t i = 1; i < num_ranks; ++i) {
    std::size_t index = 0;
    ranks[i].sum_over_ranks([&](const at::Tensor& tensor) {
      if (index == totals.size()) {
        totals.push_back(at::zeros_like(tensor));
      }
      totals[index++].add_(tensor);
    });
  }
  std::size_t index = 0;
  ranks[0].sum_over_ranks([&](const at::Tensor& tensor) {
    if (index < totals.size()) {
      tensor.add_(totals[index++]);
    }
  });
  return ranks[0].report();
}

void expect_equal(const Values& found, const Values& expected, const std::string& where) {
  ASSERT_EQ(found.size(), expected.size()) << where;
  for (const auto& [name, value] : expected) {
    ASSERT_TRUE(found.contains(name)) << where << name;
    EXPECT_NEAR(found.at(name), value, 1e-12 * std::max(1.0, std::abs(value))) << where << name;
  }
}

void expect_equal(const Report& found, const Report& expected, const std::string& where) {
  expect_equal(found.paper, expected.paper, where + " paper ");
  expect_equal(found.dataset, expected.dataset, where + " dataset ");
  ASSERT_EQ(found.class_iou.size(), expected.class_iou.size());
  for (std::size_t c = 0; c < expected.class_iou.size(); ++c) {
    ASSERT_EQ(found.class_iou[c].has_value(), expected.class_iou[c].has_value()) << where << " class " << c;
    EXPECT_NEAR(found.class_iou[c].value_or(0.0), expected.class_iou[c].value_or(0.0), 1e-12)
        << where << " class " << c;
  }
}

Images random_images(int count, int classes, unsigned seed) {
  std::mt19937 engine(seed);
  std::uniform_real_distribution<float> uniform(0.0F, 1.0F);
  std::normal_distribution<float> normal;
  std::uniform_int_distribution<int> any_class(0, classes - 1);
  Images images(static_cast<std::size_t>(count));
  for (Image& image : images) {
    for (std::size_t i = 0; i < kPixels; ++i) {
      image.predicted[i] = any_class(engine);
      image.label[i] = uniform(engine) < 0.2F ? 255 : any_class(engine);
      image.depth[i] = 1.0F + 0.5F * normal(engine);  // now and then below zero
      image.target[i] = uniform(engine) < 0.2F ? 0.0F : 0.3F + uniform(engine);
    }
  }
  return images;
}

struct Case {
  const char* name;
  void (*change)(Images&);
};

/// What may go wrong in a data set, each on top of random images.
const std::array<Case, 10> kCases = {
    {{"random", [](Images&) {}},
     {"one image without a label", [](Images& images) { images[1].label.fill(255); }},
     {"one batch without a label",
      [](Images& images) {
        images[0].label.fill(255);
        images[1].label.fill(255);
      }},
     {"no label anywhere",
      [](Images& images) {
        for (Image& image : images) {
          image.label.fill(255);
        }
      }},
     {"one image without valid depth", [](Images& images) { images[2].target.fill(0.0F); }},
     {"one batch without valid depth",
      [](Images& images) {
        images[0].target.fill(0.0F);
        images[1].target.fill(0.0F);
      }},
     {"no valid depth anywhere",
      [](Images& images) {
        for (Image& image : images) {
          image.target.fill(0.0F);
        }
      }},
     {"one class alone, found",
      [](Images& images) {
        for (Image& image : images) {
          image.label.fill(2);
          image.predicted.fill(2);
        }
      }},
     {"one class alone, never found",
      [](Images& images) {
        for (Image& image : images) {
          image.label.fill(2);
          image.predicted.fill(0);
        }
      }},
     {"a class absent, and one predicted on ignored pixels alone", [](Images& images) {
        for (Image& image : images) {
          for (std::size_t i = 0; i < kPixels; ++i) {
            image.label[i] = image.label[i] == 1 || image.label[i] == 3 ? 0 : image.label[i];
            image.predicted[i] = image.label[i] == 255 ? 1 : std::min(image.predicted[i], 0);
          }
        }
      }}}};

TEST(Metrics, EqualPlainLoopsWhateverTheCaseTheBatchAndTheRanks) {
  for (const int classes : {4, 7, 13, 19}) {
    for (const Case& one : kCases) {
      Images images = random_images(7, classes, 3);
      one.change(images);
      for (const std::size_t batch : {1, 2, 3, 7, 10}) {
        for (const std::size_t ranks : {1, 2, 3}) {
          expect_equal(measure(images, classes, batch, ranks), plain_report(images, classes, batch),
                       fmt::format("{}, {} classes, batch {}, {} ranks:", one.name, classes, batch, ranks));
        }
      }
    }
  }
}

TEST(Metrics, OnlyThePaperProtocolsDepthDependsOnTheBatch) {
  const Images images = random_images(7, 5, 4);
  const Report one = measure(images, 5, 1);
  const Report all = measure(images, 5, 7);
  expect_equal(one.dataset, all.dataset, "dataset ");
  EXPECT_NEAR(one.paper.at("miou"), all.paper.at("miou"), 1e-12);
  EXPECT_NEAR(one.paper.at("pix_acc"), all.paper.at("pix_acc"), 1e-12);
  EXPECT_NE(one.paper.at("rmse"), all.paper.at("rmse"));
}

TEST(Metrics, NothingToCountIsAbsentNotNan) {
  Images images = random_images(4, 5, 5);
  for (Image& image : images) {
    image.label.fill(255);
    image.target.fill(0.0F);
  }
  const Report report = measure(images, 5, 2);
  EXPECT_TRUE(report.paper.empty());
  EXPECT_TRUE(report.dataset.empty());
  EXPECT_EQ(report.class_iou, std::vector<std::optional<double>>(5));
}

TEST(Metrics, PerfectIsPerfect) {
  Images images = random_images(2, 3, 6);
  for (Image& image : images) {
    image.predicted = image.label;
    std::replace(image.predicted.begin(), image.predicted.end(), 255, 0);
    image.depth = image.target;
  }
  const Report report = measure(images, 3, 2);
  for (const Values* values : {&report.paper, &report.dataset}) {
    EXPECT_DOUBLE_EQ(values->at("miou"), 1.0);
    EXPECT_DOUBLE_EQ(values->at("pix_acc"), 1.0);
    EXPECT_DOUBLE_EQ(values->at("abs_err"), 0.0);
    EXPECT_DOUBLE_EQ(values->at("log_irmse"), 0.0);
    EXPECT_DOUBLE_EQ(values->at("delta_1"), 1.0);
  }
}

TEST(Metrics, LookAtTheirTasksAlone) {
  const Images images = random_images(3, 4, 8);
  const Report both = measure(images, 4, 3);
  for (const task::Task& task : both_tasks()) {
    Metrics metrics({task}, 4, at::kCPU);
    add_batch(metrics, images, 4, 0, 3);
    Values expected;
    for (const auto& [name, value] : both.dataset) {
      if ((name == "miou" || name == "pix_acc") == (task.kind == task::Kind::classes)) {
        expected[name] = value;
      }
    }
    EXPECT_EQ(metrics.report().dataset, expected) << task.key;
    EXPECT_EQ(metrics.report().class_iou.empty(), task.kind != task::Kind::classes) << task.key;
  }
}

/// A batch weighs as many images as have labels of the task, where the pack says that some have none.
TEST(Metrics, ImagesWithoutLabelsGiveABatchNoWeight) {
  Metrics metrics({task::of_key("depth")}, 0, at::kCPU);
  at::Tensor truth = at::full({2, 1, 2, 2}, 2.0, at::kFloat);
  metrics.add({{"depth", truth + 0.5}}, {{"depth", truth}});
  truth = truth.clone();
  truth[1].zero_();
  metrics.add({{"depth", truth + 2.0}}, {{"depth", truth}, {task::flags_key("depth"), at::tensor({1, 0}, at::kByte)}});
  EXPECT_NEAR(metrics.report().paper.at("abs_err"), (2 * 0.5 + 1 * 2.0) / 3, 1e-12);
}

TEST(Metrics, NameTheTaskThatLacksAPredictionOrItsTruth) {
  Metrics metrics(both_tasks(), 3, at::kCPU);
  const ByTask seg = {{"seg", at::zeros({1, 3, 2, 2})}};
  const ByTask truth = {{"seg", at::zeros({1, 2, 2}, at::kLong)}, {"depth", at::ones({1, 1, 2, 2})}};
  const auto message = [&](const ByTask& predictions, const ByTask& of_batch) {
    try {
      metrics.add(predictions, of_batch);
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  EXPECT_EQ(message(seg, truth), "the metrics of task \"depth\" need its prediction in every batch");
  EXPECT_EQ(message(seg, {}), "the metrics of task \"seg\" need its truth in every batch");
}

/// Integer sums need no fixed order; asking for one would cost CUDA a sort and two host waits a batch.
TEST(Metrics, CountsInAnyOrderAndLeavesTheSettingAsItWas) {
  static bool asked_for_order = true;
  static int num_seen = 0;
  const auto handle = at::addThreadLocalCallback(
      at::RecordFunctionCallback([](const at::RecordFunction& function) -> std::unique_ptr<at::ObserverContext> {
        if (std::string_view(function.name()) == "aten::scatter_add_") {
          asked_for_order = at::globalContext().deterministicAlgorithms();
          ++num_seen;
        }
        return nullptr;
      }));
  at::globalContext().setDeterministicAlgorithms(true, /*warn_only=*/true);
  Metrics metrics({task::of_key("seg")}, 3, at::kCPU);
  metrics.add({{"seg", logits_of(at::ones({1, 2, 2}, at::kLong), 3)}}, {{"seg", at::ones({1, 2, 2}, at::kLong)}});
  at::removeCallback(handle);
  EXPECT_TRUE(at::globalContext().deterministicAlgorithms());
  EXPECT_TRUE(at::globalContext().deterministicAlgorithmsWarnOnly());
  at::globalContext().setDeterministicAlgorithms(false, false);
  EXPECT_EQ(num_seen, 1);
  EXPECT_FALSE(asked_for_order);
}

}  // namespace
}  // namespace xtasc::metric
