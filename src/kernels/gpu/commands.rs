//! What the card is asked to do: recorded one after the other, handed over in batches of some milliseconds, and never more
//! than two batches ahead, so that a stop acts soon and no driver's watchdog bites.

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    super::{KernelError, Result},
    card::Card,
    memory::{Piece, Span},
    profile::Profile,
    shader::{PARAMETERS, Pipeline, Program, Shader},
};

/// Runs of shaders in a batch at most: as many as there is room for parameters.
const BATCH: usize = 512;

/// Batches that the card may have before it.
const AHEAD: usize = 2;

/// Bytes copied to or from the card at once.
const TRANSFER: u64 = 64 << 20;

/// What has been recorded and not yet handed over.
#[derive(Debug)]
pub(super) struct Commands {
    encoder: Option<wgpu::CommandEncoder>,
    /// Of each run, in order.
    parameters: Vec<u8>,
    parameter_buffer: wgpu::Buffer,
    /// Multiplications in it, roughly.
    work: u64,
    /// Batches that may not be done.
    in_flight: VecDeque<Batch>,
    /// When a batch was last seen to be done while the next was waiting already.
    last_done: Option<Instant>,
    /// What results are read through, as large as the largest so far.
    readback: Option<wgpu::Buffer>,
    profile: Option<Profile>,
}

/// What was handed over.
#[derive(Debug)]
struct Batch {
    index: wgpu::SubmissionIndex,
    work: u64,
    began: Instant,
}

/// Handing over that takes longer than this was not only that.
const SUBMITTED: Duration = Duration::from_millis(5);

/// A wait of less than this says that the batch had been done for some time.
const WAITED: Duration = Duration::from_micros(200);

impl Commands {
    pub(super) fn new(device: &wgpu::Device) -> Self {
        let parameter_buffer = device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("parameters"),
            size: BATCH as u64 * PARAMETERS,
            usage: wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        Self {
            encoder: None,
            parameters: Vec::new(),
            parameter_buffer,
            work: 0,
            in_flight: VecDeque::new(),
            last_done: None,
            readback: None,
            profile: None,
        }
    }

    fn encoder(&mut self, card: &Card) -> &mut wgpu::CommandEncoder {
        self.encoder
            .get_or_insert_with(|| card.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default()))
    }

    fn submit(&mut self, card: &Card) -> Result<()> {
        let Some(mut encoder) = self.encoder.take() else { return card.check() };
        if !self.parameters.is_empty() {
            card.queue.write_buffer(&self.parameter_buffer, 0, &self.parameters);
            self.parameters.clear();
        }
        if let Some(profile) = &self.profile {
            profile.close(&mut encoder);
        }
        let work = std::mem::take(&mut self.work);
        let commands = encoder.finish();
        let began = Instant::now();
        let index = card.queue.submit([commands]);
        card.pool.next_batch();
        self.in_flight.push_back(Batch { index, work, began });
        // Some drivers do the work before they come back.
        let took = began.elapsed();
        if took > SUBMITTED {
            card.pace.learn(work, took);
        }
        if let Some(profile) = &mut self.profile {
            profile.take_in(card)?;
        }
        while self.in_flight.len() > AHEAD {
            self.await_oldest(card)?;
        }
        card.check()
    }

    /// Waits for the batch that was handed over first. From the end of one to the end of the next, both waited for, is what
    /// the next one took.
    fn await_oldest(&mut self, card: &Card) -> Result<()> {
        let Some(Batch { index, work, .. }) = self.in_flight.pop_front() else { return Ok(()) };
        let began = Instant::now();
        await_submission(card, Some(index))?;
        let done = Instant::now();
        if done - began < WAITED {
            self.last_done = None;
            return Ok(());
        }
        if let Some(last) = self.last_done {
            card.pace.learn(work, done - last);
        }
        self.last_done = (!self.in_flight.is_empty()).then_some(done);
        Ok(())
    }

    /// Waits for all that was handed over. A batch that was alone took no longer than the wait.
    fn drain(&mut self, card: &Card) -> Result<()> {
        let batches: Vec<Batch> = self.in_flight.drain(..).collect();
        self.last_done = None;
        await_submission(card, None)?;
        if let [Batch { work, began, .. }] = batches.as_slice() {
            card.pace.learn(*work, began.elapsed());
        }
        card.check()
    }

    fn wait(&mut self, card: &Card) -> Result<()> {
        self.submit(card)?;
        self.drain(card)
    }

    pub(super) fn watch(&mut self, card: &Card) {
        self.profile = Some(Profile::new(&card.device, BATCH));
    }

    pub(super) fn watched(&mut self) -> Option<Profile> {
        self.profile.take()
    }
}

fn await_submission(card: &Card, submission_index: Option<wgpu::SubmissionIndex>) -> Result<()> {
    match card.device.poll(wgpu::PollType::Wait { submission_index, timeout: None }) {
        Ok(_) => Ok(()),
        Err(error) => {
            card.check()?;
            Err(KernelError::Gpu(format!("{}: {error}", card.info().name)))
        }
    }
}

