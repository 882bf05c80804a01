"""The networks in plain PyTorch, with the tensor names of the project's weights files.

Written from the papers and the project's specification, never from the C++: what the programs compute is proved against
them. Each takes (N, 3, H, W), normalised, and gives a dict by task: seg (N, C, H, W) logits; depth (N, 1, H, W); normals
(N, 3, H, W) of any length.
"""

from __future__ import annotations

from torch import nn

from xtasc.nets import segnet
from xtasc.nets.adamt import AdaMt
from xtasc.nets.crosstask import CrossTaskNet
from xtasc.nets.deeplab import Deeplab
from xtasc.nets.options import NetOptions

__all__ = ["NETS", "SYSTEMS", "NetOptions", "make_net"]

SYSTEMS = ("xtasc", "align", "base_mt", "base_st", "base_st_seg", "base_st_depth")  # the paper's own
NETS = {**segnet.NETS, "adamt": AdaMt, "deeplab": Deeplab}


def make_net(options: NetOptions) -> nn.Module:
    """The network of a system, with random weights.

    Raises:
        ValueError: for a word that names no system.
    """
    if options.system in NETS:
        return NETS[options.system](options)
    if options.system not in SYSTEMS:
        raise ValueError(f'system "{options.system}" is none of {", ".join((*SYSTEMS, *NETS))}')
    return CrossTaskNet(options)
