//! A folder into a policy: every check first, then the memory.

use std::{ops::ControlFlow, path::Path, sync::Arc};

use data::config::Precision;

use super::{
    Layer, LoadError, LoadOptions, Parameters, Policy, PolicyError, Spec,
    adapter::LoadedAdapter,
    arithmetic::Chosen,
    block::Block,
    examine::Found,
    identity::Identity,
    lora, memory,
    projection::Projection,
    rope::RopeCache,
    scalar,
    source::Source,
    sublayer::{Entry, Exit, Heads, Norm},
    tensors::{EMBEDDING, FINAL_NORM, HEAD, HalfSpec, LinearSpec, NormSpec},
    trained::Trained,
    wanted::Wanted,
};
use ::files;
use ::kernels::{
    AttentionShape, DType, Gradients, Kernels, Linear, Lora, Place, Slot, Tensor, Weight,
    device::{self, Opened},
};

impl Policy {
    /// Reads a Hugging Face folder onto the device that the options name. Sizes, names and shapes are checked before
    /// anything large is allocated.
    pub fn load(folder: &Path, options: &LoadOptions) -> Result<Self, LoadError> {
        Self::load_watched(folder, options, &mut || ControlFlow::Continue(()))
    }

    /// The same; `watch` is asked between tensors whether it is still wanted, [`LoadError::Stopped`] where it is not.
    pub fn load_watched(
        folder: &Path,
        options: &LoadOptions,
        watch: &mut dyn FnMut() -> ControlFlow<()>,
    ) -> Result<Self, LoadError> {
        let Opened { place, why } = device::open(options.device).map_err(PolicyError::from)?;
        tracing::debug!("{why}");
        load(folder, options, None, &place, &Wanted::new(watch))
    }

    /// The same with any implementation of the kernels, on any device that it works on; `options.device` is not looked
    /// at.
    pub fn load_with(
        folder: &Path,
        options: &LoadOptions,
        kernels: Arc<dyn Kernels>,
        place: &Place,
    ) -> Result<Self, LoadError> {
        load(folder, options, Some(kernels), place, &Wanted::new(&mut || ControlFlow::Continue(())))
    }
}

fn load(
    folder: &Path,
    options: &LoadOptions,
    kernels: Option<Arc<dyn Kernels>>,
    place: &Place,
    wanted: &Wanted<'_>,
) -> Result<Policy, LoadError> {
    let found = Found::look(folder, options)?;
    memory::check(folder, &found.spec, &found.weights, options, place)?;
    let remarks = found.remarks();
    for remark in &remarks {
        tracing::warn!("{remark}");
    }
    let Found { spec, weights, frozen, continued } = found;
    let trained = Trained::of(options, continued);
    // Composed kernels want one element type.
    let own = kernels.is_none() && place.has_own_kernels();
    let chosen = match &kernels {
        Some(_) => Chosen::F32,
        None if place.is_cpu() => Chosen::of(options, &weights, &spec),
        None => Chosen::on_device(options.precision),
    };
    let kernels = kernels.map_or_else(|| device::kernels_for(place, options.activations(place), chosen.compute), Ok);
    let kernels = kernels.map_err(PolicyError::from)?;
    // An adapter that is trained further gives the reference the same numbers as one that is frozen into it.
    let at_start = frozen.iter().chain(trained.start());
    let way = (options.precision, chosen.in_words(place));
    let [identity, files] = identify(folder, &weights, way, at_start, wanted)?;

    let mut planned = trained.planned(&spec);
    planned.extend(options.scalar.into_iter().flat_map(|head| head.planned(&spec)));
    let parameters = Parameters::build(planned, place, |entry, values| {
        wanted.check()?;
        if options.full && !scalar::is_part(&entry.name) {
            weights.read_into(&entry.name, &entry.shape, values)
        } else {
            trained.fill(&spec, &entry.name, values)
        }
    })?;
    let parts = Parts {
        weights: &weights,
        parameters: &parameters,
        frozen: &frozen,
        trained: &trained,
        precision: options.precision,
        place,
        kind: if own || !place.is_cpu() { options.activations(place) } else { DType::F32 },
        as_stored: own,
        wanted: &|| wanted.check(),
    };
    let (embedding, embedding_slot) = parts.matrix(EMBEDDING, [spec.vocab_size, spec.hidden_size])?;
    let blocks = (0..spec.layers.len()).map(|layer| parts.block(&spec, layer)).collect::<Result<Vec<_>, _>>()?;
    let final_norm = parts.norm(NormSpec { name: FINAL_NORM.to_owned(), width: spec.hidden_size })?;
    let (head, head_slot) = if spec.tied {
        (embedding.clone(), embedding_slot)
    } else {
        parts.matrix(HEAD, [spec.vocab_size, spec.hidden_size])?
    };
    let gradients = Gradients::new(parameters.len(), place).map_err(PolicyError::from)?;
    let ropes = spec.ropes.iter().cloned();
    let ropes = ropes.map(|rope| RopeCache::new(rope, spec.head_dim)).collect();
    Ok(Policy {
        spec,
        kernels,
        place: place.clone(),
        embedding,
        embedding_slot,
        blocks,
        final_norm,
        head,
        head_slot,
        scalar: match (scalar::head_of(&parameters)?, frozen.iter().find_map(|adapter| adapter.score.as_deref())) {
            (None, Some(score)) => Some(scalar::frozen(score, place)?),
            (own, _) => own,
        },
        parameters,
        gradients,
        identity,
        files,
        adapter: trained.shape(),
        recompute: options.recompute,
        room: memory::available(place) / 2,
        noise: 0,
        ropes,
        model: folder.to_owned(),
        precision: options.precision,
        chosen,
        remarks,
    })
}

