#include "config/run_fields.hpp"

#include <algorithm>
#include <limits>

#include "config/field_list.hpp"
#include "config/methods.hpp"
#include "config/systems.hpp"

namespace xtasc::config {

std::vector<Field> run_fields(RunConfig& c) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  FieldList list;
  const auto predicts = [&c](task::Kind kind) {
    return std::ranges::any_of(tasks_of(system_of(c.model)),
                               [kind](const task::Task& task) { return task.kind == kind; });
  };
  const auto predicts_classes = [predicts] { return predicts(task::Kind::classes); };
  const auto predicts_depth = [predicts] { return predicts(task::Kind::depth); };
  const auto transfers = [&c] { return system_of(c.model).has_transfer(); };
  const auto is_xtc = [&c] { return system_of(c.model).consistency == Consistency::xtc; };

  list.section = "run";
  list.text("name", c.run.name, "First part of the run folder's name; empty: SYSTEM_ENCODER (SYSTEM, without one).")
      .decides_numbers = false;
  list.path("output", c.run.output, "Folder that the run's own folder is made in.").decides_numbers = false;
  list.integer("seed", c.run.seed, 0, "Seed of every random draw: weights, order, augmentation.",
               std::numeric_limits<std::int64_t>::max());
  list.word("device", c.run.device, "Where to compute; auto: CUDA where there is a GPU, else the CPU.").counts = [&c] {
    return c.run.precision != Precision::fp64;  // which is for the CPU alone
  };
  list.word("precision", c.run.precision,
            "fp32 is exact; tf32 (CUDA) and bf16 are faster and say so in every table; fp64 (CPU) is for proofs.");
  list.integer("threads", c.run.threads, 0,
               "Threads a rank on the CPU; 0: the cores of this host shared among its ranks.", 4096)
      .decides_numbers = false;
  list.integer("stall_seconds", c.run.stall_seconds, 0,
               "A run in which no step, evaluation batch or checkpoint gets done for so long ends itself; 0: never.",
               31'536'000)
      .decides_numbers = false;
  list.boolean("share_gpu", c.run.share_gpu,
               "Let ranks share a GPU where there are fewer GPUs than ranks: for tests of NCCL on one GPU, slow.")
      .decides_numbers = false;
  list.boolean(
          "tensorboard", c.run.tensorboard,
          "Write what metrics.jsonl holds, and the losses of single steps, for TensorBoard too: into tensorboard/ in "
          "the run's folder.")
      .decides_numbers = false;
  list.integer("tensorboard_panels", c.run.tensorboard_panels, 0,
               "With tensorboard: a picture of some validation images every so many epochs; 0: none.")
      .decides_numbers = false;
  list.real("peak_tflops", c.run.peak_tflops, 0.0, true, kInfinity,
            "What a rank's device can compute at most, in 1e12 operations a second, for the share of it that training "
            "reaches; 0: a GPU's by its name, a CPU's as a matrix product measures it at the start.")
      .decides_numbers = false;
  list.integers("profile", c.run.profile, 2,
                "First and last step, from 1, of which torch's profiler writes a trace into profile/ in the run's "
                "folder, e.g. [20, 25]; []: none.",
                /*may_be_empty=*/true)
      .decides_numbers = false;

