//! What the card is asked to do: recorded one after the other, handed over in batches of some milliseconds, and never
//! more than two batches ahead, so that a stop acts soon and no driver's watchdog bites.

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    super::{KernelError, Result},
    driver::Driver,
    pace::Pace,
    pool::Pool,
    profile::Profile,
    shader::{PARAMETERS, Pipeline, Shader},
};

/// Runs of shaders in a batch at most: as many as there is room for parameters.
const BATCH: usize = 512;

/// Bytes copied to or from the card at once, and the most that wait on the way to it.
pub(super) const TRANSFER: u64 = 64 << 20;

/// Batches that the card may have before it.
const AHEAD: usize = 2;

/// What has been recorded and not yet handed over.
#[derive(Debug)]
pub(super) struct Recording {
    driver: Arc<Driver>,
    pool: Arc<Pool>,
    pace: Arc<Pace>,
    encoder: Option<wgpu::CommandEncoder>,
    /// Of each run, in order.
    parameters: Vec<u8>,
    parameter_buffer: wgpu::Buffer,
    /// Bytes in it that are on their way to the card.
    staged: u64,
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

/// One run of a shader, as its driver wants it.
pub(super) struct Dispatch<'a> {
    pub shader: &'static Shader,
    pub pipeline: &'a Pipeline,
    pub parameters: &'a [u32],
    /// Buffer, first byte and number of bytes of each.
    pub operands: &'a [(&'a wgpu::Buffer, u64, u64)],
    pub groups: [u32; 3],
    /// Multiplications, roughly.
    pub work: u64,
}

impl Recording {
    pub(super) fn new(driver: &Arc<Driver>, pool: &Arc<Pool>, pace: &Arc<Pace>) -> Self {
        let parameter_buffer = driver.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("parameters"),
            size: BATCH as u64 * PARAMETERS,
            usage: wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        Self {
            driver: Arc::clone(driver),
            pool: Arc::clone(pool),
            pace: Arc::clone(pace),
            encoder: None,
            parameters: Vec::new(),
            parameter_buffer,
            staged: 0,
            work: 0,
            in_flight: VecDeque::new(),
            last_done: None,
            readback: None,
            profile: None,
        }
    }

    /// A buffer. Where there is no room, what is not in use is given back and everything waited for, once.
    ///
    /// # Errors
    /// [`KernelError::OutOfMemory`].
    pub(super) fn create(&mut self, size: u64, usage: wgpu::BufferUsages) -> Result<wgpu::Buffer> {
        self.create_after(size, usage, Self::wait)
    }

    fn create_after(
        &mut self,
        size: u64,
        usage: wgpu::BufferUsages,
        wait: fn(&mut Self) -> Result<()>,
    ) -> Result<wgpu::Buffer> {
        if let Ok(buffer) = self.driver.buffer(size, usage, self.pool.held()) {
            return Ok(buffer);
        }
        // What is freed is so only once the card is done with it.
        self.pool.trim();
        wait(self)?;
        self.driver.buffer(size, usage, self.pool.held()).map_err(|error| {
            KernelError::OutOfMemory(format!(
                "{} had no room for {} beside the {} in use ({error})",
                self.driver.info.name,
                data::size(size),
                data::size(self.pool.used())
            ))
        })
    }

    /// These bytes on their way to the card, with zeros behind them up to a whole word.
    fn stage(&mut self, bytes: &[u8], wait: fn(&mut Self) -> Result<()>) -> Result<wgpu::Buffer> {
        const STAGED: wgpu::BufferUsages = wgpu::BufferUsages::MAP_WRITE.union(wgpu::BufferUsages::COPY_SRC);
        let staged = self.create_after((bytes.len() as u64).next_multiple_of(4), STAGED, wait)?;
        {
            let mut room = staged.get_mapped_range_mut(..).map_err(|error| self.driver.fault(error))?;
            room.slice(..bytes.len()).copy_from_slice(bytes);
        }
        staged.unmap();
        Ok(staged)
    }

