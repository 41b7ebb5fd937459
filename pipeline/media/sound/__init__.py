"""The sound of a clip: which stream, decoded, resampled and written, by PyAV or by a program; and its STFT."""
