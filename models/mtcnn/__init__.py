"""MTCNN, the face detector (paper II-B): by PyTorch, or by the kernel in native/."""