/// One run of a shader.
pub(super) struct Run<'a> {
    pub program: Program<'a>,
    pub operands: &'a [Span<'a>],
    /// What follows the operands' first elements in the parameters; see [`number`].
    pub parameters: &'a [u32],
    pub groups: [u32; 3],
    /// Multiplications, roughly: how long it will take, compared with others.
    pub work: u64,
}

/// A float among a shader's parameters.
pub(super) fn number(value: f32) -> u32 {
    value.to_bits()
}

/// Workgroups of `size` threads for `count` threads, in two dimensions because one has an end. The shader's own number is
/// `id.x + id.y * groups.x * size`.
pub(super) fn groups(count: usize, size: u32) -> [u32; 3] {
    const LARGEST: u32 = 65_535;
    let groups = count.div_ceil(size as usize) as u32;
    let rows = groups.div_ceil(LARGEST).max(1);
    [groups.div_ceil(rows), rows, 1]
}

impl Card {
    /// Has a shader run, after everything that was asked before.
    pub(super) fn run(self: &Arc<Self>, run: &Run<'_>) -> Result<()> {
        if run.groups.contains(&0) {
            return Ok(());
        }
        let pipeline = self.pipelines.get(self, run.program)?;
        let alignment = u64::from(self.device.limits().min_storage_buffer_offset_alignment);
        let mut parameters: Vec<u32> = Vec::with_capacity(run.operands.len() + run.parameters.len());
        let mut ranges = Vec::with_capacity(run.operands.len());
        for operand in run.operands {
            let first = operand.start / alignment * alignment;
            let element = operand.piece.dtype().size_in_bytes() as u64;
            parameters.push(((operand.start - first) / element) as u32);
            let bytes = (operand.start - first + operand.bytes).next_multiple_of(4).max(4);
            if bytes > self.binding_limit.max(alignment) {
                return Err(KernelError::Gpu(format!(
                    "{}: {} reads {} MiB at once, and the card allows {}",
                    self.info().name,
                    run.program.shader.name,
                    bytes >> 20,
                    self.binding_limit >> 20
                )));
            }
            ranges.push((operand.piece.buffer()?, first, bytes));
        }
        parameters.extend_from_slice(run.parameters);
        let mut commands = self.commands()?;
        if commands.parameters.len() as u64 >= BATCH as u64 * PARAMETERS {
            commands.submit(self)?;
        }
        let at = commands.parameters.len() as u32;
        let bind_group = self.bind(&pipeline, &commands.parameter_buffer, run, &ranges);
        let bytes: &[u8] = bytemuck::cast_slice(&parameters);
        commands.parameters.extend_from_slice(bytes);
        commands.parameters.resize(at as usize + PARAMETERS as usize, 0);
        let Shader { name, multiplies, .. } = *run.program.shader;
        let clock = commands.profile.as_mut().map(|profile| {
            let at = profile.next(name, if multiplies { run.work } else { 0 });
            (profile.readings.clone(), at)
        });
        {
            let mut pass = commands.encoder(self).begin_compute_pass(&wgpu::ComputePassDescriptor {
                label: Some(run.program.shader.name),
                timestamp_writes: clock.as_ref().map(|(readings, (begin, end))| wgpu::ComputePassTimestampWrites {
                    query_set: readings,
                    beginning_of_pass_write_index: Some(*begin),
                    end_of_pass_write_index: Some(*end),
                }),
            });
            pass.set_pipeline(&pipeline.pipeline);
            pass.set_bind_group(0, &bind_group, &[at]);
            let [x, y, z] = run.groups;
            pass.dispatch_workgroups(x, y, z);
        }
        commands.work += run.work;
        if commands.work >= self.pace.budget() {
            commands.submit(self)?;
        }
        Ok(())
    }

    fn bind(
        &self,
        pipeline: &Pipeline,
        parameters: &wgpu::Buffer,
        run: &Run<'_>,
        ranges: &[(&wgpu::Buffer, u64, u64)],
    ) -> wgpu::BindGroup {
        let entry = |binding: u32, buffer, offset, bytes| wgpu::BindGroupEntry {
            binding,
            resource: wgpu::BindingResource::Buffer(wgpu::BufferBinding {
                buffer,
                offset,
                size: wgpu::BufferSize::new(bytes),
            }),
        };
        let mut entries = vec![entry(0, parameters, 0, PARAMETERS)];
        let operands = ranges.iter().zip(1..);
        entries.extend(operands.map(|(&(buffer, offset, bytes), binding)| entry(binding, buffer, offset, bytes)));
        self.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some(run.program.shader.name),
            layout: &pipeline.operands,
            entries: &entries,
        })
    }

    pub(super) fn commands(&self) -> Result<std::sync::MutexGuard<'_, Commands>> {
        self.commands.lock().map_err(|_| KernelError::Gpu("an earlier call failed".to_owned()))
    }

    /// Waits until everything that was asked for is done.
    pub(crate) fn wait(&self) -> Result<()> {
        self.commands()?.wait(self)
    }

    /// Copies bytes inside the card's memory.
    pub(super) fn copy(&self, from: Span<'_>, to: Span<'_>) -> Result<()> {
        let (source, target) = (from.piece.buffer()?, to.piece.buffer()?);
        if from.bytes == 0 {
            return Ok(());
        }
        let is_whole = [from.start, to.start, from.bytes].iter().all(|at| at.is_multiple_of(4));
        if from.bytes != to.bytes || !is_whole || source == target {
            let message = format!("{} bytes from {} to {}", from.bytes, from.start, to.start);
            return Err(KernelError::Value { operation: "copy on the card", message });
        }
        let mut commands = self.commands()?;
        commands.encoder(self).copy_buffer_to_buffer(source, from.start, target, to.start, from.bytes);
        Ok(())
    }
}

