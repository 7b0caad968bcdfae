//! What the drivers of this machine give out: which cards there are, and one of them opened for computing, with an
//! instance and a queue of its own, apart from the window's, so that a long step neither holds up a frame nor takes the
//! window along when the driver falls over.

use std::{
    fmt,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc,
    },
    time::Duration,
};

use serde::{Deserialize, Serialize};

use super::{
    super::{KernelError, Result},
    heaps::CardMemory,
    validation,
};

/// What is known of a card without taking it into use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CardInfo {
    /// What its maker calls it.
    pub name: String,
    /// The driver and its version, as far as it says.
    pub driver: String,
    /// `vulkan`, `metal` or `dx12`.
    pub backend: String,
    /// Whether it is the processor in disguise.
    pub is_software: bool,
    /// What it has, as far as it says.
    pub memory: CardMemory,
    /// Bytes of the largest range that a shader can be given.
    pub largest_binding: u64,
    /// Bytes of the largest buffer.
    pub largest_buffer: u64,
}

impl CardInfo {
    /// Whether it is the same card with the same driver. What memory there is may be told otherwise the next time,
    /// where it is the machine's.
    pub fn is_same_as(&self, other: &Self) -> bool {
        let identity = |of: &Self| (of.name.clone(), of.driver.clone(), of.backend.clone(), of.is_software);
        identity(self) == identity(other)
    }

    /// Card, interface and driver: what results may depend on in their last digits.
    pub fn in_words(&self) -> String {
        format!("{} ({} {})", self.name, self.backend, self.driver)
    }

    fn of(adapter: &wgpu::Adapter) -> Self {
        let (info, limits) = (adapter.get_info(), adapter.limits());
        Self {
            driver: [info.driver, info.driver_info].join(" ").trim().to_owned(),
            name: info.name,
            backend: info.backend.to_string(),
            is_software: info.device_type == wgpu::DeviceType::Cpu,
            memory: CardMemory::of(adapter),
            largest_binding: limits.max_storage_buffer_binding_size,
            largest_buffer: limits.max_buffer_size,
        }
    }
}

/// The way to a card: its device and its queue.
pub(super) struct Driver {
    pub(super) info: CardInfo,
    pub(super) device: wgpu::Device,
    pub(super) queue: wgpu::Queue,
    /// Bytes that one operand of a shader may span.
    pub(super) binding_limit: u64,
    /// Bytes of the largest buffer.
    pub(super) buffer_limit: u64,
    /// Bytes that all buffers together may have; less than the card has only in tests.
    memory_limit: AtomicU64,
    health: Arc<Health>,
}

impl fmt::Debug for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.info.name, self.info.backend)
    }
}

/// What the driver has reported.
#[derive(Debug, Default)]
struct Health {
    is_lost: AtomicBool,
    /// The first fault, in the driver's words. What was computed since may be wrong, so it stays.
    fault: Mutex<Option<String>>,
    /// That there was no room for something since the last look.
    full: Mutex<Option<String>>,
}

impl Health {
    fn note(&self, fault: String) {
        if let Ok(mut first) = self.fault.lock() {
            first.get_or_insert(fault);
        }
    }

    fn hear(&self, error: &wgpu::Error) {
        match error {
            wgpu::Error::OutOfMemory { .. } => {
                if let Ok(mut full) = self.full.lock() {
                    full.get_or_insert(error.to_string());
                }
            }
            _ => self.note(error.to_string()),
        }
    }

    fn lose(&self, why: String) {
        self.note(why);
        self.is_lost.store(true, Ordering::Release);
    }
}

/// Ways to open a card that only tests choose.
#[derive(Debug, Clone, Copy, Default)]
pub struct CardOptions {
    /// Bytes that one operand may span, less than the card itself allows.
    pub binding_limit: Option<u64>,
    /// Fills every new buffer with NaN, so that a number read before it was written shows.
    pub poison: bool,
    /// Has Vulkan's validation layers look on, where they are installed: their first objection ends the program.
    pub validated: bool,
    /// Asks for nothing that a card need not have, as if this one were the least.
    pub bare: bool,
    /// Multiplications that are handed over at once, instead of what fits a hundredth of a second.
    pub batch_work: Option<u64>,
    /// Bytes of memory that it has, less than the card itself.
    pub memory_limit: Option<u64>,
}

