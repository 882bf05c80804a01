"""The cases that compare_step.py runs: a witness of each claim for every day, and the whole matrix (`--long`).

Names end in the precision. fp64 cases with 0 steps compare predictions, losses and gradients only; with K steps also
the weights and buffers after K Adam steps.
"""

from __future__ import annotations

import itertools
import json
import sys
from dataclasses import dataclass, replace
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[2] / "launch/bench/peer"))
from peer_nets import NETS
from xtasc.nets.resnet import ENCODERS
from xtasc_peer import Options

SYSTEMS = ("xtasc", "align", "base_mt", "base_st_seg", "base_st_depth")  # the paper's
BATCH = 3  # images of a case
STEPS = 6  # of the daily case that holds a training to the peer
LONG_STEPS = 50
LONG_STEPS_OF_THREE = 20  # rounding grows by a third a step there: 2e-12 after 6, 2e-10 after 20, 7e-3 after 50
SEGNET_STEPS = 20
DEPTH_LOSSES = ("L1", "MSE", "logL1", "smoothL1")
TRANSFERRED_DEPTH_LOSSES = ("L1", "ssim")
TRANSFERRED_SEGMENTATION_LOSSES = ("cross", "kl")
WIDE = Options(encoder="resnet18", lambda_1=0.2, lambda_2=0.35)  # unlike, and large enough to see them swapped
NARROW = replace(WIDE, decoder_width=32, ttnet_widths=(16, 32, 64))  # float64 convolutions are slow
TASKS = ("segmentation", "depth", "normals")
THREE = replace(NARROW, tasks=TASKS, lambda_3=0.5, decoder_width=16, ttnet_widths=(8, 16, 32))
WIDER_TTNET = replace(NARROW, ttnet_widths=(128, 256, 512))


@dataclass(frozen=True)
class Case:
    """One call of the program."""

    name: str
    options: Options
    precision: str = "fp64"
    steps: int = 0
    size: tuple[int, int] = (32, 64)  # height, width
    gaps: str = "some"  # pixels without truth; or "partial"; "no label", "no depth", "no normals", "no truth" in any image
    weights_form: str = "dict"  # how W.pt is saved, see save_weights()
    twice: bool = False  # run it again: the same bits

    def __post_init__(self) -> None:
        height, width = self.size
        object.__setattr__(self, "options", replace(self.options, height=height, width=width, batch_size=BATCH))


def settings(case: Case) -> list[str]:
    """The case as `--set` assignments; what is at its default is left to the program: that is under test too."""
    o, default = case.options, Options()
    names = {
        "model.tasks": "tasks",
        "model.decoder_width": "decoder_width",
        "model.ttnet_widths": "ttnet_widths",
        "model.ttnet_batch_norm": "ttnet_batch_norm",
        "model.cross_stitch": "cross_stitch",
        "model.adamt_attention": "adamt_attention",
        "model.dropout": "dropout",
        "model.transfer": "transfer",
        "model.transfer_pairs": "transfer_pairs",
        "model.transfers_per_task": "transfers_per_task",
        "loss.lambda_3": "lambda_3",
        "loss.depth": "depth",
        "loss.transferred_depth": "transferred_depth",
        "loss.transferred_segmentation": "transferred_segmentation",
        "loss.soft_target": "soft_target",
        "loss.label_smoothing": "label_smoothing",
        "train.weight_decay": "weight_decay",
        "distillation.weight_seg": "weight_seg",
        "distillation.weight_depth": "weight_depth",
        "distillation.weight_normals": "weight_normals",
        "distillation.adaptor_learning_rate": "adaptor_learning_rate",
        "distillation.adaptor_weight_decay": "adaptor_weight_decay",
        "distillation.teacher_batch_norm": "teacher_batch_norm",
        "run.seed": "seed",
    }
    result = [
        f"run.precision={case.precision}",
        "run.device=cpu",
        "run.threads=1",  # and the peer's are --threads
        f"model.system={o.system}",
        f"model.encoder={o.encoder}",
        f"loss.lambda_1={o.lambda_1}",
        f"loss.lambda_2={o.lambda_2}",
        f"weighting.method={o.weighting}",
    ]
    for key, name in names.items():
        value = getattr(o, name)
        if value != getattr(default, name):
            result.append(f"{key}={json.dumps(value) if isinstance(value, (bool, tuple)) else value}")
    return result


