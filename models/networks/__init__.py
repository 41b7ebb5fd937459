"""ANet, VNet and Joint (paper III), and what they are built with."""
