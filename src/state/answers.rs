//! The Answers screen: what is true, what the screen remembers, what it can ask for.

use serde::{Deserialize, Serialize};

/// Sampled answers and conversations, as far as the screen has asked.
#[derive(Debug, Default)]
pub struct AnswersData {}

/// What the Answers screen remembers between frames and starts.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct AnswersView {}

#[derive(Debug, Clone)]
pub enum AnswersCommand {}
