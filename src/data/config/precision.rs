//! How weights that are not trained are kept.

use serde::{Deserialize, Serialize};

/// How weights that are not trained are kept, and in what their products are computed. What is trained, norms, biases and
/// all sums are f32.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// As the file has them. Products on the processor are f32, but bf16 to train an adapter on a bf16 file where the
    /// processor is clearly quicker in it, which is measured.
    #[default]
    Auto,
    /// f32 arithmetic; weights of a bf16 file stay bf16 in memory, which is exact.
    F32,
    /// Half the memory of f32: other files are rounded, and so are activations that wait for the backward. Factors of the
    /// large products are rounded too where the processor is clearly quicker with them.
    Bf16,
    /// Frozen matrices in blocks of 8 bits, rounded while they are read; norms and biases in f32. For adapters only.
    #[serde(rename = "q8_0")]
    Q8_0,
    /// The same with 4 bits (5.5 where a row is no multiple of 256), the embedding and the head with 8.
    #[serde(rename = "q4_k")]
    Q4K,
}

impl Precision {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Auto, Self::F32, Self::Bf16, Self::Q8_0, Self::Q4K];

    /// The one of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|precision| precision.name() == name)
    }

    /// The word of `run.toml`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
            Self::Q8_0 => "q8_0",
            Self::Q4K => "q4_k",
        }
    }

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
