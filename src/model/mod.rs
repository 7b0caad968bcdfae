//! The policy: families, weights, LoRA, forward, backward, generation.
