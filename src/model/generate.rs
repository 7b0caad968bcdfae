//! Answers: prompts of unlike length at once, with a key/value cache, each with its own random stream.
//!
//! A prompt's answer does not depend on its company in the batch: every row is computed on its own
//! ([`::kernels::Kernels::linear_rowwise`]), and each prompt's stream is seeded by the seed and its own ids.

use std::{collections::HashMap, ops::ControlFlow};

use super::{
    Policy, PolicyError, Result,
    context::{PassContext, PassWeights},
    sampler::{GenerateOptions, Sampler},
};
use ::kernels::{CachedKeys, DType, Generating, Layout, Segment, Tensor};

/// One answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Generation {
    /// The stop token, where there was one, is the last of them.
    pub ids: Vec<u32>,
    /// Ended by a stop token; otherwise by a limit or because it was cancelled.
    pub stopped_by_eos: bool,
}

/// Prompt tokens computed in one go.
const PREFILL_TOKENS: usize = 4096;

impl Policy {
    /// Answers all prompts. `on_token` hears of every token as it comes (prompt index, id); `Break` ends that answer
    /// with what it has. Equal prompts in one call draw different answers.
    pub fn generate(
        &self,
        prompts: &[Vec<u32>],
        options: &GenerateOptions,
        on_token: &mut dyn FnMut(usize, u32) -> ControlFlow<()>,
    ) -> Result<Vec<Generation>> {
        self.generate_while(prompts, options, &|| true, on_token)
    }

    /// The same for as long as `wanted` says so. It is asked before every token, and while prompts are computed before
    /// every block: a long prompt takes a while, and no token is heard of until then.
    pub fn generate_while(
        &self,
        prompts: &[Vec<u32>],
        options: &GenerateOptions,
        wanted: &dyn Fn() -> bool,
        on_token: &mut dyn FnMut(usize, u32) -> ControlFlow<()>,
    ) -> Result<Vec<Generation>> {
        if let Some(index) = prompts.iter().position(Vec::is_empty) {
            return Err(PolicyError::Usage(format!("Prompt {index} is empty; there is nothing to answer")));
        }
        if self.has_scalar_head() {
            return Err(PolicyError::Usage(
                "A reward model gives scores and no text; choose another run to answer".to_owned(),
            ));
        }
        if options.mix.is_some() {
            self.has_reference()?;
        }
        let mut answers = vec![Answer::default(); prompts.len()];
        let mut start = 0;
        while start < prompts.len() {
            let end = start + self.answered_together(&prompts[start..], options);
            let seeds = seeds(prompts, start..end, options);
            let asked = Asked { options, wanted, first: start };
            let group = Group::new(self, &prompts[start..end], asked, seeds);
            let run = group.and_then(|group| group.run(&mut answers[start..end], on_token));
            match run {
                Ok(()) => start = end,
                Err(PolicyError::Cancelled) => break,
                Err(error) => return Err(error),
            }
        }
        Ok(answers.into_iter().map(Answer::into).collect())
    }

    /// How many of these prompts are answered at once, from the first on: as many as fit the prefill and the caches;
    /// one that does not goes alone.
    pub fn answered_together(&self, prompts: &[Vec<u32>], options: &GenerateOptions) -> usize {
        let (mut tokens, mut caches) = (0, 0);
        let fits = prompts.iter().take(options.at_once).take_while(|prompt| {
            tokens += prompt.len();
            caches += options.passes().len() * self.cache_bytes(prompt.len(), options.max_new);
            tokens <= PREFILL_TOKENS && caches <= options.cache_bytes
        });
        fits.count().max(1)
    }

    /// What keys and values of one prompt and its answer take, in bytes.
    pub fn cache_bytes(&self, prompt: usize, max_new: usize) -> usize {
        let tokens = prompt.saturating_add(max_new).min(self.spec.max_positions.max(prompt));
        let of_token = 2 * self.spec.layers.len() * self.spec.kv_width() * size_of::<f32>();
        tokens.saturating_mul(of_token)
    }
}

impl GenerateOptions {
    /// What is computed for a token.
    fn passes(&self) -> &'static [PassWeights] {
        if self.mix.is_some() { &[PassWeights::Policy, PassWeights::Reference] } else { &[PassWeights::Policy] }
    }
}

type Answer = (Vec<u32>, bool);

impl From<Answer> for Generation {
    fn from((ids, stopped_by_eos): Answer) -> Self {
        Self { ids, stopped_by_eos }
    }
}

