"""SphereFace-20, the face embedder (paper II-B, III-B): by PyTorch, or by the kernel in native/."""