  list.section = "data";
  list.path("pack", c.data.pack, "The pack (.h5) that xtasc-preprocess made. Where it lies makes no other run.")
      .decides_numbers = false;
  list.digest(
      "pack_digest", c.data.pack_digest,
      "What the pack must hold: the digest that xtasc-preprocess prints. Empty: that of the pack as it is, which "
      "is then written here.");
  list.text("label_set", c.data.label_set, "Which labels of the pack, e.g. label_19; empty: its first.").counts =
      predicts_classes;
  list.boolean("flip", c.data.flip, "Mirror training images left to right, with probability 0.5.");
  list.boolean("scale_crop", c.data.scale_crop,
               "Cut a window of 1/s of the size, s from {1.0, 1.2, 1.5}, at a random place and enlarge it again.");
  list.real("label_share", c.data.label_share, 0.0, false, 1.0,
            "Share of the training images whose labels of a task are kept, drawn for each task by the seed; the other "
            "images count as without labels of it.");
  list.boolean(
      "one_label", c.data.one_label,
      "Each training image keeps the labels of one task alone, drawn by the seed among all that the pack has of it, "
      "also those that the system does not predict (Li et al. 2022, arXiv:2111.14893).");
  list.share("holdout", c.data.holdout,
             "Share of the training images that are not trained on and choose the best epoch, drawn by run.seed; the "
             "validation split is then looked at once, at the end. 0: the validation split chooses.");
  list.boolean("normalise", c.data.normalise,
               "Images less the pack's mean, divided by its deviation; false: as they are, between 0 and 1.");
  list.boolean("verify", c.data.verify,
               "Read all of the pack at start and check every byte; without it, each sample is checked as it is read.")
      .decides_numbers = false;

  list.section = "model";
  list.row("system", c.model.system, systems(), helps_of_systems());
  list.words("tasks", c.model.tasks, names_of_tasks(), "What a system predicts that leaves it open, in this order.")
      .is_for_no_other = true;
  list.word(
          "cross_stitch", c.model.cross_stitch,
          "In front of each block: one mixture of the tasks' maps for all tasks, all factors 1 at first (mtan, as the "
          "public code), or one a task and channel (misra, as the paper).")
      .is_for_no_other = true;
  list.word(
          "adamt_attention", c.model.adamt_attention,
          "The factors of AdaMT-Net's attention: one set for all images, or one for each place in the batch (per_slot, "
          "as the 2021 code: train.batch_size of them).")
      .is_for_no_other = true;
  list.share(
          "dropout", c.model.dropout,
          "Share of what a step of training leaves out at each of the network's dropout layers: of channels (adamt), "
          "of single values (deeplab).")
      .is_for_no_other = true;
  list.word(
          "transfer", c.model.transfer,
          "What is predicted from what: each task from every other (pairs), each from the one before it in model.tasks "
          "(ring), or all pairs, of which a step computes transfers_per_task from each task, drawn by the seed "
          "(sample).")
      .is_for_no_other = true;
  list.words("transfer_pairs", c.model.transfer_pairs, pairs_of_tasks(),
             "In the place of model.transfer: these pairs alone, \"FROM>TO\"; [] : as model.transfer says.",
             /*may_be_empty=*/true)
      .is_for_no_other = true;
  list.integer("transfers_per_task", c.model.transfers_per_task, 1,
               "Of transfer = sample: from how many others each step lets a task predict.")
      .is_for_no_other = true;
  list.word("encoder", c.model.encoder, "Size of the ResNet.").is_of_systems = true;
  list.path("encoder_weights", c.model.encoder_weights,
            "A file with torchvision's ResNet weights to start from (.pth or .safetensors; fc.* is not used); empty: "
            "random.")
      .decides_numbers = false;
  list.digest("encoder_weights_digest", c.model.encoder_weights_digest,
              "XXH3-128 of that file; empty: that of the file as it is, which is then written here.")
      .is_of_systems = true;
  list.integer("decoder_width", c.model.decoder_width, 1, "Channels of the decoders' convolutions.").is_of_systems =
      true;
  list.integers("ttnet_widths", c.model.ttnet_widths, 3,
                "Channels of the task-transfer nets' three levels; [128, 256, 512] is the 2021 code's wider_ttnet.")
      .is_of_systems = true;
  list.boolean("ttnet_batch_norm", c.model.ttnet_batch_norm,
               "Batch norm between the task-transfer nets' convolutions and their ReLUs.")
      .is_of_systems = true;