/// A seed for each prompt: its ids, the seed, and how many equal prompts came before it.
fn seeds(prompts: &[Vec<u32>], range: std::ops::Range<usize>, options: &GenerateOptions) -> Vec<u64> {
    let mut seen: HashMap<&[u32], u64> = HashMap::new();
    prompts[..range.end]
        .iter()
        .map(|prompt| {
            let count = seen.entry(prompt).or_default();
            *count += 1;
            let mut hasher = blake3::Hasher::new();
            hasher.update(&options.seed.to_le_bytes());
            hasher.update(&count.to_le_bytes());
            for id in prompt {
                hasher.update(&id.to_le_bytes());
            }
            let mut seed = [0; 8];
            seed.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
            u64::from_le_bytes(seed)
        })
        .skip(range.start)
        .collect()
}

/// What is asked of a group.
#[derive(Clone, Copy)]
struct Asked<'a> {
    options: &'a GenerateOptions,
    wanted: &'a dyn Fn() -> bool,
    /// Index of the first prompt in the caller's list.
    first: usize,
}

/// Prompts that are answered together.
struct Group<'a> {
    policy: &'a Policy,
    asked: Asked<'a>,
    streams: Vec<Stream>,
    /// Logits for the next token of each stream, `[N, V]`, from each pass.
    logits: Vec<Tensor>,
}

/// Keys and values of each layer, `[capacity, kv_heads·head_dim]`.
type Cache = Vec<(Tensor, Tensor)>;

/// One prompt and its answer so far.
struct Stream {
    index: usize,
    sampler: Sampler,
    /// One for each pass.
    caches: Vec<Cache>,
    /// Tokens in each cache.
    len: usize,
    /// Tokens that may still come.
    room: usize,
    /// The prompt and the answer so far; what is past `len` is to be computed next.
    ids: Vec<u32>,
}

impl<'a> Group<'a> {
    /// Computes the prompts in one packed row and fills the caches.
    fn new(policy: &'a Policy, prompts: &[Vec<u32>], asked: Asked<'a>, seeds: Vec<u64>) -> Result<Self> {
        let options = asked.options;
        let streams = prompts
            .iter()
            .zip(seeds)
            .enumerate()
            .map(|(index, (prompt, seed))| {
                let context = policy.spec.max_positions;
                let room = options.max_new.min(context.saturating_sub(prompt.len()));
                let shape = (prompt.len() + room, policy.spec.kv_width());
                let zeros = || Tensor::zeros(shape, DType::F32, &policy.place);
                let cache = || (0..policy.spec.layers.len()).map(|_| Ok((zeros()?, zeros()?))).collect();
                let caches = options.passes().iter().map(|_| cache()).collect::<Result<_>>()?;
                Ok(Stream {
                    index,
                    sampler: Sampler::new(options.sampling, seed),
                    caches,
                    len: prompt.len(),
                    room,
                    ids: prompt.clone(),
                })
            })
            .collect::<Result<Vec<_>>>()?;
        let all: Vec<&Stream> = streams.iter().collect();
        let passes = options.passes().iter();
        let logits = passes.map(|pass| fill(policy, *pass, &all, 0, asked.wanted)).collect::<Result<_>>()?;
        Ok(Self { policy, asked, streams, logits })
    }

    fn run(mut self, answers: &mut [Answer], on_token: &mut dyn FnMut(usize, u32) -> ControlFlow<()>) -> Result<()> {
        loop {
            let logits = self.next_logits()?;
            let mut going = Vec::with_capacity(self.streams.len());
            for (logits, mut stream) in logits.into_iter().zip(self.streams.drain(..)) {
                if stream.room == 0 {
                    continue;
                }
                let id = stream.sampler.draw(logits, &stream.ids)?;
                let (ids, ended) = &mut answers[stream.index];
                ids.push(id);
                *ended = self.asked.options.stop.contains(&id);
                stream.room -= 1;
                stream.ids.push(id);
                let halted = on_token(self.asked.first + stream.index, id).is_break();
                if !halted && !*ended && stream.room > 0 {
                    going.push(stream);
                }
            }
            if going.is_empty() {
                return Ok(());
            }
            self.streams = going;
            self.logits = self.step()?;
        }
    }