/// [`Policy::identity`] and [`Policy::files`].
fn identify<'a>(
    folder: &Path,
    weights: &Source,
    (precision, compute): (Precision, Option<&str>),
    adapters: impl Iterator<Item = &'a LoadedAdapter>,
    wanted: &Wanted<'_>,
) -> Result<[String; 2], LoadError> {
    let mut identity = Identity::default();
    if let Source::Folder(_) = weights {
        let config = files::inside(folder, "config.json")?;
        let bytes = files::read(&config, files::SETTINGS)?;
        identity.add_file(&config, &bytes);
    }
    if precision.quantizes() {
        identity.add_way(precision.name().as_bytes());
    }
    if let Some(compute) = compute {
        identity.add_way(compute.as_bytes());
    }
    weights.identify(&mut identity, wanted);
    wanted.check()?;
    for adapter in adapters {
        identity.add(adapter.identity.as_bytes());
    }
    Ok(identity.finish())
}

/// Where a block's tensors come from.
struct Parts<'a> {
    weights: &'a Source,
    parameters: &'a Parameters,
    frozen: &'a [LoadedAdapter],
    trained: &'a Trained<'a>,
    precision: Precision,
    place: &'a Place,
    /// What matrices that are not trained are kept as, unless the file has them smaller.
    kind: DType,
    /// Whether the kernels read bf16 whatever they compute in.
    as_stored: bool,
    wanted: &'a dyn Fn() -> Result<(), LoadError>,
}