  list.section = "loss";
  list.word("depth", c.loss.depth,
            "Direct depth loss: mean over an image's valid pixels, then over the images that have one (the 2021 code: "
            "NaN "
            "where an image has none, and no mask at all for NYUv2).")
      .counts = predicts_depth;
  list.word(
          "transferred_depth", c.loss.transferred_depth,
          "xtasc's loss of the depth predicted from the segmentation, against the direct one. ssim: mean over 3 x 3 "
          "windows of valid pixels (the 2021 code: over all, invalid pixels as 0, divided by the number of valid "
          "pixels). align uses `depth` and cross entropy, against the truth: other systems than xtasc resolve this key "
          "and the next three to their defaults.")
      .counts = is_xtc;
  list.word("transferred_segmentation", c.loss.transferred_segmentation,
            "xtasc's loss of the segmentation predicted from the depth, against the direct one: mean over labelled "
            "pixels "
            "(the 2021 code: cross divided by all pixels; kl with pixels and classes mixed up, smoothed by s/(C-2)).")
      .counts = is_xtc;
  list.boolean(
          "soft_target", c.loss.soft_target,
          "true: transferred_segmentation's target is the direct softmax, eq. 13 as printed; false: its arg-max, as "
          "in the 2021 code.")
      .counts = is_xtc;
  list.share(
          "label_smoothing", c.loss.label_smoothing,
          "s, by which transferred_segmentation's target q becomes (1 - s) q + s/(C-1) (1 - q): for the arg-max 1 - s, "
          "and s/(C-1) for each other class.")
      .counts = is_xtc;
  list.real("lambda_1", c.loss.lambda_1, 0.0, true, 1.0,
            "Share of the transferred losses in the first task's (eq. 11); 0 in systems that transfer nothing.")
      .counts = transfers;
  list.real("lambda_2", c.loss.lambda_2, 0.0, true, 1.0,
            "Share of the transferred losses in every other task's (eq. 11); 0 in systems that transfer nothing.")
      .counts = transfers;
  list.real("lambda_3", c.loss.lambda_3, LossSection::kAsLambda2, true, 1.0,
            "The same in the third task's and those behind it; -1: lambda_2.")
      .counts = [&c] { return system_of(c.model).has_transfer() && system_of(c.model).tasks.size() > 2; };

  list.section = "distillation";
  for (const task::Task& task : task::all()) {
    DistillationSection::Teacher& teacher = c.distillation.teachers[std::string(task.key)];
    Field& path = list.path(fmt::format("teacher_{}", task.key), teacher.weights,
                            fmt::format("The teacher of {}: the folder of a stan run that is DONE, whose best weights "
                                        "count, or a file of such weights.",
                                        task.name));
    path.decides_numbers = false;
    path.is_for_no_other = true;
    list.digest(fmt::format("teacher_{}_digest", task.key), teacher.digest,
                "What it must be: of a file XXH3-128; of a run's folder that of what the run is known by, whose first "
                "digits end the folder's name. Empty: as it is, which is then written here.")
        .is_for_no_other = true;
    list.real(fmt::format("weight_{}", task.key), teacher.weight, 0.0, true, kInfinity,
              fmt::format("Factor of the distillation loss of {}, which is added after weighting.", task.name))
        .is_for_no_other = true;
  }
  list.word("teacher_batch_norm", c.distillation.teacher_batch_norm,
            "Teachers see a batch as in evaluation, or by its own statistics (train, as the public code).")
      .is_for_no_other = true;
  list.real("adaptor_learning_rate", c.distillation.adaptor_learning_rate, 0.0, false, kInfinity,
            "Of the adaptors' own Adam, the same in every epoch.")
      .is_for_no_other = true;
  list.real("adaptor_weight_decay", c.distillation.adaptor_weight_decay, 0.0, true, kInfinity,
            "Of the adaptors' own Adam: so much of the values is added to their gradients.")
      .is_for_no_other = true;