    /// What each stream's next token is drawn from.
    fn next_logits(&self) -> Result<Vec<Vec<f32>>> {
        let numbers = |logits: &Tensor| -> Result<Vec<Vec<f32>>> {
            let flat = logits.to_dtype(DType::F32)?.to_vec::<f32>()?;
            Ok(flat.chunks(self.policy.spec.vocab_size).map(<[f32]>::to_vec).collect())
        };
        let mut logits = numbers(&self.logits[PassWeights::Policy as usize])?;
        if let Some(mix) = &self.asked.options.mix {
            let reference = numbers(&self.logits[PassWeights::Reference as usize])?;
            for (policy, reference) in logits.iter_mut().zip(reference) {
                mix.apply(policy, &reference);
            }
        }
        Ok(logits)
    }

    /// Logits after each stream's newest token, from each pass.
    fn step(&mut self) -> Result<Vec<Tensor>> {
        if !(self.asked.wanted)() {
            return Err(PolicyError::Cancelled);
        }
        let passes = self.asked.options.passes().iter();
        let logits = passes.map(|weights| self.pass(*weights)).collect();
        for stream in &mut self.streams {
            stream.len += 1;
        }
        logits
    }

    fn pass(&self, weights: PassWeights) -> Result<Tensor> {
        let Self { policy, streams, asked, .. } = self;
        for stream in streams {
            let mut ropes = policy.ropes.iter();
            if ropes.any(|rope| rope.rope().ages(stream.len as u32)) {
                fill(policy, weights, &[stream], 1, asked.wanted)?;
            }
        }
        let ids: Vec<u32> = streams.iter().map(|stream| stream.ids[stream.len]).collect();
        let positions: Vec<u32> = streams.iter().map(|stream| stream.len as u32).collect();
        let lengths: Vec<u32> = positions.iter().map(|position| position + 1).collect();
        let rotations = policy.rotations(&positions, &lengths)?;
        let layout = Layout::single(1)?; // attention goes by the caches
        let generating = Some(Generating::Decode);
        let context = PassContext { weights, generating, ..policy.context(&layout, &rotations, None) };
        let mut x = policy.embed(&ids)?;
        for (layer, block) in policy.blocks.iter().enumerate() {
            x = block.decode(&context, &x, |new_keys, new_values| {
                streams
                    .iter()
                    .enumerate()
                    .map(|(row, stream)| {
                        let (keys, values) = &stream.caches[weights as usize][layer];
                        keys.set_rows(stream.len, &kept(new_keys, row, 1)?)?;
                        values.set_rows(stream.len, &kept(new_values, row, 1)?)?;
                        Ok(CachedKeys { keys, values, len: stream.len + 1 })
                    })
                    .collect()
            })?;
        }
        policy.head_logits(&x)
    }
}

/// Computes the first `len` tokens of each stream, as the beginning of a sequence that is `ahead` tokens longer, in one
/// packed row; fills the caches and gives the logits after the last of them.
fn fill(
    policy: &Policy,
    weights: PassWeights,
    streams: &[&Stream],
    ahead: usize,
    wanted: &dyn Fn() -> bool,
) -> Result<Tensor> {
    let mut segments = Vec::with_capacity(streams.len());
    let (mut tokens, mut lengths, mut lasts) = (Vec::new(), Vec::new(), Vec::new());
    for stream in streams {
        segments.push(Segment { start: tokens.len(), len: stream.len, prefix: 0..0 });
        tokens.extend(&stream.ids[..stream.len]);
        lengths.resize(tokens.len(), (stream.len + ahead) as u32);
        lasts.push(tokens.len() as u32 - 1);
    }
    let layout = Layout::new(segments.clone())?;
    let rotations = policy.rotations(layout.positions(), &lengths)?;
    let generating = Some(Generating::Prefill);
    let context = PassContext { weights, generating, ..policy.context(&layout, &rotations, None) };
    let hidden = policy.hidden(&context, &tokens, Some(&lasts), |layer, _, saved| {
        if !wanted() {
            return Err(PolicyError::Cancelled);
        }
        let (keys, values) = policy.blocks[layer].keys_and_values(&context, &saved)?;
        for (stream, Segment { start, len, .. }) in streams.iter().zip(&segments) {
            let (old_keys, old_values) = &stream.caches[weights as usize][layer];
            old_keys.set_rows(0, &kept(&keys, *start, *len)?)?;
            old_values.set_rows(0, &kept(&values, *start, *len)?)?;
        }
        Ok(())
    })?;
    policy.head_logits(&hidden)
}

/// Rows as a cache keeps them: in f32, whatever the activations are.
fn kept(rows: &Tensor, start: usize, len: usize) -> Result<Tensor> {
    Ok(rows.rows(start, len)?.to_dtype(DType::F32)?)
}
