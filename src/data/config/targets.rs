//! The layers that get an adapter.

use serde::{Deserialize, Serialize};

const ALL_LINEAR: &str = "all-linear";

/// Which linear layers get an adapter: `"all-linear"`, or a list of names such as `["q_proj", "v_proj"]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub enum Targets {
    /// All of every block; not the head, as in PEFT.
    AllLinear,
    /// Names such as `q_proj`, or whole module paths.
    Names(Vec<String>),
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Written {
    Word(String),
    Names(Vec<String>),
}

impl TryFrom<Written> for Targets {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        match written {
            Written::Word(word) if word == ALL_LINEAR => Ok(Self::AllLinear),
            Written::Word(_) => {
                Err(format!("it must be \"{ALL_LINEAR}\" or a list of layer names such as [\"q_proj\", \"v_proj\"]"))
            }
            Written::Names(names) => Ok(Self::Names(names)),
        }
    }
}

impl From<Targets> for Written {
    fn from(targets: Targets) -> Self {
        match targets {
            Targets::AllLinear => Self::Word(ALL_LINEAR.to_owned()),
            Targets::Names(names) => Self::Names(names),
        }
    }
}