  list.section = "weighting";
  list.row("method", c.weighting.method, methods(),
           "How the tasks' losses are weighted; systems of one task always resolve to equal.");
  list.word(
      "parameters", c.weighting.parameters,
      "Whose gradients are compared and combined: those of what all tasks share, each task keeping its own, or all.");
  list.word("losses", c.weighting.losses,
            "Whose gradients are combined: of the losses as they are, or as uncertainty weighs them.");
  list.word(
      "heads", c.weighting.heads,
      "What a method on gradients does to each task's own part of the net: nothing (plain), or its gradient gets the "
      "task's factor, too (weighted). The default is each method's as its authors run it; parameters = all combines "
      "everything.");
  list.word("scale", c.weighting.scale,
            "Factors as of a sum of the tasks, or as of their mean: 1/T of that; plain heads keep their gradient. The "
            "default "
            "is each method's as its authors run it.");
  list.reals("weights", c.weighting.weights, "Factors of the tasks' losses, in their order; []: 1 each.");
  list.word(
      "distribution", c.weighting.distribution,
      "What is drawn at each step: the softmax of normal numbers, Dirichlet(1), or uniform numbers over their sum.");
  list.real("regulariser", c.weighting.regulariser, 0.0, false, 1.0,
            "Factor of s_t in 0.5 exp(-s_t) L_t + regulariser s_t; 0.5 is Kendall et al.'s.");
  list.real("learning_rate", c.weighting.learning_rate, 0.0, true, kInfinity,
            "Of the method's own values; 0: the model's" + other_rates() + ".");
  list.real("alpha", c.weighting.alpha, 0.0, true, kInfinity,
            "gradnorm: how strongly the task that learns more slowly is pulled ahead. fairgrad (2.0): (M w)_t = "
            "w_t^(-1/alpha); 1 is nash, 0 equal.");
  list.real(
      "beta", c.weighting.beta, 0.0, true, 1.0,
      "gradvac: by how much a step moves the cosines that it aims at; db_mtl (0.9): share of the average so far in a "
      "gradient's moving average, 0: none is kept; moco: its step, divided by the root of the step's number.");
  list.real("temperature", c.weighting.temperature, 0.0, false, kInfinity,
            "The larger, the more even the weights; for uw_so (1.0) of the order of the largest 1 / L_t.");
  list.real("mu", c.weighting.mu, 0.0, false, kInfinity,
            "Smoothness of the maximum over the tasks: the smaller, the more the worst task counts.");
  list.integer("warm_up_epochs", c.weighting.warm_up_epochs, 0,
               "Epochs that minimise the sum of the losses' logarithms; so does the one behind them, whose mean losses "
               "the losses of all later ones are compared with.");
  list.real("lambda", c.weighting.lambda, 0.0, true, kInfinity, "Pull towards the mean gradient.");
  list.real("c", c.weighting.c, 0.0, true, 1.0, "Radius around the mean gradient, in its norm; 0 is equal.");
  list.integer("rescale", c.weighting.rescale, 0, "Divides the gradient by 1 (0), 1 + c^2 (1) or 1 + c (2).");
  list.word("normalisation", c.weighting.normalisation,
            "Gradients are first divided by nothing, their norm, the loss, or loss times norm.");
  list.real("weight_decay", c.weighting.weight_decay, 0.0, true, kInfinity,
            "Of the logits, towards even weights; the authors use 0.001 on NYUv2 and 0.01 on Cityscapes.");
  list.real("max_norm", c.weighting.max_norm, 0.0, true, kInfinity,
            "The net's gradient is shortened to this norm at most; 0: never.");

