//! What a tensor's numbers are stored as.

use super::BlockFormat;

/// An element type of GGML: single numbers, or blocks of numbers with shared scales.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ElementType {
    F32,
    F16,
    Bf16,
    Blocks(BlockFormat),
    /// One that this crate has no reader for, by its number in the file.
    Other(u32),
}

impl ElementType {
    /// From its number in the file (`ggml_type` in `ggml.h`).
    pub(super) fn from_number(number: u32) -> Self {
        match number {
            0 => Self::F32,
            1 => Self::F16,
            30 => Self::Bf16,
            other => BlockFormat::from_number(other).map_or(Self::Other(other), Self::Blocks),
        }
    }

    /// Its number in the file.
    pub(super) fn number(self) -> u32 {
        match self {
            Self::F32 => 0,
            Self::F16 => 1,
            Self::Bf16 => 30,
            Self::Blocks(format) => format.number(),
            Self::Other(number) => number,
        }
    }

    /// Numbers in a block and bytes of it; nothing for a type without a reader.
    pub fn block(self) -> Option<(usize, usize)> {
        Some(match self {
            Self::F32 => (1, 4),
            Self::F16 | Self::Bf16 => (1, 2),
            Self::Blocks(format) => (format.numbers(), format.bytes()),
            Self::Other(_) => return None,
        })
    }

    /// Its name in llama.cpp.
    pub fn name(self) -> String {
        let name = match self {
            Self::F32 => "F32",
            Self::F16 => "F16",
            Self::Bf16 => "BF16",
            Self::Blocks(format) => return format.name().to_uppercase(),
            Self::Other(number) => return other_name(number),
        };
        name.to_owned()
    }
}

fn other_name(number: u32) -> String {
    let name = match number {
        9 => "Q8_1",
        15 => "Q8_K",
        16 => "IQ2_XXS",
        17 => "IQ2_XS",
        18 => "IQ3_XXS",
        19 => "IQ1_S",
        21 => "IQ3_S",
        22 => "IQ2_S",
        24 => "I8",
        25 => "I16",
        26 => "I32",
        27 => "I64",
        28 => "F64",
        29 => "IQ1_M",
        34 => "TQ1_0",
        35 => "TQ2_0",
        39 => "MXFP4",
        _ => return format!("type {number}"),
    };
    name.to_owned()
}