/// How long a batch may take before the driver counts as hung: a thousand times what a slow one does.
const PATIENCE: Duration = Duration::from_mins(2);

/// Vulkan before DirectX on Windows, because its shaders are translated more directly.
const BACKENDS: [wgpu::Backends; 3] = [wgpu::Backends::METAL, wgpu::Backends::VULKAN, wgpu::Backends::DX12];

fn instance(validated: bool) -> wgpu::Instance {
    let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle();
    descriptor.backends = BACKENDS.into_iter().fold(wgpu::Backends::empty(), |all, one| all | one);
    descriptor.memory_budget_thresholds.for_resource_creation = Some(90);
    descriptor.flags = if validated { wgpu::InstanceFlags::VALIDATION } else { wgpu::InstanceFlags::empty() };
    wgpu::Instance::new(descriptor)
}

/// The cards of this machine, each once, in the order of their numbers: real ones first.
fn adapters(validated: bool) -> Vec<wgpu::Adapter> {
    let instance = instance(validated);
    let mut found: Vec<wgpu::Adapter> = Vec::new();
    for backend in BACKENDS {
        for adapter in pollster::block_on(instance.enumerate_adapters(backend)) {
            let info = adapter.get_info();
            let same = |known: &wgpu::Adapter| {
                let known = known.get_info();
                (known.vendor, known.device, &known.name, &known.device_pci_bus_id)
                    == (info.vendor, info.device, &info.name, &info.device_pci_bus_id)
                    && known.backend != info.backend
            };
            if !found.iter().any(same) {
                found.push(adapter);
            }
        }
    }
    // Stable: a laptop's own graphics come after its card, whatever the driver thinks.
    found.sort_by_key(|adapter| match adapter.get_info().device_type {
        wgpu::DeviceType::DiscreteGpu => 0,
        wgpu::DeviceType::IntegratedGpu => 1,
        wgpu::DeviceType::VirtualGpu | wgpu::DeviceType::Other => 2,
        wgpu::DeviceType::Cpu => 3,
    });
    found
}

/// The cards of this machine, in the order of their numbers. Asking a driver can crash it: done in a process of its own
/// before the first use.
pub fn cards() -> Vec<CardInfo> {
    adapters(false).iter().map(CardInfo::of).collect()
}

/// What shaders need of a card that offers this, with as large operands as it has. Of what only pictures need as little
/// as every card has.
fn needed(offered: &wgpu::Limits, bare: bool) -> wgpu::Limits {
    let usual = wgpu::Limits::default();
    let sizes = if bare { &usual } else { offered };
    wgpu::Limits {
        max_storage_buffer_binding_size: sizes.max_storage_buffer_binding_size,
        max_buffer_size: sizes.max_buffer_size,
        max_storage_buffers_per_shader_stage: usual.max_storage_buffers_per_shader_stage,
        max_compute_workgroup_storage_size: usual.max_compute_workgroup_storage_size,
        max_compute_invocations_per_workgroup: usual.max_compute_invocations_per_workgroup,
        max_compute_workgroup_size_x: usual.max_compute_workgroup_size_x,
        max_compute_workgroup_size_y: usual.max_compute_workgroup_size_y,
        max_compute_workgroup_size_z: usual.max_compute_workgroup_size_z,
        max_compute_workgroups_per_dimension: usual.max_compute_workgroups_per_dimension,
        ..wgpu::Limits::downlevel_webgl2_defaults().or_worse_values_from(offered)
    }
}

impl Driver {
    /// Takes a card into use.
    ///
    /// # Errors
    /// [`KernelError::NoDevice`] with a sentence about what to do.
    pub(super) fn open(number: usize, options: CardOptions) -> Result<Self> {
        if options.validated && !validation::judge() {
            return Err(KernelError::NoDevice("what validation layers say would go unheard".to_owned()));
        }
        let mut adapters = adapters(options.validated);
        if number >= adapters.len() {
            return Err(KernelError::NoDevice(match adapters.len() {
                0 => "no graphics card answers here (Vulkan, Metal or DirectX 12); install its driver, or choose \"auto\" or \"cpu\"".to_owned(),
                count => format!("gpu:{number} was asked for, but the cards are counted from 0, and there are only {count}"),
            }));
        }
        Self::of_adapter(&adapters.swap_remove(number), options)
    }

