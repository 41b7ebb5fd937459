"""Every number of the paper, once, with its section; then our own numbers, each with its reason.

Paper: Peng, Zhang, Ban, Fang, Winkler, "A Deep Network for Arousal-Valence Emotion Prediction with Acoustic-Visual
Cues", arXiv 1805.00638. "Notebooks" are its published reference code (pengsongyou/OMG-ADSC): a number that the paper
does not give is taken from them.
"""

# Sound (II-A).
SAMPLE_RATE = 16_000  # Hz, one channel
STFT_HOP_SECONDS = 0.010
STFT_WINDOW_SECONDS = 0.025  # Hamming
STFT_SIZE = 512
NUM_FREQUENCIES = 257  # STFT_SIZE // 2 + 1
NUM_PARTS = 2  # real and imaginary
MAP_FRAMES = 300  # 3 s

# Picture (II-B; the scaling of pixels from the notebooks).
CROP_HEIGHT = 112
CROP_WIDTH = 96
PIXEL_CENTRE = 127.5
PIXEL_SCALE = 128.0

# ANet (III-A; no padding in the first convolution and the two widths from the notebooks).
VGG16_CHANNELS = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))
MAP_GRID = (7, 9)  # height (frequency) and width (time) of the last pooling's output
ANET_HIDDEN = 4096
FEATURE_SIZE = 512  # of ANet's penultimate layer, of a face embedding and of VNet's mean over time
DROPOUT = 0.5

# VNet (III-B) and Joint (III-C); their numbers from III-D.
NUM_FRAMES = 16  # N_V
NUM_MAPS = 4  # N_A
NUM_DIMENSIONS = 2  # arousal, valence

# Optimisation (III-D for Joint and the clipping; the rest from the notebooks).
MOMENTUM = 0.9
WEIGHT_DECAY = 5e-4
LEARNING_RATE_FACTOR = 0.1  # at each step of the schedule
GRADIENT_CLIP = 20.0  # norm over all gradients, before the optimiser's step (the notebooks clip after it: no effect)
VNET_EPOCHS = 30
VNET_BATCH_SIZE = 32
VNET_LEARNING_RATE = 0.01
VNET_LEARNING_RATE_STEPS = (8, 16, 24)  # epochs
JOINT_EPOCHS = 30
JOINT_BATCH_SIZE = 6
JOINT_LEARNING_RATE = 0.001
JOINT_LEARNING_RATE_STEPS = (7, 14, 21, 28)

# Not in the paper.
# The paper does not say how ANet alone was trained. It gets VNet's recipe: both are single networks with the same loss.
ANET_EPOCHS = VNET_EPOCHS
ANET_BATCH_SIZE = VNET_BATCH_SIZE
ANET_LEARNING_RATE = VNET_LEARNING_RATE
ANET_LEARNING_RATE_STEPS = VNET_LEARNING_RATE_STEPS
# One random map per utterance and epoch: over 30 epochs the maps cover all of a clip, at a quarter of Joint's cost.
ANET_NUM_MAPS = 1
# More than one, so that a long utterance is not judged by 3 s of it; three cover OMG's median utterance (7.6 s).
# Validation is then 22 % of the arithmetic of training; four would make it 28 %.
ANET_NUM_EVALUATION_MAPS = 3
# Factor on ANet's random first-layer weights. A normalised map of speech has a standard deviation of only .02: it is
# divided by its largest value, and speech has high peaks. With a factor of 1 to 3, the gradients of VGG are then too
# small to learn from. With a full correction (factor 50), the features are so large that the first steps at the paper's
# learning rate saturate tanh. Published weights are left as they are, as in the paper.
# ANet's other inputs vary more. Their factors bring them to about the same size.
RANDOM_MAP_GAINS = {
    ("stft", "map"): 5.0,
    ("stft", "frequency"): 0.2,
    ("log_magnitude", "map"): 1.0,
    ("log_magnitude", "frequency"): 0.2,
}
# Factor on the random weights of attention over the rows of a feature of sound.
ATTENTION_GAIN = 0.25
# Each number of such a row is limited to this many standard deviations of the training split. Otherwise a number that
# is 0 in nearly all of the training split could be 10^5 in other clips, and decide the prediction alone.
MOST_DEVIATIONS = 10.0
# Range of a map's logarithm, in powers of ten below its largest magnitude: 80 dB. A recording of 16 bits has 96 dB.
LOG_DECADES = 4
# Standard deviation of the last layers' weights in ANet and Joint, as in VGG: tanh starts in its linear part, whatever
# the size of the features. (VNet's last layer starts orthogonal, as all of VNet does.)
HEAD_STD = 0.01
# With 1,000 resamples of 60 videos, the ends of a 95 % interval are within about .01 of their limits.
BOOTSTRAP_RESAMPLES = 1000
BOOTSTRAP_LEVEL = 0.95
# Resamples of fewer recordings say little about new recordings: even at 20, the interval is too narrow
# (docs/decisions/006).
FEWEST_GROUPS = 10
