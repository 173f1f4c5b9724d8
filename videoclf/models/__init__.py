"""Fusion strategies: one readable file each, from clips (B, C, T, H, W) to logits (B, K)."""
