"""The words that some settings may have as values. Without torch: a run reads its settings before it needs torch."""

from typing import Literal, get_args

Loss = Literal["mse", "ccc", "ccc_sample"]
LOSSES: tuple[Loss, ...] = get_args(Loss)

#: Initial weights of layers without pretrained weights: chosen for each layer, or torch's default (as the notebooks).
Initialisation = Literal["own", "notebooks"]
INITIALISATIONS: tuple[Initialisation, ...] = get_args(Initialisation)

#: Range of arousal: tanh [-1, 1], sigmoid [0, 1].
ArousalOutput = Literal["tanh", "sigmoid"]
AROUSAL_OUTPUTS: tuple[ArousalOutput, ...] = get_args(ArousalOutput)

Arithmetic = Literal["float32", "tf32", "bfloat16"]
ARITHMETICS: tuple[Arithmetic, ...] = get_args(Arithmetic)

#: Arithmetic of a network that computes features.
FeaturePrecision = Literal["float32", "bfloat16"]
FEATURE_PRECISIONS: tuple[FeaturePrecision, ...] = get_args(FeaturePrecision)

#: Input of VNet: cached embeddings, or crops through a SphereFace that is trained with it.
Backbone = Literal["frozen", "finetune"]
BACKBONES: tuple[Backbone, ...] = get_args(Backbone)

#: Order in which a network gets the colours of a crop.
ChannelOrder = Literal["bgr", "rgb"]
CHANNEL_ORDERS: tuple[ChannelOrder, ...] = get_args(ChannelOrder)

FaceInput = Literal["embeddings", "crops"]
FACE_INPUTS: tuple[FaceInput, ...] = get_args(FaceInput)

#: Form of the transform in ANet's input: real and imaginary part, or the logarithm of the magnitude.
SoundInput = Literal["stft", "log_magnitude"]
SOUND_INPUTS: tuple[SoundInput, ...] = get_args(SoundInput)

#: Content of a network's pieces of sound: one of the forms above, or rows of another feature.
Sound = Literal["stft", "log_magnitude", "rows"]
SOUNDS: tuple[Sound, ...] = get_args(Sound)

#: How the rows of another feature are combined into one vector.
Pooling = Literal["lstm", "attention"]
POOLINGS: tuple[Pooling, ...] = get_args(Pooling)

#: How a map is normalised: by its own values, or in addition each of its frequencies over the training split.
Normalisation = Literal["map", "frequency"]
NORMALISATIONS: tuple[Normalisation, ...] = get_args(Normalisation)

#: How Joint combines sound and picture.
Fusion = Literal["concat", "attention"]
FUSIONS: tuple[Fusion, ...] = get_args(Fusion)
