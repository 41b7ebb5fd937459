"""The chain, once: its stages in order, and what a person reads of each."""

#: Stage to what a person reads, in the order of the chain.
STAGE_TITLES = {
    "wav": "extract sound",
    "stft": "transform sound",
    "frames": "read frame times",
    "faces": "find faces",
    "embeddings": "embed faces",
}
NETWORK_TITLES = {"anet": "train ANet", "vnet": "train VNet", "joint": "train Joint"}
REPORT_TITLE = "report"
FOLDS_TITLE = "train folds"
PREDICT_TITLE = "predict"