    fn of_adapter(adapter: &wgpu::Adapter, options: CardOptions) -> Result<Self> {
        let info = CardInfo::of(adapter);
        let limits = needed(&adapter.limits(), options.bare);
        // Nothing else: neither half precision nor subgroups nor matrices of them.
        let wanted = if options.bare { wgpu::Features::empty() } else { wgpu::Features::TIMESTAMP_QUERY };
        let descriptor = wgpu::DeviceDescriptor {
            label: Some("training"),
            required_features: adapter.features() & wanted,
            required_limits: limits.clone(),
            experimental_features: wgpu::ExperimentalFeatures::disabled(),
            memory_hints: wgpu::MemoryHints::Performance,
            trace: wgpu::Trace::Off,
        };
        let (device, queue) = pollster::block_on(adapter.request_device(&descriptor)).map_err(|error| {
            KernelError::NoDevice(format!("{} cannot be used: {error}; choose another device", info.name))
        })?;
        let health = Arc::new(Health::default());
        let on_fault = Arc::clone(&health);
        device.on_uncaptured_error(Arc::new(move |error: wgpu::Error| on_fault.hear(&error)));
        let on_lost = Arc::clone(&health);
        device.set_device_lost_callback(move |reason, message| {
            if !matches!(reason, wgpu::DeviceLostReason::Destroyed) || !message.is_empty() {
                on_lost.note(format!("the driver gave up ({message})"));
            }
            on_lost.is_lost.store(true, Ordering::Release);
        });
        let own_limit = limits.max_storage_buffer_binding_size;
        Ok(Self {
            binding_limit: options.binding_limit.map_or(own_limit, |limit| limit.min(own_limit)),
            buffer_limit: limits.max_buffer_size,
            memory_limit: AtomicU64::new(options.memory_limit.unwrap_or(u64::MAX)),
            info,
            device,
            queue,
            health,
        })
    }

    /// Whether everything that was asked of it so far went well.
    ///
    /// # Errors
    /// [`KernelError::DeviceLost`] once the driver has given up, [`KernelError::OutOfMemory`] once for what had no
    /// room, [`KernelError::Gpu`] from any other fault on.
    pub(super) fn check(&self) -> Result<()> {
        let fault = || self.health.fault.lock().ok().and_then(|fault| fault.clone());
        if self.health.is_lost.load(Ordering::Acquire) {
            let reason = fault().unwrap_or_else(|| "the device was lost".to_owned());
            return Err(KernelError::DeviceLost(format!("{}: {reason}", self.info.name)));
        }
        if let Some(fault) = fault() {
            return Err(self.fault(fault));
        }
        match self.health.full.lock().ok().and_then(|mut full| full.take()) {
            Some(full) => Err(KernelError::OutOfMemory(format!("{}: {full}", self.info.name))),
            None => Ok(()),
        }
    }

    /// Whether the driver has not given up, and no fault makes what it computes doubtful.
    pub(super) fn is_sound(&self) -> bool {
        let is_lost = self.health.is_lost.load(Ordering::Acquire);
        !is_lost && self.health.fault.lock().is_ok_and(|fault| fault.is_none())
    }

    /// Breaks it, as a driver that falls over would: for tests.
    pub(super) fn lose(&self) {
        self.health.lose("the device was lost on purpose".to_owned());
    }

    /// From now on all buffers together may have so many bytes: for tests.
    pub(super) fn limit_memory(&self, bytes: u64) {
        self.memory_limit.store(bytes, Ordering::Relaxed);
    }

    /// A buffer of so many bytes, beside the `held` that there are. In what words the driver has no room for it, which
    /// spoils nothing else.
    pub(super) fn buffer(&self, size: u64, usage: wgpu::BufferUsages, held: u64) -> Result<wgpu::Buffer, String> {
        if held + size > self.memory_limit.load(Ordering::Relaxed) {
            return Err("not enough memory left, for a test".to_owned());
        }
        let scope = self.device.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
        let mapped_at_creation = usage.contains(wgpu::BufferUsages::MAP_WRITE);
        let descriptor = wgpu::BufferDescriptor { label: None, size, usage, mapped_at_creation };
        let buffer = self.device.create_buffer(&descriptor);
        match pollster::block_on(scope.pop()) {
            None => Ok(buffer),
            Some(error) => Err(error.to_string()),
        }
    }

