//! What of a policy is trained, and what it starts from.

use super::{
    AdapterShape, LoadError, LoadOptions, Spec,
    adapter::LoadedAdapter,
    lora::{self, a_name, b_name, is_target},
    parameters::Planned,
    tensors::{LinearSpec, Role, TensorSpec},
};

/// What is trained.
pub(super) enum Trained<'a> {
    Nothing,
    /// Every weight.
    Full,
    /// A new adapter: A random, B zero.
    New(&'a AdapterShape),
    /// An adapter that was trained before, from where it stood.
    Further(LoadedAdapter, AdapterShape),
}

impl<'a> Trained<'a> {
    pub(super) fn of(options: &'a LoadOptions, start: Option<LoadedAdapter>) -> Self {
        match (&options.adapter, start) {
            (Some(settings), Some(start)) => {
                let shape = start.shape(settings.dropout, settings.seed);
                Self::Further(start, shape)
            }
            (Some(shape), None) => Self::New(shape),
            (None, Some(start)) => {
                let shape = start.shape(0.0, 0);
                Self::Further(start, shape)
            }
            (None, None) if options.full => Self::Full,
            (None, None) => Self::Nothing,
        }
    }

    /// The adapter that is trained further, as it is on disk.
    pub(super) fn start(&self) -> Option<&LoadedAdapter> {
        match self {
            Self::Further(start, _) => Some(start),
            Self::Nothing | Self::Full | Self::New(_) => None,
        }
    }

    /// The trained adapter's shape.
    pub(super) fn shape(&self) -> Option<AdapterShape> {
        match self {
            Self::New(shape) => Some((*shape).clone()),
            Self::Further(_, shape) => Some(shape.clone()),
            Self::Nothing | Self::Full => None,
        }
    }

    /// The parts of the flat buffer, in the order of the forward pass.
    pub(super) fn planned(&self, spec: &Spec) -> Vec<Planned> {
        let adapters = |rank: &dyn Fn(&LinearSpec) -> Option<usize>| {
            let linears = spec.all_linears();
            let adapted = linears.filter_map(|linear| Some((rank(&linear)?, linear)));
            adapted
                .flat_map(|(rank, linear)| {
                    let plan = |name, shape: [usize; 2]| Planned { name, shape: shape.to_vec(), decays: true };
                    [
                        plan(a_name(&linear.path), [rank, linear.input]),
                        plan(b_name(&linear.path), [linear.output, rank]),
                    ]
                })
                .collect()
        };
        match self {
            Self::Nothing => Vec::new(),
            Self::Full => {
                let plan = |tensor: TensorSpec| Planned {
                    name: tensor.name,
                    shape: tensor.shape,
                    decays: tensor.role == Role::Matrix,
                };
                spec.tensors().map(plan).collect()
            }
            Self::New(shape) => adapters(&|linear| is_target(&shape.targets, &linear.path).then_some(shape.rank)),
            Self::Further(start, _) => adapters(&|linear| Some(start.lora(&linear.path)?.a.dims()[0])),
        }
    }

    /// Starting values of one part of an adapter, which are zero so far.
    pub(super) fn fill(&self, spec: &Spec, name: &str, values: &mut [f32]) -> Result<(), LoadError> {
        let Some((linear, is_a)) = linear_of(spec, name) else {
            return Ok(());
        };
        match self {
            Self::New(shape) if is_a => lora::fill_a(values, &linear, shape.seed),
            Self::Further(start, _) => {
                if let Some(lora) = start.lora(&linear.path) {
                    let half = if is_a { lora.a } else { lora.b };
                    let stored = half.to_vec::<f32>();
                    values.copy_from_slice(&stored.map_err(super::PolicyError::from)?);
                }
            }
            Self::New(_) | Self::Full | Self::Nothing => {} // B starts at zero
        }
        Ok(())
    }
}

/// The layer whose adapter a tensor is half of, and whether it is A.
fn linear_of(spec: &Spec, name: &str) -> Option<(LinearSpec, bool)> {
    let path = name.strip_prefix("base_model.model.")?;
    let (path, is_a) = match path.strip_suffix(".lora_A.weight") {
        Some(path) => (path, true),
        None => (path.strip_suffix(".lora_B.weight")?, false),
    };
    let layer = path.strip_prefix("model.layers.")?.split('.').next()?;
    let mut linears = spec.linears(layer.parse().ok()?);
    Some((linears.find(|linear| linear.path == path)?, is_a))
}
