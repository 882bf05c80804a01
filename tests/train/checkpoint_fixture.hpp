#pragma once

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <string>

#include "core/error.hpp"
#include "support/nets.hpp"
#include "toy/toy.hpp"
#include "train/checkpoint.hpp"
#include "train/step.hpp"

namespace xtasc::train {

namespace fs = std::filesystem;

/// Checkpoints of the toy: what is under test is how they are written and read, not their size.
class CheckpointTest : public testing::Test {
 protected:
  void SetUp() override { fs::create_directories(root_); }
  void TearDown() override { fs::remove_all(root_); }

  /// A learner that has taken some steps, so that every part of its state differs from the start.
  static std::unique_ptr<Learner> trained(int steps) {
    test::add_toys();
    static const config::RunConfig config =
        test::step_config({"run.precision=fp32", "model.system=toy_st_scene", "weighting.method=uncertainty"});
    auto learner = std::make_unique<Learner>(config, 5, at::kCPU);
    const auto communicator = dist::make_solo_communicator();
    Step step(config, *learner, *communicator);
    for (int i = 0; i < steps; ++i) {
      static_cast<void>(step.compute(test::random_batch(static_cast<std::uint64_t>(i), 2, 5, 32, 64)));
      step.update(1e-3);
    }
    return learner;
  }

  /// One of each for all tests, where it is only looked at.
  static const Learner& after(int steps) {
    static std::map<int, std::unique_ptr<Learner>> made;
    auto& learner = made[steps];
    if (!learner) {
      learner = trained(steps);
    }
    return *learner;
  }

  static bool same(const Learner& a, const Learner& b) {
    const auto equal = [](const auto& x, const auto& y) {
      for (std::size_t i = 0; i < x.size(); ++i) {
        if (x[i].first != y[i].first || !at::equal(x[i].second, y[i].second)) {
          return false;
        }
      }
      return x.size() == y.size();
    };
    return equal(a.weights(), b.weights()) && equal(a.optimizer->state(), b.optimizer->state());
  }

  /// In place: a file that shares its bytes with another changes both.
  static void write(const fs::path& path, const std::string& bytes) { std::ofstream(path, std::ios::binary) << bytes; }

  static std::string refusal(const Checkpoint& checkpoint, const RunIdentity& identity) {
    try {
      static_cast<void>(checkpoint.load(*trained(0), identity));
    } catch (const Error& error) {
      return error.what();
    }
    return "accepted";
  }

  fs::path root_ = fs::path(testing::TempDir()) /
                   ("checkpoint_" + std::string(testing::UnitTest::GetInstance()->current_test_info()->name()));
  Checkpoint checkpoint_{root_ / "last"};
  RunIdentity identity_{"train.epochs = 3\ntrain.batch_size = 8\n", "digest"};
};

}  // namespace xtasc::train
