//! How weights that are not trained are kept.

use serde::{Deserialize, Serialize};

choice! {
    /// How weights that are not trained are kept, and in what their products are computed. What is trained, norms, biases and
    /// all sums are f32.
    Precision = PRECISIONS;

    /// As the file has them. Products on the processor are f32, but bf16 to train an adapter on a bf16 file where the
    /// processor is clearly quicker in it, which is measured.
    #[default]
    Auto = "auto", "As in the file", "";
    /// f32 arithmetic; weights of a bf16 file stay bf16 in memory, which is exact.
    F32 = "f32", "f32 arithmetic", "";
    /// Half the memory of f32: other files are rounded, and so are activations that wait for the backward. Factors of the
    /// large products are rounded too where the processor is clearly quicker with them.
    Bf16 = "bf16", "bf16", "";
    /// Frozen matrices in blocks of 8 bits, rounded while they are read; norms and biases in f32. For adapters only.
    Q8_0 = "q8_0", "8 bits (q8_0)", "";
    /// The same with 4 bits (5.5 where a row is no multiple of 256), the embedding and the head with 8.
    Q4K = "q4_k", "4 bits (q4_k)", "";
}

impl Precision {
    /// Whether matrices may lose bits on the way in.
    pub fn rounds(self) -> bool {
        self == Self::Bf16 || self.quantizes()
    }

    /// Whether matrices are rounded to blocks on the way in.
    pub fn quantizes(self) -> bool {
        matches!(self, Self::Q8_0 | Self::Q4K)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_the_ones_of_run_toml() {
        for precision in Precision::ALL {
            assert_eq!(serde_json::to_string(&precision).unwrap(), format!("{:?}", precision.name()));
            assert_eq!(Precision::named(precision.name()), Some(precision));
        }
    }
}
