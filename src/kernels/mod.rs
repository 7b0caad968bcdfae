//! The differentiable operations of a training step, each with its own backward.
