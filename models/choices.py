"""The words that settings choose among; without torch, since a run reads its settings before it needs any."""

from typing import Literal, get_args

Loss = Literal["mse", "ccc", "ccc_sample"]
LOSSES: tuple[Loss, ...] = get_args(Loss)

#: Where layers start that no pretrained weights fill: as suits each, or as the notebooks leave them to torch.
Initialisation = Literal["own", "notebooks"]
INITIALISATIONS: tuple[Initialisation, ...] = get_args(Initialisation)

#: Range of arousal: tanh [-1, 1], sigmoid [0, 1].
ArousalOutput = Literal["tanh", "sigmoid"]
AROUSAL_OUTPUTS: tuple[ArousalOutput, ...] = get_args(ArousalOutput)

Arithmetic = Literal["float32", "tf32", "bfloat16"]
ARITHMETICS: tuple[Arithmetic, ...] = get_args(Arithmetic)

#: Whether VNet sees cached embeddings, or crops through a SphereFace that is trained along.
Backbone = Literal["frozen", "finetune"]
BACKBONES: tuple[Backbone, ...] = get_args(Backbone)

#: In which a network sees the colours of a crop.
ChannelOrder = Literal["bgr", "rgb"]
CHANNEL_ORDERS: tuple[ChannelOrder, ...] = get_args(ChannelOrder)

FaceInput = Literal["embeddings", "crops"]
FACE_INPUTS: tuple[FaceInput, ...] = get_args(FaceInput)

#: What ANet hears of the transform: both its parts, or how strong each frequency is, on a logarithmic scale.
SoundInput = Literal["stft", "log_magnitude"]
SOUND_INPUTS: tuple[SoundInput, ...] = get_args(SoundInput)

#: What the pieces of sound hold that a network is given: one of those, or rows of another feature.
Sound = Literal["stft", "log_magnitude", "rows"]
SOUNDS: tuple[Sound, ...] = get_args(Sound)

#: How rows of another feature become one.
Pooling = Literal["lstm", "attention"]
POOLINGS: tuple[Pooling, ...] = get_args(Pooling)

#: By what a map is normalised: by itself, or also each of its frequencies over the training split.
Normalisation = Literal["map", "frequency"]
NORMALISATIONS: tuple[Normalisation, ...] = get_args(Normalisation)

#: How Joint puts sound and picture together.
Fusion = Literal["concat", "attention"]
FUSIONS: tuple[Fusion, ...] = get_args(Fusion)