def loss_case(name: str, options: Options = NARROW, steps: int = 0, precision: str = "fp64", **losses: object) -> Case:
    return Case(f"loss_{name}_{precision}", replace(options, **losses), precision, steps)


def default_cases() -> list[Case]:
    """Each system, loss, precision and form of weights, and both kinds of block, at least once."""
    return [
        Case(f"xtasc_{STEPS}_steps_fp64", replace(NARROW, weighting="uncertainty"), steps=STEPS,
             weights_form="state_dict"),
        Case("resnet50_base_mt_fp64", replace(NARROW, system="base_mt", encoder="resnet50")),
        Case("paper_widths_xtasc_fp64", replace(WIDE, depth="logL1", num_classes=13, soft_target=True), steps=1,
             weights_form="views"),
        Case("align_fp64", replace(NARROW, system="align", depth="smoothL1"), steps=2),
        Case("base_st_seg_fp64", replace(NARROW, system="base_st_seg"), steps=2),
        Case("base_st_depth_fp64", replace(NARROW, system="base_st_depth", depth="logL1")),
        Case("ttnet_batch_norm_fp64", replace(NARROW, ttnet_batch_norm=True, depth="MSE", transferred_depth="ssim",
                                              transferred_segmentation="kl"), steps=1),
        loss_case("kl_soft_smooth", num_classes=19, transferred_segmentation="kl", soft_target=True,
                  label_smoothing=0.2),
        Case("no_truth_fp64", replace(NARROW, transferred_depth="ssim", transferred_segmentation="kl",
                                      label_smoothing=0.1), steps=2, gaps="no truth"),
        # Of three tasks: each kind of prediction made from each other, each scheme, images without labels.
        Case("three_fp64", replace(THREE, weighting="uncertainty", depth="logL1"), steps=2),
        Case("three_ring_fp64", replace(THREE, transfer="ring", transferred_depth="ssim", transferred_segmentation="kl",
                                        soft_target=True), gaps="partial"),
        Case("three_sample_fp64", replace(THREE, transfer="sample", label_smoothing=0.1), steps=2, gaps="partial"),
        Case("align_pairs_fp64", replace(THREE, system="align", tasks=("normals", "segmentation", "depth"),
                                         transfer_pairs=("seg>normals", "normals>depth", "normals>seg"), lambda_3=None),
             gaps="partial"),
        Case("base_mt_normals_fp64", replace(NARROW, system="base_mt", tasks=("depth", "normals"))),
        Case("base_st_normals_fp64", replace(NARROW, system="base_st", tasks=("normals",)), steps=2),
        # Of the networks of Tables II and IV, which are large: one with all that they are made of, and mixtures.
        Case("mtan_fp64", replace(WIDE, system="mtan", tasks=("depth", "segmentation"), weighting="uncertainty")),
        Case("cross_stitch_fp64", replace(WIDE, system="cross_stitch", cross_stitch="misra")),
        Case("kd4mtl_fp64", replace(WIDE, system="kd4mtl", weighting="uncertainty", weight_seg=0.7, weight_depth=1.3),
             steps=2),
        Case("adamt_fp64", replace(WIDE, system="adamt"), steps=1),
        # Maps of 4 x 16: of the taps at 12 some read pixels, of those at 24 and 36 none.
        Case("deeplab_fp64", replace(WIDE, system="deeplab", weighting="uncertainty", weight_decay=0.1), steps=1,
             size=(32, 128)),
        Case("xtasc_fp32", WIDE, "fp32", size=(64, 64)),
        Case("xtasc_bf16", WIDE, "bf16", size=(64, 64)),
    ]  # fmt: skip


