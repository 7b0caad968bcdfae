//! What is measured: labels, methods, and the settings that each is searched over.

use serde::{Deserialize, Serialize};

/// Which labels are trained on. Held-out ones are always the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Labels {
    /// The demo's own: one in ten turned round.
    AsMade,
    /// One in five.
    MoreFlipped,
    /// One in ten, and all of them certain.
    Certain,
}

impl Labels {
    pub fn flipped(self) -> f64 {
        match self {
            Self::AsMade | Self::Certain => crate::project::FLIPPED_LABELS,
            Self::MoreFlipped => 2.0 * crate::project::FLIPPED_LABELS,
        }
    }

    pub fn words(self) -> &'static str {
        match self {
            Self::AsMade => "The demo's labels, 10 % flipped",
            Self::MoreFlipped => "20 % flipped",
            Self::Certain => "10 % flipped, every label certain",
        }
    }
}

/// A row of a table: its name, and what it changes of the demo's own settings.
pub struct Method {
    pub name: &'static str,
    pub changes: &'static [(&'static str, &'static str)],
}

const fn method(name: &'static str, changes: &'static [(&'static str, &'static str)]) -> Method {
    Method { name, changes }
}

const BETA: &str = "objective.beta";
const TAU: &str = "objective.tau";
const KIND: &str = "objective.kind";
const REFERENCE: &str = "objective.reference_weight";

/// The search: one number of each method, three values of it. MPO has its own λ_ref, the others none.
pub const SEARCHED: &[Method] = &[
    method("MPO β 0.5", &[(KIND, "mpo"), (BETA, "0.5")]),
    method("MPO β 1", &[(KIND, "mpo"), (BETA, "1.0")]),
    method("MPO β 2", &[(KIND, "mpo"), (BETA, "2.0")]),
    method("DPO β 0.5", &[(KIND, "dpo"), (BETA, "0.5")]),
    method("DPO β 1", &[(KIND, "dpo"), (BETA, "1.0")]),
    method("DPO β 2", &[(KIND, "dpo"), (BETA, "2.0")]),
    method("IPO τ 0.1", &[(KIND, "ipo"), (TAU, "0.1")]),
    method("IPO τ 0.25", &[(KIND, "ipo"), (TAU, "0.25")]),
    method("IPO τ 0.5", &[(KIND, "ipo"), (TAU, "0.5")]),
];

/// Each method at what [`SEARCHED`] found: the highest held-out accuracy at the end.
pub const BEST: &[Method] = &[
    method("MPO β 0.5", &[(KIND, "mpo"), (BETA, "0.5")]),
    method("DPO β 0.5", &[(KIND, "dpo"), (BETA, "0.5")]),
    method("IPO τ 0.5", &[(KIND, "ipo"), (TAU, "0.5")]),
];

/// Each method at the demo's own settings.
pub const METHODS: &[Method] =
    &[method("MPO", &[(KIND, "mpo")]), method("DPO", &[(KIND, "dpo")]), method("IPO", &[(KIND, "ipo")])];

/// The term on reference answers taken from one and given to another.
pub const EXCHANGED: &[Method] = &[
    method("MPO, λ_ref 0", &[(KIND, "mpo"), (REFERENCE, "0.0")]),
    method("DPO, λ_ref 0.3", &[(KIND, "dpo"), (REFERENCE, "0.3")]),
];
