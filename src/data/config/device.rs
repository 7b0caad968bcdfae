//! A device by name.

use std::{fmt, str::FromStr};

/// The device that somebody asks for: `auto`, `cpu`, `gpu:0` (or `gpu`), `cuda:0` (or `cuda`), `metal`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum DeviceChoice {
    /// The first CUDA device that answers, else Metal, else a graphics card that was tried and is worth it, else the
    /// processor.
    Auto,
    #[default]
    Cpu,
    /// By its number.
    Cuda(usize),
    Metal,
    /// A graphics card with our own kernels (Vulkan, Metal or DirectX 12), by its number.
    Gpu(usize),
}

impl FromStr for DeviceChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "cpu" => Ok(Self::Cpu),
            "metal" => Ok(Self::Metal),
            "cuda" => Ok(Self::Cuda(0)),
            "gpu" => Ok(Self::Gpu(0)),
            other => {
                let numbered = |kind: &str| other.strip_prefix(kind).and_then(|number| number.parse().ok());
                numbered("cuda:").map(Self::Cuda).or_else(|| numbered("gpu:").map(Self::Gpu)).ok_or_else(|| {
                    format!("\"{other}\" is no device; choose \"auto\", \"cpu\", \"gpu:0\", \"cuda:0\" or \"metal\"")
                })
            }
        }
    }
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => write!(f, "auto"),
            Self::Cpu => write!(f, "cpu"),
            Self::Cuda(number) => write!(f, "cuda:{number}"),
            Self::Metal => write!(f, "metal"),
            Self::Gpu(number) => write!(f, "gpu:{number}"),
        }
    }
}
