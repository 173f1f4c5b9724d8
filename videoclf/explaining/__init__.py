"""What a trained network looked at: attention rollout, Grad-CAM, and their pictures."""
