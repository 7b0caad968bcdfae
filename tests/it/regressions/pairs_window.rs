//! The Pairs place and labelling.
