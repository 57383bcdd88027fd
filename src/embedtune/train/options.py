"""How a model's weights are trained, in groups: what is learnt, in which steps, judged by what, on which machine."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import Field, field_validator

from embedtune.options import Options

__all__ = ["TrainOptions"]


class LossOptions(Options):
    """What is learnt."""

    loss: str = Field(
        default="infonce",
        description="infonce: pairs, with or without hard negatives. gist: the same, a guide model takes out false "
        "negatives. distill-kl, margin-mse: the teacher's scores that embedtune mine keeps. cosent: scored pairs.",
    )
    scale: float | None = Field(
        default=None,
        gt=0,
        description="1 / temperature. Default: the base model's own where it is known (50 for BGE v1.5, 100 for E5, 20 "
        "for all-MiniLM), else the one under which the base model explains val best.",
    )
    guide: str | None = Field(
        default=None, description="Model that takes out false negatives in gist; default: the base model as it was."
    )
    infonce_weight: float = Field(
        default=0.0, ge=0, description="How much of infonce distill-kl adds to itself; 0.1 is a good start."
    )
    teacher_temperature: float = Field(
        default=1.0, gt=0, description="Divides the teacher's scores; about 0.1 for scores between 0 and 1."
    )
    matryoshka_dims: tuple[int, ...] = Field(
        default=(),
        description="Lengths at which the vectors are to work when cut, such as 384,256,128,64; the full length "
        "belongs among them.",
    )

    @field_validator("matryoshka_dims", mode="before")
    @classmethod
    def _split_at_commas(cls, value: object) -> object:
        if isinstance(value, str):
            value = [value]
        if isinstance(value, Iterable):
            return tuple(part for item in value for part in (item.split(",") if isinstance(item, str) else [item]))
        return value


class StepOptions(LossOptions):
    """In which steps."""

    epochs: int = Field(default=2, ge=1, description="How often every example is seen.")
    batch_size: int | None = Field(
        default=None,
        ge=2,
        description="Queries in a batch; they share their negatives. Default: what suits the machine and the number of "
        "examples. Gradient accumulation isn't offered, since it adds no negatives: a large batch with a small "
        "--micro-batch-size does.",
    )
    learning_rate: float = Field(default=5e-5, gt=0, description="Peak learning rate of AdamW.")
    warmup_share: float = Field(default=0.1, ge=0, lt=1, description="Share of steps that warm up; then cosine.")
    dropout: bool = Field(default=False, description="Keep the model's dropout; off is 8 to 20 % faster on a CPU.")
    seed: int = Field(default=42, description="Seeds batches, dropout and the val sample.")


class ValidationOptions(StepOptions):
    """Judged by what."""

    validations: int = Field(default=3, ge=1, description="How often to score the val split, besides step 0.")
    patience: int | None = Field(
        default=None,
        ge=1,
        description="Validations without a gain, step 0 among them, after which training stops; default: never.",
    )
    max_minutes: float | None = Field(
        default=None,
        gt=0,
        description="Minutes that training may take, validations among them: the steps are cut down to what fits, the "
        "best weights until then come out. Default: no limit.",
    )
    val_split: str = Field(default="val", description="The split that chooses the checkpoint.")
    val_measure: str = Field(default="ndcg_at_10", description="The measure that chooses the checkpoint.")
    val_max_documents: int = Field(
        default=20_000,
        ge=100,
        description="Documents searched when validating: all that are relevant or mined, and others up to this number.",
    )


class TrainOptions(ValidationOptions):
    """How a model is fine-tuned."""

    micro_batch_size: int | None = Field(
        default=None,
        ge=1,
        description="Texts in memory at a time; a larger batch is computed in parts with the same result (gradient "
        "caching), in about a third more time. Default: what fits into memory.",
    )
    texts_per_forward: int = Field(default=16, ge=1, description="Texts in one pass; grouped by length.")
    gradient_checkpointing: bool = Field(
        default=False, description="Recompute each layer in the backward pass: less memory, more time."
    )
    checkpoint_minutes: float = Field(
        default=5.0,
        ge=0,
        description="Minutes between two checkpoints from which a killed training goes on; one is also made at each "
        "validation.",
    )
    report_to: str = Field(default="none", description="none, tensorboard, trackio or wandb; several with commas.")