impl Parts<'_> {
    /// A view of the flat buffer with its slot when the tensor is trained, else a tensor of its own.
    fn tensor(&self, name: &str, shape: &[usize]) -> Result<(Tensor, Option<Slot>), LoadError> {
        (self.wanted)()?;
        if let Some((view, slot)) = self.parameters.view(name)? {
            return Ok((view, Some(slot)));
        }
        let values = self.weights.read(name, shape)?;
        let tensor = Tensor::from_vec(values, shape, self.place).map_err(PolicyError::from)?;
        Ok((tensor, None))
    }

    /// The same for a matrix, kept as the options say.
    fn matrix(&self, name: &str, shape: [usize; 2]) -> Result<(Weight, Option<Slot>), LoadError> {
        (self.wanted)()?;
        if self.parameters.view(name)?.is_none()
            && let Some(blocks) = self.weights.quantized(name, shape, self.precision)?
        {
            let blocks = Weight::from(blocks).placed(self.place, self.kind);
            return Ok((blocks.map_err(PolicyError::from)?, None));
        }
        let trained = self.parameters.view(name)?.is_some();
        let as_stored = self.as_stored && self.weights.is_bf16(name);
        if !trained && (self.kind == DType::BF16 || as_stored) {
            let values = self.weights.read_bf16(name, &shape)?;
            let tensor = Tensor::from_vec(values, &shape, self.place).map_err(PolicyError::from)?;
            return Ok((tensor.into(), None));
        }
        let (tensor, slot) = self.tensor(name, &shape)?;
        Ok((tensor.into(), slot))
    }

    fn norm(&self, spec: NormSpec) -> Result<Norm, LoadError> {
        let (weight, slot) = self.tensor(&spec.name, &[spec.width])?;
        Ok(Norm { name: spec.name, weight, slot })
    }

    fn block(&self, spec: &Spec, layer: usize) -> Result<Block, LoadError> {
        let weights = spec.block(layer);
        let Layer { window, rope } = spec.layers[layer];
        let norm = |norm: Option<NormSpec>| norm.map(|norm| self.norm(norm)).transpose();
        let readers = |readers: Vec<LinearSpec>| {
            let readers = readers.into_iter().map(|reader| self.projection(reader));
            readers.collect::<Result<Vec<_>, _>>()
        };
        let exit = |half: HalfSpec| -> Result<Exit, LoadError> {
            Ok(Exit { projection: self.projection(half.output)?, norm: norm(half.norm_after)? })
        };
        let (q, kv, ff) = (spec.query_width(), spec.kv_width(), spec.intermediate_size);
        Ok(Block {
            attention_in: Entry {
                norm: norm(weights.attention.norm_before.clone())?,
                readers: readers(weights.attention.readers.clone())?,
                widths: [q, kv, kv],
            },
            query: Heads { norm: norm(weights.query_norm)?, count: spec.heads, rope },
            key: Heads { norm: norm(weights.key_norm)?, count: spec.kv_heads, rope },
            attention: AttentionShape {
                heads: spec.heads,
                kv_heads: spec.kv_heads,
                head_dim: spec.head_dim,
                scale: spec.attention_scale as f32,
                softcap: spec.attention_softcap.map(|cap| cap as f32),
                window,
            },
            attention_out: exit(weights.attention)?,
            mlp_in: Entry {
                norm: norm(weights.mlp.norm_before.clone())?,
                readers: readers(weights.mlp.readers.clone())?,
                widths: [ff, ff],
            },
            mlp_out: exit(weights.mlp)?,
        })
    }

    fn projection(&self, spec: LinearSpec) -> Result<Projection, LoadError> {
        let (weight, weight_slot) = self.matrix(&spec.weight(), [spec.output, spec.input])?;
        let (bias, bias_slot) = if spec.bias {
            let (bias, slot) = self.tensor(&spec.bias(), &[spec.output])?;
            (Some(bias), slot)
        } else {
            (None, None)
        };
        let loras = self
            .frozen
            .iter()
            .filter_map(|adapter| adapter.lora(&spec.path))
            .map(|lora| self.place(lora))
            .collect::<Result<_, _>>()?;
        let linear = Linear { weight, weight_slot, bias, bias_slot, loras };
        let start = self.trained.start().and_then(|start| start.lora(&spec.path));
        let start = start.map(|lora| self.place(lora)).transpose()?;
        let trained = self.trained(&spec.path, start.as_ref())?;
        Ok(Projection::new(spec.path, linear, trained, start))
    }

    /// A frozen adapter on the policy's device.
    fn place(&self, lora: Lora) -> Result<Lora, LoadError> {
        let moved = |tensor: &Tensor| tensor.to_place(self.place).map_err(PolicyError::from);
        Ok(Lora { a: moved(&lora.a)?, b: moved(&lora.b)?, ..lora })
    }

    fn trained(&self, path: &str, start: Option<&Lora>) -> Result<Option<Lora>, LoadError> {
        let a = self.parameters.view(&lora::a_name(path))?;
        let b = self.parameters.view(&lora::b_name(path))?;
        let scale = match (start, self.trained) {
            (Some(start), _) => start.scale,
            (None, Trained::New(shape)) => shape.scale() as f32,
            (None, _) => return Ok(None),
        };
        Ok(a.zip(b).map(|((a, a_slot), (b, b_slot))| Lora { a, b, a_slot: Some(a_slot), b_slot: Some(b_slot), scale }))
    }
}