def long_cases() -> list[Case]:
    """The whole matrix: systems, encoders, TTNets and class counts at the paper's widths; the product of all losses."""
    cases = [
        Case("same_bits_bf16", replace(NARROW, transferred_depth="ssim", soft_target=True), "bf16", steps=2, twice=True),
        Case("long_same_bits_fp32", replace(NARROW, transferred_depth="ssim", transferred_segmentation="kl",
                                            soft_target=True), "fp32", steps=3, twice=True),
        Case("long_same_bits_bf16", replace(NARROW, system="align"), "bf16", steps=3, twice=True),
    ]  # fmt: skip
    for system in SYSTEMS:
        options = replace(WIDE, system=system)
        cases.append(Case(f"long_{system}_{LONG_STEPS}_steps_fp64", options, steps=LONG_STEPS))
        cases.append(Case(f"long_{system}_fp32", options, "fp32", size=(64, 64)))
        cases.append(Case(f"long_{system}_bf16", options, "bf16", size=(64, 64)))
    for system in NETS:
        tasks = ("segmentation",) if system == "stan" else ("segmentation", "depth")
        options = replace(WIDE, system=system, tasks=tasks)
        for form in ("mtan", "misra") if system == "cross_stitch" else ("mtan",):
            of_form, name = replace(options, cross_stitch=form), system if form == "mtan" else f"{system}_{form}"
            cases.append(Case(f"long_{name}_{SEGNET_STEPS}_steps_fp64", of_form, steps=SEGNET_STEPS))
            # Cross-Stitch's size is one of those at which no pool has two values that rounding tells apart.
            size = (128, 64) if name == "cross_stitch" else (64, 64)
            cases.append(Case(f"long_{name}_fp32", of_form, "fp32", size=size))
            cases.append(Case(f"long_{name}_bf16", of_form, "bf16", size=(64, 64)))
            cases.append(Case(f"long_no_truth_{name}_fp64", of_form, steps=2, gaps="no truth"))
    cases.append(Case("long_segnet_alone_fp64", replace(WIDE, system="segnet", tasks=("depth",)), steps=2))
    adamt = replace(WIDE, system="adamt")
    cases += [
        Case("long_kd4mtl_teacher_train_fp64", replace(WIDE, system="kd4mtl", teacher_batch_norm="train"), steps=2),
        Case("long_adamt_per_slot_fp64", replace(adamt, adamt_attention="per_slot", seed=7), steps=2),
        Case("long_adamt_alsw_fp64", replace(adamt, weighting="alsw"), steps=2),
        Case("long_adamt_no_dropout_fp64", replace(adamt, dropout=0.0), steps=2),
    ]
    deeplab = replace(WIDE, system="deeplab")
    cases += [
        # Maps of 16 x 28: taps at 12 all read pixels, at 24 along one side, at 36 none.
        Case("long_deeplab_large_fp64", deeplab, size=(128, 224)),
        Case("long_deeplab_resnet50_fp64", replace(deeplab, encoder="resnet50", dropout=0.3, seed=7), steps=1),
        Case("long_deeplab_alone_fp64", replace(deeplab, tasks=("depth",), dropout=0.0), steps=2),
        Case("long_weight_decay_fp64", replace(NARROW, weighting="uncertainty", weight_decay=0.1), steps=5),
    ]
    for encoder, num_classes in itertools.product(ENCODERS, (7, 13, 19)):
        options = replace(WIDE, encoder=encoder, num_classes=num_classes)
        cases.append(Case(f"long_{encoder}_{num_classes}_fp64", options, steps=2))
        soft = replace(options, soft_target=True)  # rounding may flip an arg-max, and deep nets round more
        cases.append(Case(f"long_{encoder}_{num_classes}_fp32", soft, "fp32", size=(64, 64)))
    for wider, batch_norm, num_classes in itertools.product((False, True), (False, True), (7, 13, 19)):
        options = replace(WIDER_TTNET if wider else WIDE, ttnet_batch_norm=batch_norm, num_classes=num_classes)
        name = f"{'wider' if wider else 'base'}{'_bn' if batch_norm else ''}_{num_classes}"
        cases.append(Case(f"long_ttnet_{name}_fp64", options, steps=5))
    for depth, t_depth, t_seg, soft, s in itertools.product(
        DEPTH_LOSSES, TRANSFERRED_DEPTH_LOSSES, TRANSFERRED_SEGMENTATION_LOSSES, (False, True), (0.0, 0.1)
    ):
        options = replace(NARROW, depth=depth, transferred_depth=t_depth, transferred_segmentation=t_seg,
                          soft_target=soft, label_smoothing=s)  # fmt: skip
        name = f"long_loss_{depth}_{t_depth}_{t_seg}{'_soft' if soft else ''}{'_smooth' if s else ''}"
        cases.append(Case(f"{name}_fp64", options, steps=2))
        cases.append(Case(f"{name}_fp32", options, "fp32"))
    for depth, system in itertools.product(DEPTH_LOSSES, ("align", "base_mt", "base_st_depth")):
        options = replace(NARROW, system=system, depth=depth)
        cases.append(Case(f"long_loss_{system}_{depth}_fp64", options, steps=2))
        cases.append(Case(f"long_loss_{system}_{depth}_fp32", options, "fp32"))
    for system, gaps in itertools.product(SYSTEMS, ("no label", "no depth", "no truth")):
        name = f"long_{gaps.replace(' ', '_')}_{system}_fp64"
        cases.append(Case(name, replace(NARROW, system=system), steps=5, gaps=gaps))
    return cases + long_cases_of_three()


