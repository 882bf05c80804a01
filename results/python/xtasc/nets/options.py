"""What decides a network's layers."""

from __future__ import annotations

from dataclasses import dataclass

from xtasc.nets.tasks import KEYS, Transfer, transfers_of

ALONE = {"base_st_seg": ("segmentation",), "base_st_depth": ("depth",)}  # systems whose word says their task


@dataclass(frozen=True)
class NetOptions:
    """A config's keys of [model], by their names there; and what the layers take from the data."""

    system: str = "xtasc"
    tasks: tuple[str, ...] = ("segmentation", "depth")
    transfer: str = "pairs"  # or ring, sample
    transfer_pairs: tuple[str, ...] = ()  # "seg>depth", in the place of transfer
    cross_stitch: str = "mtan"  # or misra
    adamt_attention: str = "shared"  # or per_slot
    dropout: float = 0.5
    encoder: str = "resnet34"
    decoder_width: int = 128
    ttnet_widths: tuple[int, int, int] = (64, 128, 256)
    ttnet_batch_norm: bool = False
    num_classes: int = 7
    height: int = 32  # of the images, for AdaMT-Net's attention
    width: int = 64
    batch_size: int = 3  # slots of per_slot

    @property
    def order(self) -> list[str]:
        """The tasks' keys: seg, depth, normals."""
        return [KEYS[task] for task in ALONE.get(self.system, self.tasks)]

    @property
    def transfers(self) -> list[Transfer]:
        """All that the net has."""
        if self.system not in ("xtasc", "align"):
            return []
        return transfers_of(self.order, self.transfer, self.transfer_pairs)
