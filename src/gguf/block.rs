//! Blocks of a few bits a number.

/// How a row is stored whose numbers share scales, by llama.cpp's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlockFormat {
    /// 256 numbers of 2 bits in sixteen groups with 4-bit scales and offsets: 2.625 bits.
    Q2K,
    /// 256 numbers of 3 bits in sixteen groups with 6-bit scales: 3.4375 bits.
    Q3K,
    /// 32 numbers of 4 bits that stand for unequal steps, one scale: 4.5 bits a number.
    Iq4Nl,
    /// 256 of the same in eight groups with 6-bit scales: 4.25 bits.
    Iq4Xs,
    /// 32 numbers of 4 bits, one scale: 4.5 bits a number.
    Q4_0,
    /// The same with an offset: 5 bits.
    Q4_1,
    /// 32 numbers of 5 bits, one scale: 5.5 bits.
    Q5_0,
    /// The same with an offset: 6 bits.
    Q5_1,
    /// 32 numbers of 8 bits, one scale: 8.5 bits.
    Q8_0,
    /// 256 numbers of 4 bits in eight groups with 6-bit scales and offsets: 4.5 bits.
    Q4K,
    /// The same with 5 bits: 5.5 bits.
    Q5K,
    /// 256 numbers of 6 bits in sixteen groups with 8-bit scales: 6.5625 bits.
    Q6K,
}

impl BlockFormat {
    const ALL: [Self; 12] = [
        Self::Q4_0,
        Self::Q4_1,
        Self::Q5_0,
        Self::Q5_1,
        Self::Q8_0,
        Self::Q2K,
        Self::Q3K,
        Self::Q4K,
        Self::Q5K,
        Self::Q6K,
        Self::Iq4Nl,
        Self::Iq4Xs,
    ];

    /// Its number in a file (`ggml_type` in `ggml.h`), its name, numbers in a block and bytes of it.
    const fn facts(self) -> (u32, &'static str, usize, usize) {
        match self {
            Self::Q4_0 => (2, "q4_0", 32, 18),
            Self::Q4_1 => (3, "q4_1", 32, 20),
            Self::Q5_0 => (6, "q5_0", 32, 22),
            Self::Q5_1 => (7, "q5_1", 32, 24),
            Self::Q8_0 => (8, "q8_0", 32, 34),
            Self::Q2K => (10, "q2_k", 256, 84),
            Self::Q3K => (11, "q3_k", 256, 110),
            Self::Q4K => (12, "q4_k", 256, 144),
            Self::Q5K => (13, "q5_k", 256, 176),
            Self::Q6K => (14, "q6_k", 256, 210),
            Self::Iq4Nl => (20, "iq4_nl", 32, 18),
            Self::Iq4Xs => (23, "iq4_xs", 256, 136),
        }
    }

    pub(super) fn from_number(number: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.number() == number)
    }

    pub(super) fn number(self) -> u32 {
        self.facts().0
    }

    /// Its name in settings and reports.
    pub fn name(self) -> &'static str {
        self.facts().1
    }

    /// Numbers in a block.
    pub fn numbers(self) -> usize {
        self.facts().2
    }

    /// Bytes of a block.
    pub fn bytes(self) -> usize {
        self.facts().3
    }
}
