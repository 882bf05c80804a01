#include "train/epoch_record.hpp"

#include <fmt/format.h>

#include <tuple>

namespace xtasc::train {

std::string loss_text(const std::array<double, kNumLosses>& losses, config::System system) {
  std::string text = fmt::format("loss {:.4f}", losses[kTotal]);
  if (config::has_segmentation(system)) {
    text += fmt::format(" seg {:.4f}", losses[kSeg]);
  }
  if (config::has_depth(system)) {
    text += fmt::format(" depth {:.4f}", losses[kDepth]);
  }
  return text;
}

std::map<std::string, double> mean_train_losses(const Progress& progress, config::System system) {
  std::map<std::string, double> losses;
  for (std::int64_t i = 0; i < kNumLosses; ++i) {
    const bool is_trained = i == kTotal || (i == kSeg && config::has_segmentation(system)) ||
                            (i == kDepth && config::has_depth(system)) ||
                            ((i == kSegToDepth || i == kDepthToSeg) && config::has_transfer(system));
    if (is_trained && progress.epoch_images > 0) {
      losses[loss_name(i)] =
          progress.epoch_loss_sums[static_cast<std::size_t>(i)] / static_cast<double>(progress.epoch_images);
    }
  }
  return losses;
}

std::map<std::string, double> mean_task_weights(const Progress& progress, config::System system) {
  if (!config::has_segmentation(system) || !config::has_depth(system) || progress.epoch_images == 0) {
    return {};
  }
  const auto images = static_cast<double>(progress.epoch_images);
  return {{"seg", progress.epoch_weight_sums[weighting::kSegmentation] / images},
          {"depth", progress.epoch_weight_sums[weighting::kDepth] / images}};
}

std::string epoch_text(const run::EpochRecord& record, std::int64_t epochs) {
  std::string text = fmt::format("epoch {}/{}: train loss {:.4f}, val loss {:.4f}", record.epoch, epochs,
                                 record.train_loss.at("total"), record.val_loss.at("total"));
  for (const auto& [key, label, factor] : {std::tuple{"miou", "mIoU", 100.0},
                                           {"pix_acc", "PixAcc", 100.0},
                                           {"abs_err", "AbsErr", 1.0},
                                           {"rel_err", "RelErr", 1.0}}) {
    if (const auto found = record.paper.find(key); found != record.paper.end()) {
      text += fmt::format(", {} {:.{}f}", label, found->second * factor, factor > 1.0 ? 2 : 4);
    }
  }
  return text + fmt::format(", {:.1f} images/s{}", record.images_per_second, record.is_best ? ", best so far" : "");
}

}  // namespace xtasc::train
