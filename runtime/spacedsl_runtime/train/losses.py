"""Losses of in-place distillation: how far a subnet's answers are from the largest's."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from spacedsl_runtime.quant.lsq import Scalar, straight_through

Logits = Float[Tensor, "n classes"]

ALPHA_LEAST, ALPHA_MOST, RATIO_MOST = -1.0, 1.0, 5.0
"""AlphaNet's alphas, and what it clips (p / q)^alpha to (Wang et al., ICML 2021, Sec. 4)."""


def kl_divergence(student: Logits, teacher: Logits) -> Scalar:
    """KL(teacher || student), mean over the images."""
    return F.kl_div(
        student.log_softmax(1), teacher.log_softmax(1), reduction="batchmean", log_target=True
    )


def adaptive_alpha_divergence(student: Logits, teacher: Logits) -> Scalar:
    """AlphaNet's loss, mean over the images: of the alpha-divergences for the least and the
    greatest alpha the larger one, image by image. One punishes certainty that the teacher lacks,
    the other a lack of certainty that it has."""
    parts = [_alpha_divergence(student, teacher, alpha) for alpha in (ALPHA_LEAST, ALPHA_MOST)]
    return torch.stack(parts).amax(0).mean()


def _alpha_divergence(student: Logits, teacher: Logits, alpha: float) -> Float[Tensor, " n"]:
    """D(p || q) = E_q[((p / q)^alpha - 1) / (alpha (alpha - 1))] of every image, p the teacher's
    and q the student's probabilities; KL(p || q) for alpha 1. Its gradient is that of
    -E_q[rho log q] with rho fixed, rho = (p / q)^alpha / alpha, clipped (AlphaNet, Eq. 7)."""
    log_q, log_p = student.log_softmax(1), teacher.log_softmax(1).detach()
    q, log_ratio = log_q.detach().exp(), log_p - log_q.detach()
    if alpha == 1:
        weight, value = log_p.exp(), log_p.exp() * log_ratio
    else:
        power = (alpha * log_ratio).exp().clamp_max(RATIO_MOST)
        weight, value = q * power / alpha, q * (power - 1) / (alpha * (alpha - 1))
    return straight_through(-(weight * log_q).sum(1), value.sum(1))
