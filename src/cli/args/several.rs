//! What several commands take.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

use data::config::Precision;
use engine::Speaker;
use kernels::device::DeviceChoice;

use super::words::{precision, steps};

/// The settings of a run, each more particular than the one before.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Settings {
    /// Settings for this run, instead of the project's own.
    #[arg(long, value_name = "RUN_TOML")]
    pub config: Option<PathBuf>,
    /// One setting, e.g. objective.beta=0.2; an empty value takes it back to its default. A relative path counts from
    /// here if it is there, else from the project. Can be given again.
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Optimizer steps.
    #[arg(long, value_name = "N", value_parser = steps())]
    pub steps: Option<u64>,
    /// auto, cpu, gpu:0, cuda:0 or metal.
    #[arg(long)]
    pub device: Option<DeviceChoice>,
    /// `--threads` of the whole program.
    #[arg(skip)]
    pub threads: Option<u16>,
}

/// A project, or the demo.
#[derive(Debug, Clone, Default, clap::Args)]
#[group(required = true, multiple = false)]
pub struct Place {
    /// The project's folder.
    pub project: Option<PathBuf>,
    /// The demo project instead.
    #[arg(long)]
    pub demo: bool,
}

/// One run of a project, or of the demo.
#[derive(Debug, Clone, clap::Args)]
pub struct OneRun {
    /// PROJECT RUN, or with --demo just RUN. A run is a number, a name, or "last".
    #[arg(required = true, num_args = 1..=2, value_names = ["PROJECT", "RUN"])]
    pub place: Vec<OsString>,
    /// The demo project.
    #[arg(long)]
    pub demo: bool,
}

/// How a model is loaded that is asked something.
#[derive(Debug, Clone, clap::Args)]
pub struct Loading {
    /// auto, cpu, gpu:0, cuda:0 or metal.
    #[arg(long, default_value = "auto")]
    pub device: DeviceChoice,
    /// A PEFT adapter on top, e.g. a run's checkpoint folder.
    #[arg(long, value_name = "DIR")]
    pub adapter: Option<PathBuf>,
    /// What the weights are kept as: auto, f32, bf16, q8_0 (8 bits) or q4_k (4 bits).
    #[arg(long, default_value = "auto", value_parser = precision())]
    pub dtype: Precision,
}

impl Loading {
    pub fn speaker(&self, model: &Path) -> train::Result<Speaker> {
        Speaker::load(model, self.adapter.as_deref(), self.dtype, self.device)
    }
}
