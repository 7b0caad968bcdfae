//! The Pairs screen: what is true, what the screen remembers, what it can ask for.

use serde::{Deserialize, Serialize};

/// What the project says about its pairs, as far as the screen has asked.
#[derive(Debug, Default)]
pub struct PairsData {}

/// What the Pairs screen remembers between frames and starts.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct PairsView {}

#[derive(Debug, Clone)]
pub enum PairsCommand {}