    /// A buffer full of what is no number, for tests.
    pub(super) fn poison(&self) -> wgpu::Buffer {
        const BYTES: usize = 1 << 20;
        let buffer = self.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("poison"),
            size: BYTES as u64,
            usage: wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        self.queue.write_buffer(&buffer, 0, &vec![u8::MAX; BYTES]);
        buffer
    }

    /// A fault of this card, in these words.
    pub(super) fn fault(&self, what: impl fmt::Display) -> KernelError {
        KernelError::Gpu(format!("{}: {what}", self.info.name))
    }

    /// Waits until what was handed over is done: up to this, or all of it. A card that does not answer is lost.
    pub(super) fn wait_for(&self, submission_index: Option<wgpu::SubmissionIndex>) -> Result<()> {
        self.heard(self.device.poll(wgpu::PollType::Wait { submission_index, timeout: Some(PATIENCE) }))
    }

    fn heard(&self, answer: Result<wgpu::PollStatus, wgpu::PollError>) -> Result<()> {
        match answer {
            Ok(_) => Ok(()),
            Err(error) => {
                if matches!(error, wgpu::PollError::Timeout) {
                    self.health.lose(format!("the driver did not answer within {} seconds", PATIENCE.as_secs()));
                }
                self.check()?;
                Err(self.fault(error))
            }
        }
    }

    /// Reads the beginning of a buffer that the card has been told to fill. Waits for the card.
    pub(super) fn read_mapped(&self, buffer: &wgpu::Buffer, len: u64, take: impl FnOnce(&[u8])) -> Result<()> {
        let (sender, receiver) = mpsc::channel();
        buffer.map_async(wgpu::MapMode::Read, 0..len, move |result| {
            sender.send(result).ok();
        });
        self.wait_for(None)?;
        self.check()?;
        let fault = |error: &dyn fmt::Display| self.fault(format_args!("results cannot be read: {error}"));
        receiver.recv().map_err(|error| fault(&error))?.map_err(|error| fault(&error))?;
        {
            let words = buffer.get_mapped_range(0..len).map_err(|error| fault(&error))?;
            take(&words);
        }
        buffer.unmap();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{super::tests::card, *};

    #[test]
    fn what_had_no_room_is_told_once_and_any_other_fault_stays() {
        let Some(card) = card(CardOptions::default()) else { return };
        let driver = &card.driver;
        driver.health.hear(&wgpu::Error::OutOfMemory { source: "staging".into() });
        assert!(matches!(driver.check(), Err(KernelError::OutOfMemory(_))));
        driver.check().unwrap();
        assert!(driver.is_sound());
        // Larger than any buffer, in no scope.
        let refused = driver.device.create_buffer(&wgpu::BufferDescriptor {
            label: None,
            size: u64::MAX / 2,
            usage: wgpu::BufferUsages::STORAGE,
            mapped_at_creation: false,
        });
        for _ in 0..2 {
            assert!(matches!(driver.check(), Err(KernelError::Gpu(_))));
        }
        assert!(!driver.is_sound());
        drop(refused);
    }

    #[test]
    fn a_driver_that_does_not_answer_is_given_up() {
        let Some(card) = card(CardOptions::default()) else { return };
        card.driver.heard(Ok(wgpu::PollStatus::QueueEmpty)).unwrap();
        let error = card.driver.heard(Err(wgpu::PollError::Timeout)).unwrap_err();
        assert!(matches!(&error, KernelError::DeviceLost(why) if why.contains("did not answer")), "{error}");
        assert!(!card.driver.is_sound());
    }

    #[test]
    fn a_card_is_asked_for_what_computing_needs_alone() {
        // A card for computing: large buffers, no pictures.
        let offered = wgpu::Limits {
            max_texture_dimension_1d: 16,
            max_texture_dimension_2d: 16,
            max_texture_dimension_3d: 16,
            max_texture_array_layers: 1,
            max_sampled_textures_per_shader_stage: 0,
            max_color_attachments: 0,
            max_vertex_buffers: 0,
            max_storage_buffer_binding_size: 1 << 30,
            max_buffer_size: 1 << 31,
            ..wgpu::Limits::default()
        };
        for bare in [false, true] {
            let needed = needed(&offered, bare);
            assert!(needed.check_limits(&offered), "{needed:?}");
            assert_eq!(needed.max_compute_invocations_per_workgroup, 256);
        }
        assert_eq!(needed(&offered, false).max_buffer_size, 1 << 31);
        assert!(!wgpu::Limits::default().check_limits(&offered));
    }
}