    /// Puts bytes into a buffer. Many are waited for, so that few of them are in memory twice.
    pub(super) fn write(&mut self, to: &wgpu::Buffer, first: u64, bytes: &[u8]) -> Result<()> {
        for (at, part) in (first..).step_by(TRANSFER as usize).zip(bytes.chunks(TRANSFER as usize)) {
            let staged = self.stage(part, Self::wait)?;
            self.copy((&staged, 0), (to, at), staged.size());
            self.staged += staged.size();
            drop(staged);
            if self.staged >= TRANSFER {
                self.wait()?;
            }
        }
        Ok(())
    }

    fn encoder(&mut self) -> &mut wgpu::CommandEncoder {
        let Self { encoder, driver, .. } = self;
        encoder.get_or_insert_with(|| driver.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default()))
    }

    /// Has a shader run.
    pub(super) fn run(&mut self, dispatch: &Dispatch<'_>) -> Result<()> {
        let Dispatch { shader, pipeline, parameters, groups: [x, y, z], work, .. } = *dispatch;
        if self.parameters.len() as u64 >= BATCH as u64 * PARAMETERS {
            self.submit()?;
        }
        let at = self.parameters.len() as u32;
        let bind_group = self.bind(dispatch);
        let bytes: &[u8] = bytemuck::cast_slice(parameters);
        self.parameters.extend_from_slice(bytes);
        self.parameters.resize(at as usize + PARAMETERS as usize, 0);
        let clock = self.profile.as_mut().map(|profile| {
            let at = profile.next(shader.name, if shader.multiplies { work } else { 0 });
            (profile.readings.clone(), at)
        });
        {
            let mut pass = self.encoder().begin_compute_pass(&wgpu::ComputePassDescriptor {
                label: Some(shader.name),
                timestamp_writes: clock.as_ref().map(|(readings, (begin, end))| wgpu::ComputePassTimestampWrites {
                    query_set: readings,
                    beginning_of_pass_write_index: Some(*begin),
                    end_of_pass_write_index: Some(*end),
                }),
            });
            pass.set_pipeline(&pipeline.pipeline);
            pass.set_bind_group(0, &bind_group, &[at]);
            pass.dispatch_workgroups(x, y, z);
        }
        self.work += work;
        if self.work >= self.pace.budget() {
            self.submit()?;
        }
        Ok(())
    }

    fn bind(&self, dispatch: &Dispatch<'_>) -> wgpu::BindGroup {
        let entry = |binding: u32, buffer, offset, bytes| wgpu::BindGroupEntry {
            binding,
            resource: wgpu::BindingResource::Buffer(wgpu::BufferBinding {
                buffer,
                offset,
                size: wgpu::BufferSize::new(bytes),
            }),
        };
        let mut entries = vec![entry(0, &self.parameter_buffer, 0, PARAMETERS)];
        let operands = dispatch.operands.iter().zip(1..);
        entries.extend(operands.map(|(&(buffer, offset, bytes), binding)| entry(binding, buffer, offset, bytes)));
        self.driver.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some(dispatch.shader.name),
            layout: &dispatch.pipeline.operands,
            entries: &entries,
        })
    }

    /// Copies bytes from one buffer to another: from where, to where, how many.
    pub(super) fn copy(&mut self, from: (&wgpu::Buffer, u64), to: (&wgpu::Buffer, u64), bytes: u64) {
        self.encoder().copy_buffer_to_buffer(from.0, from.1, to.0, to.1, bytes);
    }

    /// Fills a buffer with what is in another one, again and again.
    pub(super) fn spread(&mut self, from: &wgpu::Buffer, to: &wgpu::Buffer) {
        for at in (0..to.size()).step_by(from.size() as usize) {
            self.copy((from, 0), (to, at), from.size().min(to.size() - at));
        }
    }

    /// Sets bytes to zero.
    pub(super) fn clear(&mut self, buffer: &wgpu::Buffer, first: u64, bytes: u64) {
        self.encoder().clear_buffer(buffer, first, Some(bytes));
    }

    /// Reads whole words, after everything that was recorded. Waits for the card.
    pub(super) fn read(&mut self, from: &wgpu::Buffer, first: u64, len: u64, take: impl FnOnce(&[u8])) -> Result<()> {
        let readback = match self.readback.take().filter(|buffer| buffer.size() >= len) {
            Some(buffer) => buffer,
            None => self.create(
                len.next_power_of_two().max(4096),
                wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
            )?,
        };
        self.copy((from, first), (&readback, 0), len);
        self.submit()?;
        self.drain()?;
        self.driver.read_mapped(&readback, len, take)?;
        self.readback = Some(readback);
        Ok(())
    }

    fn submit(&mut self) -> Result<()> {
        if self.encoder.is_none() {
            return self.driver.check();
        }
        // What has no room must not cost what was recorded.
        let parameters = self.parameters_first()?;
        let Some(mut encoder) = self.encoder.take() else { return Ok(()) };
        self.parameters.clear();
        self.staged = 0;
        if let Some(profile) = &self.profile {
            profile.close(&mut encoder);
        }
        let work = std::mem::take(&mut self.work);
        let commands = encoder.finish();
        let began = Instant::now();
        let index = self.driver.queue.submit(parameters.into_iter().chain([commands]));
        self.in_flight.push_back(Batch { index, work, began });
        // Some drivers do the work before they come back.
        let took = began.elapsed();
        if took > SUBMITTED {
            self.pace.learn(work, took);
        }
        if let Some(profile) = &mut self.profile {
            profile.take_in(&self.driver)?;
        }
        while self.in_flight.len() > AHEAD {
            self.await_oldest()?;
        }
        self.driver.check()
    }

    /// The command that puts the parameters of all runs where they read them.
    fn parameters_first(&mut self) -> Result<Option<wgpu::CommandBuffer>> {
        if self.parameters.is_empty() {
            return Ok(None);
        }
        let parameters = std::mem::take(&mut self.parameters);
        let staged = self.stage(&parameters, Self::drain);
        self.parameters = parameters;
        let staged = staged?;
        let mut encoder = self.driver.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        encoder.copy_buffer_to_buffer(&staged, 0, &self.parameter_buffer, 0, staged.size());
        Ok(Some(encoder.finish()))
    }

    /// Waits for the batch that was handed over first. From the end of one to the end of the next, both waited for, is
    /// what the next one took.
    fn await_oldest(&mut self) -> Result<()> {
        let Some(Batch { index, work, .. }) = self.in_flight.pop_front() else { return Ok(()) };
        let began = Instant::now();
        self.driver.wait_for(Some(index))?;
        let done = Instant::now();
        if done - began < WAITED {
            self.last_done = None;
            return Ok(());
        }
        if let Some(last) = self.last_done {
            self.pace.learn(work, done - last);
        }
        self.last_done = (!self.in_flight.is_empty()).then_some(done);
        Ok(())
    }

    /// Waits for all that was handed over. A batch that was alone took no longer than the wait.
    fn drain(&mut self) -> Result<()> {
        let batches: Vec<Batch> = self.in_flight.drain(..).collect();
        self.last_done = None;
        self.driver.wait_for(None)?;
        if let [Batch { work, began, .. }] = batches.as_slice() {
            self.pace.learn(*work, began.elapsed());
        }
        self.driver.check()
    }

    /// Hands over what was recorded, and waits until all is done.
    pub(super) fn wait(&mut self) -> Result<()> {
        self.submit()?;
        self.drain()
    }

    /// Bytes that wait on the way to the card.
    #[cfg(test)]
    pub(super) fn staged(&self) -> u64 {
        self.staged
    }

    /// Whether nothing was handed over that may not be done.
    #[cfg(test)]
    pub(super) fn is_idle(&self) -> bool {
        self.in_flight.is_empty()
    }

    /// Has every run of a shader timed from now on.
    pub(super) fn watch(&mut self) {
        self.profile = Some(Profile::new(&self.driver.device, BATCH));
    }

    /// What was timed; nothing is any more.
    pub(super) fn watched(&mut self) -> Option<Profile> {
        self.profile.take()
    }
}