  list.section = "train";
  list.integer("epochs", c.train.epochs, 1, "Passes over the training set.");
  list.integer("batch_size", c.train.batch_size, 1, "Images a step over all ranks: the ranks split it.");
  list.integer(
      "accumulate", c.train.accumulate, 1,
      "Pieces that a batch is computed in, one after the other; their sum is the batch's gradient, but for "
      "batch norm, which sees a piece. For weighting methods whose weights follow from no gradient and no loss "
      "of the step.");
  list.integer("max_steps", c.train.max_steps, 0, "Stop after this many optimizer steps; 0: no limit.");
  list.integer("patience", c.train.patience, 0,
               "Stop when so many epochs in turn were not better than the best; 0: never.");
  list.word("optimizer", c.train.optimizer,
            "What moves the network, and what a weighting method trains with it, as PyTorch's.");
  list.real("learning_rate", c.train.learning_rate, 0.0, false, kInfinity,
            "The learning rate that schedule begins with.");
  list.real(
      "weight_decay", c.train.weight_decay, 0.0, true, kInfinity,
      "So much of the network's values is added to their gradients (adam, sgd), or, times the learning rate, taken "
      "off them (adamw).");
  list.real("momentum", c.train.momentum, 0.0, true, 1.0, "sgd: share of the last step's direction that goes on.")
      .counts = [&c] { return c.train.optimizer == Optimizer::sgd; };
  list.betas("betas", c.train.betas, "adam, adamw: decay rates; []: [0.9, 0.99]" + other_betas() + ".").counts = [&c] {
    return c.train.optimizer != Optimizer::sgd || system_of(c.model).uses("distillation.");
  };
  list.word("schedule", c.train.schedule,
            "step: times lr_gamma every lr_step epochs; cosine, poly: down to 0 at the run's last step, step by step.");
  const auto falls_by_step = [&c] { return c.train.schedule == Schedule::step; };
  list.integer("lr_step", c.train.lr_step, 1, "step: the learning rate is multiplied by lr_gamma every so many epochs.")
      .counts = falls_by_step;
  list.real("lr_gamma", c.train.lr_gamma, 0.0, false, 1.0, "step: see lr_step.").counts = falls_by_step;
  list.real("poly_power", c.train.poly_power, 0.0, false, kInfinity, "poly: power of the share of steps that is left.")
      .counts = [&c] { return c.train.schedule == Schedule::poly; };
  list.integer("warmup_steps", c.train.warmup_steps, 0,
               "In the first N steps the rate is 1/N, 2/N, ... N/N of itself; cosine and poly begin behind them.");
  list.real("clip_norm", c.train.clip_norm, 0.0, true, kInfinity,
            "The network's gradient is shortened to this norm at most, behind all that a weighting method does to it, "
            "as PyTorch's clip_grad_norm_; 0: never.");
  list.boolean("deterministic", c.train.deterministic,
               "The same bits from the same run; false lets CUDA choose faster kernels.");
  list.boolean("rewrites", c.train.rewrites,
               "Compute layers in forms that are equal in real arithmetic and cost less; false: the plain forms.")
      .decides_numbers = false;
  list.boolean("pad_channels", c.train.pad_channels,
               "On a GPU: convolutions whose channels are no multiple of 8 (1, 3, 7, 13) compute with zeros in the "
               "others, for the sake of tensor cores. Not run on a GPU yet.")
      .decides_numbers = false;
  list.boolean(
          "activation_checkpointing", c.train.activation_checkpointing,
          "Task-transfer nets keep their input only and are computed a second time in backward: less memory, longer "
          "steps, the same numbers.")
      .decides_numbers = false;
  list.real("bucket_mib", c.train.bucket_mib, 0.0, false, kInfinity,
            "Gradients are summed over the ranks in pieces of this size, MiB.")
      .decides_numbers = false;  // like the number of ranks, it moves the order of a sum at most
  list.boolean("cuda_graph", c.train.cuda_graph,
               "On a GPU: steps are captured once for each batch size and then replayed as CUDA graphs; where that is "
               "impossible the log says why. Not run on a GPU yet.")
      .decides_numbers = false;

  list.section = "evaluate";
  list.integer("batch_size", c.evaluate.batch_size, 1,
               "Batch of the `paper` protocol, whose depth errors depend on it; the same whatever the ranks.")
      .counts = predicts_depth;
  list.mark_keys_of_rows(c.model, c.weighting);
  return std::move(list.fields);
}

void for_changed_keys_of_methods(RunConfig config, const std::function<void(const Field&)>& call) {
  RunConfig defaults;
  const auto fields = run_fields(config);
  const auto default_fields = run_fields(defaults);
  for (std::size_t i = 0; i < fields.size(); ++i) {
    if (!fields[i].methods.empty() && fields[i].print() != default_fields[i].print()) {
      call(fields[i]);
    }
  }
}

}  // namespace xtasc::config
