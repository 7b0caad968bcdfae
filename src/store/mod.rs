//! The project on disk: one SQLite document (`project.sqlite`) and `runs/<id>/`.

use serde::{Deserialize, Serialize};

/// Names a run inside one project; never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunId(pub i64);
