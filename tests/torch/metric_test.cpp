#include "metric/metrics.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <set>

namespace xtasc::metric {
namespace {

struct Sample {
  at::Tensor predicted, label, depth, target;  ///< (H, W) each
};

/// Both protocols, written as plain loops over pixels.
struct Plain {
  static std::optional<double> miou(const std::vector<Sample>& samples, int classes) {
    double sum = 0.0;
    int present = 0;
    for (int c = 0; c < classes; ++c) {
      std::int64_t both = 0;
      std::int64_t either = 0;
      for (const Sample& s : samples) {
        const at::Tensor labelled = s.label != 255;
        both += ((s.predicted == c) & (s.label == c)).sum().item<std::int64_t>();
        either += (((s.predicted == c) & labelled) | (s.label == c)).sum().item<std::int64_t>();
      }
      if (either > 0) {
        sum += static_cast<double>(both) / static_cast<double>(either);
        ++present;
      }
    }
    return present > 0 ? std::optional(sum / present) : std::nullopt;
  }

  static std::optional<double> accuracy(const std::vector<Sample>& samples) {
    std::int64_t right = 0;
    std::int64_t labelled = 0;
    for (const Sample& s : samples) {
      right += (s.predicted == s.label).sum().item<std::int64_t>();
      labelled += (s.label != 255).sum().item<std::int64_t>();
    }
    return labelled > 0 ? std::optional(static_cast<double>(right) / static_cast<double>(labelled)) : std::nullopt;
  }