def long_cases_of_three() -> list[Case]:
    """Of three tasks: systems, schemes of transfers, images without labels; and other pairs of tasks."""
    wide = replace(WIDE, tasks=TASKS, lambda_3=0.5)
    cases = [Case(f"long_three_xtasc_{LONG_STEPS_OF_THREE}_steps_fp64", wide, steps=LONG_STEPS_OF_THREE)]
    by_name = {system: replace(THREE, system=system) for system in ("xtasc", "align", "base_mt")}
    by_name |= {f"base_st_{task}": replace(THREE, system="base_st", tasks=(task,)) for task in TASKS}
    by_name |= {
        "uncertainty": replace(THREE, weighting="uncertainty"),
        "no_lambda_3": replace(THREE, lambda_3=None),
        "ttnet_batch_norm": replace(THREE, ttnet_batch_norm=True),
        "ring": replace(THREE, transfer="ring"),
        "ring_align": replace(THREE, system="align", transfer="ring"),
        "ring_of_two": replace(NARROW, transfer="ring"),
        "sample_1": replace(THREE, transfer="sample"),
        "sample_2": replace(THREE, transfer="sample", transfers_per_task=2, seed=3),
        "sample_align": replace(THREE, system="align", transfer="sample", seed=5),
        "sample_batch_norm": replace(THREE, transfer="sample", ttnet_batch_norm=True, weighting="uncertainty"),
        "pairs_of_one": replace(THREE, transfer_pairs=("normals>depth", "normals>seg")),
        "pairs_of_two": replace(THREE, transfer_pairs=("depth>normals", "seg>depth")),
    }
    for tasks in itertools.permutations(TASKS, 2):
        by_name["_and_".join(tasks)] = replace(THREE, tasks=tasks, lambda_3=None)
    for name, options in by_name.items():
        cases.append(Case(f"long_three_{name}_fp64", options, steps=4))
        for gaps in ("partial", "no normals", "no truth"):
            cases.append(Case(f"long_three_{name}_{gaps.replace(' ', '_')}_fp64", options, steps=2, gaps=gaps))
        cases.append(Case(f"long_three_{name}_fp32", options, "fp32", size=(64, 64)))
        cases.append(Case(f"long_three_{name}_bf16", options, "bf16", size=(64, 64)))
    for t_depth, t_seg, soft in itertools.product(
        TRANSFERRED_DEPTH_LOSSES, TRANSFERRED_SEGMENTATION_LOSSES, (False, True)
    ):
        options = replace(THREE, transferred_depth=t_depth, transferred_segmentation=t_seg, soft_target=soft)
        name = f"long_three_loss_{t_depth}_{t_seg}{'_soft' if soft else ''}"
        cases.append(Case(f"{name}_fp64", options, steps=2))
        cases.append(Case(f"{name}_partial_fp64", options, steps=2, gaps="partial"))
        cases.append(Case(f"{name}_partial_fp32", options, "fp32", gaps="partial"))
    for system in (name for name in NETS if name != "stan"):
        options = replace(WIDE, system=system, tasks=TASKS, weight_normals=0.6 if system == "kd4mtl" else 1.0)
        cases.append(Case(f"long_three_{system}_fp64", options, steps=2))
        cases.append(Case(f"long_three_{system}_partial_fp64", replace(options, weighting="uncertainty"), gaps="partial"))
        cases.append(Case(f"long_three_{system}_fp32", options, "fp32", size=(64, 64)))
    misra = replace(WIDE, system="cross_stitch", tasks=TASKS, cross_stitch="misra")
    cases += [
        Case("long_three_misra_fp64", misra, steps=2),
        Case("long_three_alsw_fp64", replace(WIDE, system="adamt", tasks=TASKS, weighting="alsw"), steps=2),
        Case("long_three_segnet_alone_fp64", replace(WIDE, system="segnet", tasks=("normals",)), steps=2),
        Case("long_three_stan_alone_fp64", replace(WIDE, system="stan", tasks=("normals",)), steps=2),
        Case("long_three_kd4mtl_teacher_train_fp64", replace(WIDE, system="kd4mtl", tasks=("normals", "segmentation"),
                                                             teacher_batch_norm="train"), steps=2),
    ]  # fmt: skip
    return cases
