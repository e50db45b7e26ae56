"""Methods put together from lightly's modules and losses as its examples (examples/pytorch) do.

Each has `loss(views, step)` of its views [B, C, S, S], and `encoder`, what is evaluated. Arguments are named as ours.
"""

import copy

import torch
from lightly import loss as losses
from lightly.models import utils
from lightly.models.modules import heads
from lightly.models.modules.masked_vision_transformer_decoder_timm import MaskedVisionTransformerDecoderTIMM
from lightly.models.modules.masked_vision_transformer_timm import MaskedVisionTransformerTIMM, init_weights
from lightly.models.utils import deactivate_requires_grad, update_momentum
from lightly.utils.scheduler import cosine_schedule
from torch import nn

from ssl_jax.errors import UserError

Views = list[torch.Tensor]


def _check_layers(name: str, layers: int, wanted: int) -> None:
    if layers != wanted:
        raise UserError(f"lightly's projector of {name} has {wanted} layers, the config's {layers}")


class SimCLR(nn.Module):
    def __init__(
        self,
        backbone: nn.Module,
        *,
        temperature: float,
        projector_hidden: int | None,
        projector_out: int,
        projector_layers: int,
    ):
        super().__init__()
        self.backbone = self.encoder = backbone
        sizes = backbone.num_features, projector_hidden or backbone.num_features, projector_out, projector_layers
        self.projector = heads.SimCLRProjectionHead(*sizes)
        self.criterion = losses.NTXentLoss(temperature=temperature)

    def loss(self, views: Views, step: int) -> torch.Tensor:
        return self.criterion(*(self.projector(self.backbone(view)) for view in views))


class BarlowTwins(nn.Module):
    def __init__(
        self,
        backbone: nn.Module,
        *,
        lambda_: float,
        projector_hidden: int,
        projector_out: int,
        projector_layers: int,
    ):
        super().__init__()
        _check_layers("Barlow Twins", projector_layers, 3)
        self.backbone = self.encoder = backbone
        self.projector = heads.BarlowTwinsProjectionHead(backbone.num_features, projector_hidden, projector_out)
        self.criterion = losses.BarlowTwinsLoss(lambda_param=lambda_)

    def loss(self, views: Views, step: int) -> torch.Tensor:
        return self.criterion(*(self.projector(self.backbone(view)) for view in views))


class VICReg(nn.Module):
    def __init__(
        self,
        backbone: nn.Module,
        *,
        invariance_weight: float,
        variance_weight: float,
        covariance_weight: float,
        projector_hidden: int,
        projector_out: int,
        projector_layers: int,
    ):
        super().__init__()
        self.backbone = self.encoder = backbone
        sizes = backbone.num_features, projector_hidden, projector_out, projector_layers
        self.projector = heads.VICRegProjectionHead(*sizes)
        self.criterion = losses.VICRegLoss(invariance_weight, variance_weight, covariance_weight)

    def loss(self, views: Views, step: int) -> torch.Tensor:
        return self.criterion(*(self.projector(self.backbone(view)) for view in views))


class SimSiam(nn.Module):
    def __init__(
        self,
        backbone: nn.Module,
        *,
        projector_hidden: int,
        projector_out: int,
        projector_layers: int,
        predictor_hidden: int,
    ):
        super().__init__()
        _check_layers("SimSiam", projector_layers, 3)
        self.backbone = self.encoder = backbone
        self.projector = heads.SimSiamProjectionHead(backbone.num_features, projector_hidden, projector_out)
        self.predictor = heads.SimSiamPredictionHead(projector_out, predictor_hidden, projector_out)
        self.criterion = losses.NegativeCosineSimilarity()

    def loss(self, views: Views, step: int) -> torch.Tensor:
        z1, z2 = (self.projector(self.backbone(view)) for view in views)
        there = self.criterion(self.predictor(z1), z2.detach())
        return (there + self.criterion(self.predictor(z2), z1.detach())) / 2


class BYOL(nn.Module):
    def __init__(
        self,
        backbone: nn.Module,
        *,
        momentum: float,
        projector_hidden: int,
        projector_out: int,
        head_layers: str,
        steps: int,
    ):
        super().__init__()
        if head_layers != "torch":
            raise UserError(f"lightly's heads of BYOL have head_layers 'torch', the config's {head_layers!r}")
        self.backbone = self.encoder = backbone
        self.projector = heads.BYOLProjectionHead(backbone.num_features, projector_hidden, projector_out)
        self.predictor = heads.BYOLPredictionHead(projector_out, projector_hidden, projector_out)
        self.target_backbone, self.target_projector = copy.deepcopy(backbone), copy.deepcopy(self.projector)
        deactivate_requires_grad(self.target_backbone)
        deactivate_requires_grad(self.target_projector)
        self.momentum, self.steps = momentum, steps
        self.criterion = losses.NegativeCosineSimilarity()

    def loss(self, views: Views, step: int) -> torch.Tensor:
        momentum = cosine_schedule(step, self.steps, self.momentum, 1.0)
        update_momentum(self.backbone, self.target_backbone, m=momentum)
        update_momentum(self.projector, self.target_projector, m=momentum)
        p1, p2 = (self.predictor(self.projector(self.backbone(view))) for view in views)
        z1, z2 = (self.target_projector(self.target_backbone(view)).detach() for view in views)
        return (self.criterion(p1, z2) + self.criterion(p2, z1)) / 2