  /// abs_err, rel_err, rmse, delta_1 over the valid pixels of some samples.
  static std::optional<std::array<double, 4>> depth(const std::vector<Sample>& samples) {
    std::array<double, 4> sums{};
    int count = 0;
    for (const Sample& s : samples) {
      const auto* p = s.depth.const_data_ptr<float>();
      const auto* t = s.target.const_data_ptr<float>();
      for (std::int64_t i = 0; i < s.target.numel(); ++i) {
        if (t[i] > 0) {
          const double difference = static_cast<double>(p[i]) - static_cast<double>(t[i]);
          sums[0] += std::abs(difference);
          sums[1] += std::abs(difference) / static_cast<double>(t[i]);
          sums[2] += difference * difference;
          const double positive = std::max(static_cast<double>(p[i]), 1e-3);
          sums[3] +=
              std::max(positive / static_cast<double>(t[i]), static_cast<double>(t[i]) / positive) < 1.25 ? 1.0 : 0.0;
          ++count;
        }
      }
    }
    if (count == 0) {
      return std::nullopt;
    }
    return std::array<double, 4>{sums[0] / count, sums[1] / count, std::sqrt(sums[2] / count), sums[3] / count};
  }
};

std::vector<Sample> random_samples(int count, int classes) {
  at::manual_seed(3);
  std::vector<Sample> samples;
  for (int n = 0; n < count; ++n) {
    Sample s{at::randint(0, classes, {6, 8}, at::kLong), at::randint(0, classes, {6, 8}, at::kLong), at::randn({6, 8}),
             at::rand({6, 8}) + 0.5};
    s.label.masked_fill_(at::rand({6, 8}) < 0.2, 255);
    s.target.masked_fill_(at::rand({6, 8}) < 0.2, 0.0);
    samples.push_back(s);
  }
  samples[1].label.fill_(255);   // nothing labelled
  samples[2].target.fill_(0.0);  // nothing valid
  samples[3].label.fill_(2);     // one class alone
  samples[3].predicted.fill_(2);
  return samples;
}

Report measure(const std::vector<Sample>& samples, int classes, std::size_t batch) {
  Metrics metrics(classes, true, at::kCPU);
  for (std::size_t begin = 0; begin < samples.size(); begin += batch) {
    std::array<std::vector<at::Tensor>, 4> parts;
    for (std::size_t i = begin; i < std::min(samples.size(), begin + batch); ++i) {
      const Sample& s = samples[i];
      parts[0].push_back(s.predicted);
      parts[1].push_back(s.label);
      parts[2].push_back(s.depth.unsqueeze(0));
      parts[3].push_back(s.target.unsqueeze(0));
    }
    metrics.add(at::stack(parts[0]), at::stack(parts[1]), at::stack(parts[2]), at::stack(parts[3]));
  }
  return metrics.report();
}

TEST(Metrics, DatasetProtocolEqualsPlainLoops) {
  const auto samples = random_samples(7, 5);
  const Report report = measure(samples, 5, 3);
  EXPECT_NEAR(report.dataset.at("miou"), *Plain::miou(samples, 5), 1e-12);
  EXPECT_NEAR(report.dataset.at("pix_acc"), *Plain::accuracy(samples), 1e-12);
  const auto depth = *Plain::depth(samples);
  EXPECT_NEAR(report.dataset.at("abs_err"), depth[0], 1e-12);
  EXPECT_NEAR(report.dataset.at("rel_err"), depth[1], 1e-12);
  EXPECT_NEAR(report.dataset.at("rmse"), depth[2], 1e-12);
  EXPECT_NEAR(report.dataset.at("delta_1"), depth[3], 1e-12);
}

TEST(Metrics, PaperProtocolEqualsPlainLoops) {
  const auto samples = random_samples(7, 5);
  const Report report = measure(samples, 5, 3);
  double miou = 0.0;
  double accuracy = 0.0;
  int images = 0;
  for (const Sample& s : samples) {
    if (const auto one = Plain::accuracy({s})) {
      miou += *Plain::miou({s}, 5);
      accuracy += *one;
      ++images;
    }
  }
  EXPECT_EQ(images, 6);
  EXPECT_NEAR(report.paper.at("miou"), miou / images, 1e-12);
  EXPECT_NEAR(report.paper.at("pix_acc"), accuracy / images, 1e-12);
  std::array<double, 4> sums{};
  double weight = 0.0;
  for (std::size_t begin = 0; begin < samples.size(); begin += 3) {
    const std::vector<Sample> batch(samples.begin() + static_cast<std::ptrdiff_t>(begin),
                                    samples.begin() + static_cast<std::ptrdiff_t>(std::min(samples.size(), begin + 3)));
    const auto depth = *Plain::depth(batch);
    for (std::size_t i = 0; i < 4; ++i) {
      sums[i] += depth[i] * static_cast<double>(batch.size());
    }
    weight += static_cast<double>(batch.size());
  }
  EXPECT_NEAR(report.paper.at("abs_err"), sums[0] / weight, 1e-12);
  EXPECT_NEAR(report.paper.at("rel_err"), sums[1] / weight, 1e-12);
  EXPECT_NEAR(report.paper.at("rmse"), sums[2] / weight, 1e-12);
  EXPECT_NEAR(report.paper.at("delta_1"), sums[3] / weight, 1e-12);
}

TEST(Metrics, SegmentationDoesNotDependOnTheBatch) {
  const auto samples = random_samples(7, 5);
  const Report one = measure(samples, 5, 1);
  const Report all = measure(samples, 5, 7);
  EXPECT_NEAR(one.paper.at("miou"), all.paper.at("miou"), 1e-12);
  EXPECT_NEAR(one.dataset.at("abs_err"), all.dataset.at("abs_err"), 1e-12);
}

TEST(Metrics, NothingToCountIsAbsentNotNan) {
  std::vector<Sample> samples = random_samples(4, 5);
  for (Sample& s : samples) {
    s.label.fill_(255);
    s.target.fill_(0.0);
  }
  const Report report = measure(samples, 5, 2);
  EXPECT_TRUE(report.paper.empty());
  EXPECT_TRUE(report.dataset.empty());
  EXPECT_EQ(report.class_iou, std::vector<std::optional<double>>(5));
}

TEST(Metrics, PerfectIsPerfect) {
  const at::Tensor label = at::randint(0, 3, {2, 4, 4}, at::kLong);
  const at::Tensor depth = at::rand({2, 1, 4, 4}) + 0.5;
  Metrics metrics(3, true, at::kCPU);
  metrics.add(label, label, depth, depth);
  const Report report = metrics.report();
  for (const Values* values : {&report.paper, &report.dataset}) {
    EXPECT_DOUBLE_EQ(values->at("miou"), 1.0);
    EXPECT_DOUBLE_EQ(values->at("pix_acc"), 1.0);
    EXPECT_DOUBLE_EQ(values->at("abs_err"), 0.0);
    EXPECT_DOUBLE_EQ(values->at("log_irmse"), 0.0);
    EXPECT_DOUBLE_EQ(values->at("delta_1"), 1.0);
  }
}

}  // namespace
}  // namespace xtasc::metric
