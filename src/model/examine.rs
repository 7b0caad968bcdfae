//! What can be told of a model and its adapters before the weights are read: names, shapes, and what goes together.

use std::path::{Path, PathBuf};

use super::{
    LoadError, LoadOptions, Spec,
    adapter::{self, LoadedAdapter},
    source::Source,
    tensors::Role,
};
use data::config::Precision;

/// Everything that can be told of a model and its adapters without reading the weights: whether [`Policy::load`] would
/// do.
pub fn examine(folder: &Path, options: &LoadOptions) -> Result<(), LoadError> {
    Found::look(folder, options).map(|_| ())
}

/// A model whose tensors are all there, and the adapters that it starts from.
pub(super) struct Found {
    pub(super) spec: Spec,
    pub(super) weights: Source,
    /// The one that lies beside the model, if it is not left out, before those that were asked for.
    pub(super) frozen: Vec<LoadedAdapter>,
    /// The one that is trained further.
    pub(super) continued: Option<LoadedAdapter>,
}

impl Found {
    pub(super) fn look(folder: &Path, options: &LoadOptions) -> Result<Self, LoadError> {
        if options.full && options.trains_an_adapter() {
            return Err(LoadError::Lora("full weights and an adapter cannot be trained together".to_owned()));
        }
        let (spec, weights) = Source::open(folder)?;
        if let (Some(shape), None) = (&options.adapter, &options.continued) {
            shape.validate(&spec).map_err(LoadError::Lora)?;
        }
        for tensor in spec.tensors() {
            weights.expect(&tensor.name, &tensor.shape)?;
        }
        if let Source::Gguf(file) = &weights
            && let Some(bias) = weights.unused(&spec).iter().find(|name| name.rsplit('.').next() == Some("bias"))
        {
            return Err(LoadError::Gguf(format!(
                "{} has a bias `{bias}`, which models of its architecture have not; without it, it would be another model",
                file.path().display()
            )));
        }
        if options.full {
            refuse_blocks(&spec, &weights, options.precision)?;
        }
        let trains = options.full || options.trains_an_adapter();
        let read = |path: &PathBuf| {
            let adapter = adapter::load(path, &spec)?;
            if trains && adapter.score.is_some() { Err(reward_model(path)) } else { Ok(adapter) }
        };
        let beside = if options.bare { None } else { Self::beside(folder, &spec)? };
        if trains && beside.as_ref().is_some_and(|adapter| adapter.score.is_some()) {
            return Err(reward_model(folder));
        }
        let frozen = beside.into_iter().map(Ok).chain(options.frozen_adapters.iter().map(read));
        let frozen = frozen.collect::<Result<_, _>>()?;
        let continued = options.continued.as_ref().map(read).transpose()?;
        if let (Some(path), Some(adapter)) = (&options.continued, &continued)
            && adapter.is_silent()
        {
            return Err(LoadError::Adapter {
                path: path.clone(),
                reason: "its scale is 0 (`lora_alpha`), so training it further would change nothing".to_owned(),
            });
        }
        Ok(Self { spec, weights, frozen, continued })
    }

    /// The adapter that lies beside a model's weights.
    fn beside(folder: &Path, spec: &Spec) -> Result<Option<LoadedAdapter>, LoadError> {
        let Some(path) = adapter::beside(folder) else {
            return Ok(None);
        };
        let mut adapter = adapter::load(&path, spec)
            .map_err(|error| LoadError::Beside { path: folder.to_owned(), error: Box::new(error) })?;
        adapter.remarks.push(format!(
            "An adapter lies beside the model in {}: it is applied, as Transformers does",
            folder.display()
        ));
        Ok(Some(adapter))
    }

    /// What was decided where the files leave room for more than one reading, as sentences: nothing is decided in
    /// silence.
    pub(super) fn remarks(&self) -> Vec<String> {
        let unused = self.weights.unused(&self.spec);
        // As Transformers does.
        let unused = unused.first().map(|first| {
            format!(
                "{} tensors of the weight files have no place in this architecture and are not used, e.g. {first}",
                unused.len()
            )
        });
        let adapters = self.frozen.iter().chain(&self.continued);
        let adapters = adapters.flat_map(|adapter| adapter.remarks.iter().cloned());
        self.weights.remarks().iter().cloned().chain(unused).chain(adapters).collect()
    }
}

/// What rates answers is no start for what writes them, nor for another reward model.
fn reward_model(path: &Path) -> LoadError {
    let reason = "it is a reward model's (its `task_type` is SEQ_CLS), which scores answers and writes none, so nothing can be \
        trained on top of it. Name the adapter of a policy, or the bare model";
    LoadError::Adapter { path: path.to_owned(), reason: reason.to_owned() }
}

/// Weights that are trained need every bit.
fn refuse_blocks(spec: &Spec, weights: &Source, precision: Precision) -> Result<(), LoadError> {
    if precision.quantizes() {
        return Err(LoadError::TrainedBlocks(precision.name().to_owned()));
    }
    if precision == Precision::F32 {
        return Ok(());
    }
    for tensor in spec.tensors().filter(|tensor| tensor.role == Role::Matrix) {
        if let [rows, columns] = tensor.shape[..]
            && weights.has_blocks(&tensor.name, [rows, columns])?
        {
            return Err(LoadError::TrainedBlocks(format!("`{}`", tensor.name)));
        }
    }
    Ok(())
}