class DINO(nn.Module):
    def __init__(
        self,
        backbone: nn.Module,
        *,
        prototypes: int,
        head_hidden: int,
        head_bottleneck: int,
        head_batch_norm: bool,
        learn_gains: bool,
        student_temperature: float,
        teacher_temperature: float,
        warmup_teacher_temperature: float,
        warmup_teacher_steps: int,
        center_momentum: float,
        momentum: float,
        steps: int,
    ):
        super().__init__()
        self.backbone, self.target_backbone = backbone, copy.deepcopy(backbone)
        sizes = backbone.num_features, head_hidden, head_bottleneck, prototypes
        options = dict(batch_norm=head_batch_norm, norm_last_layer=not learn_gains)
        self.head, self.target_head = (heads.DINOProjectionHead(*sizes, **options) for _ in range(2))
        self.target_head.load_state_dict(self.head.state_dict())
        deactivate_requires_grad(self.target_backbone)
        deactivate_requires_grad(self.target_head)
        self.encoder = self.target_backbone
        self.momentum, self.steps = momentum, steps
        self.temperatures = warmup_teacher_temperature, teacher_temperature, warmup_teacher_steps
        self.criterion = losses.DINOLoss(prototypes, student_temp=student_temperature, center_momentum=center_momentum)

    def loss(self, views: Views, step: int) -> torch.Tensor:
        momentum = cosine_schedule(step, self.steps, self.momentum, 1.0)
        update_momentum(self.backbone, self.target_backbone, m=momentum)
        update_momentum(self.head, self.target_head, m=momentum)
        teacher = [self.target_head(self.target_backbone(view)) for view in views[:2]]
        student = [self.head(self.backbone(view)) for view in views]
        start, end, steps = self.temperatures
        temperature = end if step >= steps else start + (end - start) * step / steps
        return self.criterion(teacher, student, teacher_temp=temperature)


class MAE(nn.Module):
    """Of a ViT without a class token; its decoder predicts the hidden patches alone."""

    def __init__(
        self,
        backbone: nn.Module,
        *,
        mask_ratio: float,
        normalize_targets: bool,
        decoder_width: int,
        decoder_depth: int,
        decoder_heads: int,
    ):
        super().__init__()
        self.backbone = self.encoder = MaskedVisionTransformerTIMM(backbone)
        self.mask_ratio, self.normalize_targets = mask_ratio, normalize_targets
        self.patch_size, count = backbone.patch_embed.patch_size[0], backbone.patch_embed.num_patches
        sizes = count, decoder_width, decoder_depth, decoder_heads
        self.decoder = MaskedVisionTransformerDecoderTIMM(*sizes, num_prefix_tokens=0)
        self.embedding = nn.Linear(backbone.embed_dim, decoder_width)
        self.prediction = nn.Linear(decoder_width, backbone.patch_embed.proj.weight[0].numel())
        self.embedding.apply(init_weights)
        self.prediction.apply(init_weights)
        self.criterion = nn.MSELoss()

    def loss(self, views: Views, step: int) -> torch.Tensor:
        (images,) = views
        size = len(images), self.backbone.sequence_length
        options = dict(mask_class_token=True, device=images.device)  # there is none: any token may be hidden
        return self.error(images, *utils.random_token_mask(size, self.mask_ratio, **options))

    def error(self, images: torch.Tensor, seen: torch.Tensor, hidden: torch.Tensor) -> torch.Tensor:
        """The loss where the patches `seen` [B, n] are shown and `hidden` [B, N - n] are predicted."""
        tokens = self.embedding(self.backbone.encode(images, idx_keep=seen))
        empty = tokens.new_zeros(len(images), self.decoder.sequence_length, tokens.shape[-1])
        decoded = self.decoder(utils.set_at_index(empty, seen, tokens), idx_mask=hidden)
        targets = utils.get_at_index(utils.patchify(images, self.patch_size), hidden)
        if self.normalize_targets:
            targets = utils.normalize_mean_var(targets)
        return self.criterion(self.prediction(utils.get_at_index(decoded, hidden)), targets)


METHODS = dict(simclr=SimCLR, byol=BYOL, barlow_twins=BarlowTwins, vicreg=VICReg, simsiam=SimSiam, dino=DINO, mae=MAE)
