#include <ATen/ATen.h>

#include "metric/counts.hpp"
#include "metric/task_metrics.hpp"

namespace xtasc::metric {

namespace {

class ClassMetrics final : public TaskMetrics {
 public:
  ClassMetrics(std::int64_t num_classes, at::Device device)
      : num_classes_(num_classes),
        confusion_(at::zeros({num_classes, num_classes}, at::TensorOptions().dtype(at::kLong).device(device))),
        image_sums_(at::zeros({4}, at::TensorOptions().dtype(at::kDouble).device(device))) {}

  void add(const at::Tensor& prediction, const at::Tensor& labels_nhw, const at::Tensor& /*num_labelled*/) override {
    const at::Tensor predicted_nhw = prediction.argmax(1);
    const std::int64_t n = labels_nhw.size(0);
    const std::int64_t c = num_classes_;
    // One bin a (image, label, prediction), and one for what is ignored; integer sums do not depend on their order.
    const at::Tensor image = at::arange(n, labels_nhw.options()).view({n, 1, 1});
    const at::Tensor bin = ((image * c + labels_nhw) * c + predicted_nhw).masked_fill(labels_nhw >= c, n * c * c);
    const at::Tensor matrices = counts_of(bin.flatten(), n * c * c + 1).narrow(0, 0, n * c * c).view({n, c, c});
    confusion_ += matrices.sum(0);

    const at::Tensor hits = matrices.diagonal(0, 1, 2).to(at::kDouble);  // (N, C)
    const at::Tensor unions = matrices.sum(2).to(at::kDouble) + matrices.sum(1).to(at::kDouble) - hits;
    const at::Tensor present = unions > 0;
    const at::Tensor iou = at::where(present, hits / unions.clamp_min(1.0), 0.0);
    const at::Tensor miou = iou.sum(1) / present.sum(1).clamp_min(1);
    const at::Tensor num_labelled = matrices.sum({1, 2}).to(at::kDouble);
    const at::Tensor is_labelled = num_labelled > 0;
    const at::Tensor accuracy = hits.sum(1) / num_labelled.clamp_min(1.0);
    const at::Tensor num_images = is_labelled.sum().to(at::kDouble);
    image_sums_ +=
        at::stack({masked_sum(miou, is_labelled), num_images, masked_sum(accuracy, is_labelled), num_images});
  }

  [[nodiscard]] std::vector<at::Tensor> sums() const override { return {confusion_, image_sums_}; }

  [[nodiscard]] Report report() const override {
    Report report;
    const at::Tensor matrix = confusion_.to(at::kCPU).to(at::kDouble);
    const at::Tensor hits = matrix.diagonal();
    const at::Tensor unions = matrix.sum(1) + matrix.sum(0) - hits;
    double iou_sum = 0.0;
    int num_present = 0;
    for (std::int64_t c = 0; c < num_classes_; ++c) {
      const double overlap = hits[c].item<double>();
      const double together = unions[c].item<double>();
      report.class_iou.push_back(together > 0 ? std::optional(overlap / together) : std::nullopt);
      iou_sum += together > 0 ? overlap / together : 0.0;
      num_present += together > 0 ? 1 : 0;
    }
    const double labelled = matrix.sum().item<double>();
    if (labelled > 0) {
      report.dataset["miou"] = iou_sum / num_present;
      report.dataset["pix_acc"] = hits.sum().item<double>() / labelled;
    }
    const at::Tensor sums = image_sums_.to(at::kCPU);
    if (sums[1].item<double>() > 0) {
      report.paper["miou"] = sums[0].item<double>() / sums[1].item<double>();
      report.paper["pix_acc"] = sums[2].item<double>() / sums[3].item<double>();
    }
    return report;
  }

 private:
  std::int64_t num_classes_;
  at::Tensor confusion_;   ///< (C, C) int64: [label, predicted]
  at::Tensor image_sums_;  ///< (4) float64: sum of mIoU, images with one, sum of pixel accuracy, images with one
};

}  // namespace

std::unique_ptr<TaskMetrics> make_class_metrics(const TaskMetricsOptions& options) {
  return std::make_unique<ClassMetrics>(options.num_classes, options.device);
}

}  // namespace xtasc::metric
