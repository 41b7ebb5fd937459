"""ANet: maps of the sound's STFT become arousal and valence (III-A).

VGG-16 (Simonyan & Zisserman 2015, configuration D) with another first convolution and other fully connected layers.

Letters: M maps, B utterances, N maps per utterance, C channels (2, real and imaginary part; 1 for the log magnitude),
F = 257 frequencies, T = 300 STFT frames.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TypedDict, Unpack

import torch
from torch import nn

from models.choices import (
    NORMALISATIONS,
    SOUND_INPUTS,
    ArousalOutput,
    Initialisation,
    Normalisation,
    Pooling,
    SoundInput,
)
from models.loading import build_empty, load_strictly
from models.networks.maps import count_channels
from models.networks.outputs import check_arousal_output, squash
from models.networks.sequence import SequenceFeature
from models.paper import (
    ANET_HIDDEN,
    DROPOUT,
    FEATURE_SIZE,
    HEAD_STD,
    MAP_GRID,
    NUM_DIMENSIONS,
    NUM_FREQUENCIES,
    RANDOM_MAP_GAINS,
    VGG16_CHANNELS,
)
from models.seeding import seeded
from models.weights.tensors import load_state_dict

FIRST_KEY = "0.weight"


class AcousticFeature(nn.Module):
    """ANet without its last layer: STFT maps to 512 numbers per utterance. Joint uses it too.

    `features` numbers its layers as torchvision's VGG-16 does, so that the keys of the published weights fit.
    """

    frequency_mean: torch.Tensor | None
    frequency_scale: torch.Tensor | None

    def __init__(
        self, channel_scale: float = 1.0, input: SoundInput = "stft", normalise: Normalisation = "map"
    ) -> None:
        """Build the layers.

        Args:
            channel_scale: scales VGG's channels and the 4096 of the first fully connected layer; 1 is the paper's.
            input: content of the maps (see `normalise_maps`).
            normalise: "frequency" also shifts and scales each frequency of a map (see `set_frequencies`).
        """
        super().__init__()
        for name, value, choices in (("input", input, SOUND_INPUTS), ("normalise", normalise, NORMALISATIONS)):
            if value not in choices:
                raise ValueError(f"{name} ({value!r}) must be one of {', '.join(choices)}")
        if not 0 < channel_scale <= 1:
            raise ValueError(f"channel_scale ({channel_scale}) must be above 0 and at most 1, the paper's width")
        self.input, self.normalise = input, normalise
        layers: list[nn.Module] = []
        channels = count_channels(input)
        # None with the paper's normalisation, whose checkpoints have no such tensors.
        shape = (channels, NUM_FREQUENCIES, 1)
        self.register_buffer("frequency_mean", torch.zeros(shape) if normalise == "frequency" else None)
        self.register_buffer("frequency_scale", torch.ones(shape) if normalise == "frequency" else None)
        for block in VGG16_CHANNELS:
            for width in block:
                scaled = max(1, round(width * channel_scale))
                # No padding in the first convolution: 257 x 300 -> 255 x 298; five poolings reduce this to 7 x 9.
                layers += [nn.Conv2d(channels, scaled, 3, padding=1 if layers else 0), nn.ReLU(inplace=True)]
                channels = scaled
            layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)
        hidden = max(1, round(ANET_HIDDEN * channel_scale))
        self.fc = nn.Sequential(
            nn.Linear(channels * MAP_GRID[0] * MAP_GRID[1], hidden),
            nn.ReLU(inplace=True),
            nn.Dropout(DROPOUT),
            nn.Linear(hidden, FEATURE_SIZE),
            nn.ReLU(inplace=True),
            nn.Dropout(DROPOUT),
        )

    @property
    def first(self) -> nn.Conv2d:
        """The first convolution; its input is the maps."""
        layer = self.features.get_submodule("0")
        assert isinstance(layer, nn.Conv2d), "VGG begins with a convolution"
        return layer

    def forward(self, maps: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
        """Compute the penultimate output for each map, and its mean over the maps of each utterance (III-C).

        Args:
            maps: (M, C, 257, 300) float32, normalised (see `normalise_maps`).
            index: (B, N) int64 in [0, M): the maps of each utterance. For a short utterance it names the only map N
                times: the convolutions run once for it, but dropout differs each time.

        Returns:
            (B, 512).
        """
        x = self.features(self._normalise_frequencies(maps)).flatten(1)  # (M, 512 * 7 * 9)
        x = self.fc(x[index.flatten()])  # (B * N, 512)
        return x.unflatten(0, index.shape).mean(1)

    def set_frequencies(self, mean: torch.Tensor, scale: torch.Tensor) -> None:
        """Set the convolutions' input to (map - mean) * scale (not in the paper; see `ANetSettings`).

        Args:
            mean: (C, 257) float32.
            scale: (C, 257) float32, above 0.
        """
        assert self.frequency_mean is not None, "only a network with normalise = frequency has it"
        assert self.frequency_scale is not None, "a network has both or none"
        self.frequency_mean.copy_(mean[..., None])
        self.frequency_scale.copy_(scale[..., None])

    def _normalise_frequencies(self, maps: torch.Tensor) -> torch.Tensor:
        if self.frequency_mean is None or self.frequency_scale is None:
            return maps
        # Padding, masked bands and silence are exactly 0 and stay 0, which now is the mean of the training split.
        return torch.where(maps == 0, maps, (maps - self.frequency_mean) * self.frequency_scale)


class Hearing(TypedDict, total=False):
    """Arguments of the layers for sound in ANet and Joint; see `make_acoustic` for meanings and defaults."""

    channel_scale: float
    input: SoundInput
    normalise: Normalisation
    row_size: int
    pooling: Pooling


def make_acoustic(
    channel_scale: float = 1.0,
    input: SoundInput = "stft",
    normalise: Normalisation = "map",
    row_size: int = 0,
    pooling: Pooling = "lstm",
) -> AcousticFeature | SequenceFeature:
    """Build ANet without its last layer, for ANet or Joint: VGG-16, or `SequenceFeature` for rows of another feature.

    Args:
        channel_scale: see `AcousticFeature`.
        input: see `AcousticFeature`.
        normalise: see `AcousticFeature`.
        row_size: numbers in a row, if the input is another feature than the transform; 0 for the transform.
        pooling: see `SequenceFeature`.
    """
    return SequenceFeature(row_size, pooling) if row_size else AcousticFeature(channel_scale, input, normalise)


class ANet(nn.Module):
    """The network of the sound alone."""

    def __init__(self, *, arousal_output: ArousalOutput = "tanh", **hearing: Unpack[Hearing]) -> None:
        super().__init__()
        check_arousal_output(arousal_output)
        self.arousal_output = arousal_output
        self.feature = make_acoustic(**hearing)
        self.head = nn.Linear(FEATURE_SIZE, NUM_DIMENSIONS)

    def forward(self, maps: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
        """Predict (B, 2), arousal and valence in [-1, 1]; arguments as in `AcousticFeature.forward`."""
        return squash(self.head(self.feature(maps, index)), self.arousal_output)


def build_anet(
    weights: Path | None,
    *,
    arousal_output: ArousalOutput = "tanh",
    initialisation: Initialisation = "own",
    seed: int,
    **hearing: Unpack[Hearing],
) -> ANet:
    """Build ANet for maps, with VGG-16's ImageNet weights or random ones, or for rows of another feature.

    Args:
        weights: torchvision's vgg16 file (its digest is the caller's to check); None is an explicit choice of
            random weights (Kaiming). The fully connected layers are random in both cases, as in the paper.
        arousal_output: see `squash`.
        initialisation: "notebooks" gives the first and the last layer torch's default weights, even with VGG-16's
            weights. For rows of another feature, only the last layer gets them.
        seed: of the random weights.
        hearing: see `make_acoustic`. `channel_scale` must be 1 with weights. Frequencies are not changed until
            `set_frequencies` is called.

    Raises:
        ValueError: `channel_scale` is not 1 although weights are given, or their keys or shapes do not fit.
    """
    channel_scale = hearing.get("channel_scale", 1.0)
    if weights is not None and channel_scale != 1:
        raise ValueError(
            f"channel_scale ({channel_scale}) must be 1 with VGG-16's weights ({weights}): they are full width"
        )
    state = None if weights is None else load_state_dict(weights)
    network = build_empty(lambda: ANet(arousal_output=arousal_output, **hearing))
    feature = network.feature
    layers: list[nn.Conv2d | nn.Linear] = [network.head]
    with seeded(seed):
        if isinstance(feature, SequenceFeature):
            feature.initialise()
            nn.init.zeros_(network.head.bias)
        else:
            layers.insert(0, feature.first)
            _initialise(network, feature)
        nn.init.normal_(network.head.weight, std=HEAD_STD)
    if state is not None and isinstance(feature, AcousticFeature):
        load_vgg16(feature, state, source=str(weights))
    if initialisation == "notebooks":
        with seeded(seed):
            for layer in layers:
                layer.reset_parameters()
    return network


def load_vgg16(feature: AcousticFeature, state: Mapping[str, torch.Tensor], *, source: str) -> None:
    """Load torchvision's VGG-16 into the convolutions; the first is adapted from 3 input channels to 2 or 1.

    Both channels get the mean of the filters over R, G and B, times 3/2. So a map whose two parts are equal gives what
    a grey image of the same values would give. (The paper says only that the layer was changed.) A single channel gets
    the sum over R, G and B, for the same reason.

    Args:
        feature: is changed.
        state: tensors under features.N.*; those under classifier.* are for ImageNet's classes and are dropped.
        source: named in the error.

    Raises:
        ValueError: keys are missing or unknown, or a shape is wrong.
    """
    kept = {key.removeprefix("features."): value for key, value in state.items() if not key.startswith("classifier.")}
    outputs, channels, *size = feature.features.state_dict()[FIRST_KEY].shape
    if FIRST_KEY in kept and kept[FIRST_KEY].shape == (outputs, 3, *size) and kept[FIRST_KEY].is_floating_point():
        kept[FIRST_KEY] = kept[FIRST_KEY].mean(1, keepdim=True).mul(3 / channels).repeat(1, channels, 1, 1)
    load_strictly(
        feature.features,
        kept,
        source=source,
        hint="it must hold VGG-16's features.N.*: torchvision's vgg16-397923af.pth (valar weights list)",
    )


def _initialise(network: ANet, feature: AcousticFeature) -> None:
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight, mode="fan_in", nonlinearity="relu")
            assert module.bias is not None, "all layers have one"
            nn.init.zeros_(module.bias)
    feature.first.weight.data.mul_(RANDOM_MAP_GAINS[feature.input, feature.normalise])
    if feature.normalise == "frequency":
        size = (count_channels(feature.input), NUM_FREQUENCIES)
        feature.set_frequencies(torch.zeros(size), torch.ones(size))