impl Piece {
    /// Sets every element to these bits (twice the same half for a type of two bytes).
    pub(super) fn fill(&self, bits: u32) -> Result<()> {
        let words = self.bytes().div_ceil(4) as usize;
        let card = self.card();
        if bits == 0 && self.start().is_multiple_of(4) {
            let mut commands = card.commands()?;
            let bytes = (words as u64 * 4).max(4);
            commands.encoder(card).clear_buffer(self.buffer()?, self.start(), Some(bytes));
            return Ok(());
        }
        super::elementwise::fill(self, bits)
    }

    /// Puts bytes into a piece that no command names which is not handed over yet: a write overtakes those.
    pub(super) fn write_first(&self, bytes: &[u8]) -> Result<()> {
        let card = self.card();
        if bytes.len() as u64 != self.bytes() || !self.start().is_multiple_of(4) {
            let message = format!("{} bytes for {}", bytes.len(), self.bytes());
            return Err(KernelError::Value { operation: "upload", message });
        }
        let whole = bytes.len() / 4 * 4;
        for (index, part) in bytes[..whole].chunks(TRANSFER as usize).enumerate() {
            card.queue.write_buffer(self.buffer()?, self.start() + index as u64 * TRANSFER, part);
            if whole as u64 > TRANSFER {
                card.queue.submit([]);
                await_submission(card, None)?;
            }
        }
        if whole < bytes.len() {
            let mut last = [0; 4];
            last[..bytes.len() - whole].copy_from_slice(&bytes[whole..]);
            card.queue.write_buffer(self.buffer()?, self.start() + whole as u64, &last);
        }
        card.check()
    }

    /// Its elements' bytes, in row order. Waits for the card.
    pub(crate) fn read(&self) -> Result<Vec<u8>> {
        let card = self.card();
        let mut bytes = Vec::with_capacity(self.bytes() as usize);
        let end = self.start() + self.bytes();
        let mut at = self.start();
        while at < end {
            let part = (end - at).min(TRANSFER);
            // Copies are of whole words.
            let first = at / 4 * 4;
            let len = (at + part - first).next_multiple_of(4);
            read_words(card, self.buffer()?, first, len, |words| {
                bytes.extend_from_slice(&words[(at - first) as usize..][..part as usize]);
            })?;
            at += part;
        }
        Ok(bytes)
    }
}

fn read_words(card: &Card, from: &wgpu::Buffer, first: u64, len: u64, take: impl FnOnce(&[u8])) -> Result<()> {
    let mut commands = card.commands()?;
    let is_large_enough = commands.readback.as_ref().is_some_and(|buffer| buffer.size() >= len);
    if !is_large_enough {
        commands.readback = Some(card.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("readback"),
            size: len.next_power_of_two().max(4096),
            usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        }));
    }
    let Some(readback) = commands.readback.clone() else {
        return Err(KernelError::Gpu("no buffer to read through".to_owned()));
    };
    commands.encoder(card).copy_buffer_to_buffer(from, first, &readback, 0, len);
    commands.submit(card)?;
    commands.drain(card)?;
    read_mapped(card, &readback, len, take)
}

/// Reads the beginning of a buffer that the card has been told to fill. Waits for the card.
pub(super) fn read_mapped(card: &Card, buffer: &wgpu::Buffer, len: u64, take: impl FnOnce(&[u8])) -> Result<()> {
    let (sender, receiver) = std::sync::mpsc::channel();
    buffer.map_async(wgpu::MapMode::Read, 0..len, move |result| {
        sender.send(result).ok();
    });
    await_submission(card, None)?;
    card.check()?;
    let fault = |error: String| KernelError::Gpu(format!("{}: results cannot be read: {error}", card.info().name));
    match receiver.recv() {
        Ok(Ok(())) => {}
        Ok(Err(error)) => return Err(fault(error.to_string())),
        Err(error) => return Err(fault(error.to_string())),
    }
    {
        let words = buffer.get_mapped_range(0..len).map_err(|error| fault(error.to_string()))?;
        take(&words);
    }
    buffer.unmap();
    Ok(())
}
