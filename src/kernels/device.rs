//! Where tensors live: the device that was asked for, the ones there are, and what memory they have.
//!
//! The processor is always there. A graphics card with our own kernels (`gpu:0`) needs nothing but its driver; it is
//! chosen by itself only when it has been tried in a process of its own, computed what the processor does, and was
//! clearly quicker ([`Trial`]). CUDA needs a build with the feature `cuda` and a driver; Metal needs a build with the
//! feature `metal`, on a Mac. A device of theirs belongs to the thread that opened it (its work is queued on the
//! thread's own stream), so each thread keeps its own and a policy stays on the thread that loaded it.

#[cfg(feature = "cuda")]
mod cuda;
#[cfg(all(feature = "cuda", target_os = "linux", target_arch = "x86_64"))]
mod lazy;
mod trials;

use std::{
    cell::RefCell,
    sync::{Arc, Mutex, PoisonError},
};

use candle_core::{DType, Device};
pub use data::config::DeviceChoice;
use trials::trials_unless_looking;
pub use trials::{Trial, Trials, counts_software, remember, trials, trials_before_use, try_before_use};

pub use super::device_memory::DeviceMemory;
use super::{
    Compute, KernelError, Kernels, Place, Result, composed, cpu_in,
    gpu::{self, Card, CardInfo, CardOptions},
};

/// A device, and a sentence about why it is this one.
#[derive(Debug, Clone)]
pub struct Opened {
    pub place: Place,
    pub why: String,
}

/// A device that this machine has and this build can use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Present {
    pub choice: DeviceChoice,
    /// What its maker calls it.
    pub name: String,
}

/// Cards in use, by number. They belong to the process, not to a thread.
static CARDS: Mutex<Vec<(usize, Arc<Card>)>> = Mutex::new(Vec::new());

/// Has `gpu:{number}` mean a card that is in use already, until something goes wrong with it.
pub fn adopt(number: usize, card: &Arc<Card>) {
    let mut open = CARDS.lock().unwrap_or_else(PoisonError::into_inner);
    open.retain(|(known, _)| *known != number);
    open.push((number, Arc::clone(card)));
}

/// A card in use that has nothing against it.
fn in_use(number: usize) -> Option<Arc<Card>> {
    let mut open = CARDS.lock().unwrap_or_else(PoisonError::into_inner);
    open.retain(|(_, card)| card.is_sound());
    open.iter().find(|(known, _)| *known == number).map(|(_, card)| Arc::clone(card))
}

/// A graphics card, opened once; again after something has gone wrong with it. One that nobody has tried shows first
/// that it computes what the processor does.
fn card(number: usize) -> Result<Arc<Card>> {
    if let Some(card) = in_use(number) {
        return Ok(card);
    }
    let trials = trials_before_use();
    let of_number = trials.as_ref().and_then(|trials| trials.cards.iter().find(|trial| trial.number == number));
    if let Some(Trial { rates: Err(fault), card, .. }) = of_number
        && (!card.is_software || counts_software())
    {
        // Opened it might take this process along.
        return Err(KernelError::NoDevice(format!(
            "{}: {fault}; `nudge probe-gpu` tries it again, or choose \"auto\" or \"cpu\"",
            card_name(number, card)
        )));
    }
    let mut open = CARDS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, card)) = open.iter().find(|(known, _)| *known == number) {
        return Ok(Arc::clone(card));
    }
    let card = Card::open(number, CardOptions::default())?;
    if card.info().is_software && !counts_software() {
        return Err(KernelError::NoDevice(format!(
            "gpu:{number} is {}, which is the processor in disguise and slower than it; set NUDGE_GPU=software to use it all the same, or choose \"cpu\"",
            card.info().name
        )));
    }
    let is_tried = trials.as_ref().is_some_and(|trials| trials.of(number, card.info()).is_some());
    if !is_tried {
        gpu::self_test(&card).map_err(|fault| {
            let name = card_name(number, card.info());
            KernelError::NoDevice(format!("{name}: {fault}; update its driver, or choose \"auto\" or \"cpu\""))
        })?;
    }
    open.push((number, Arc::clone(&card)));
    Ok(card)
}

thread_local! {
    static OPEN: RefCell<Vec<(DeviceChoice, Device)>> = const { RefCell::new(Vec::new()) };
}

/// Opens a device on the current thread. Asking again gives the same one.
///
/// # Errors
/// [`KernelError::NoDevice`] with a sentence about what to do. `auto` and `cpu` never fail.
pub fn open(choice: DeviceChoice) -> Result<Opened> {
    let name = |choice: DeviceChoice| match present(choice) {
        Some(present) => format!("{choice} ({})", present.name),
        None => choice.to_string(),
    };
    match choice {
        DeviceChoice::Cpu => Ok(Opened { place: Place::CPU, why: "Works on the processor, as asked".to_owned() }),
        DeviceChoice::Cuda(_) | DeviceChoice::Metal => Ok(Opened {
            place: Place::Candle(accelerator(choice).map_err(KernelError::NoDevice)?),
            why: format!("Works on {}, as asked", name(choice)),
        }),
        DeviceChoice::Gpu(number) => {
            let card = card(number)?;
            let why =
                format!("Works on {}, as asked; {}", card_name(number, card.info()), card.info().memory.in_words());
            Ok(Opened { place: Place::Gpu(card), why })
        }
        DeviceChoice::Auto => {
            let mut missing = Vec::new();
            for choice in [DeviceChoice::Cuda(0), DeviceChoice::Metal] {
                match accelerator(choice) {
                    Ok(device) => {
                        let why = format!("Works on {}: it is there and answers", name(choice));
                        return Ok(Opened { place: Place::Candle(device), why });
                    }
                    Err(reason) if is_built_for(choice) => missing.push(reason),
                    Err(_) => {}
                }
            }
            let trials = trials_unless_looking();
            if let Some(best) = trials.as_ref().and_then(Trials::best) {
                match card(best.number) {
                    Ok(card) if !card.info().is_same_as(&best.card) => missing.push(format!(
                        "{} is not the card or the driver that was tried; `nudge probe-gpu` tries it again",
                        card_name(best.number, card.info())
                    )),
                    Ok(card) => {
                        let why = format!(
                            "Works on {}: it computes what the processor does, and is quicker; {}",
                            card_name(best.number, card.info()),
                            card.info().memory.in_words()
                        );
                        return Ok(Opened { place: Place::Gpu(card), why });
                    }
                    Err(error) => missing.push(error.to_string()),
                }
            }
            if missing.is_empty() {
                missing.push(match trials {
                    None => "no graphics card has been tried to the end yet; `nudge probe-gpu` does so".to_owned(),
                    Some(trials) if trials.cards.is_empty() && trials.fault.is_none() => {
                        "no graphics card answered here; `nudge probe-gpu` looks again".to_owned()
                    }
                    Some(trials) => trials.in_words().join("; "),
                });
            }
            Ok(Opened { place: Place::CPU, why: format!("Works on the processor: {}", missing.join("; ")) })
        }
    }
}

/// All devices that can be chosen, the processor last.
pub fn all_present() -> Vec<Present> {
    let mut found = Vec::new();
    #[cfg(feature = "cuda")]
    {
        let count = cuda::count().unwrap_or(0);
        found.extend((0..count).filter_map(|number| present(DeviceChoice::Cuda(number))));
    }
    found.extend(present(DeviceChoice::Metal));
    let tried = trials().map(|trials| trials.cards).unwrap_or_default();
    let usable = |trial: &&Trial| trial.rates.is_ok() && (!trial.card.is_software || counts_software());
    found.extend(
        tried
            .iter()
            .filter(usable)
            .map(|trial| Present { choice: DeviceChoice::Gpu(trial.number), name: trial.card.name.clone() }),
    );
    found.extend(present(DeviceChoice::Cpu));
    found
}

/// The kernels for a place. The processor's take `compute`; what flows between them is f32. `activations` is what flows
/// between those that candle serves, and what a graphics card keeps of them for the backward.
pub fn kernels_for(place: &Place, activations: DType, compute: Compute) -> Result<Arc<dyn Kernels>> {
    match place {
        Place::Gpu(card) => Ok(gpu::kernels(card, activations == DType::BF16)),
        place if place.is_cpu() => Ok(cpu_in(compute)),
        Place::Candle(_) => composed(activations),
    }
}

/// The memory of a device that has its own; `None` for the processor, and where the device does not say.
pub fn memory(place: &Place) -> Option<DeviceMemory> {
    match place {
        #[cfg(feature = "cuda")]
        Place::Candle(Device::Cuda(device)) => cuda::memory(device),
        Place::Gpu(card) => Some(card.memory()),
        Place::Candle(_) => None,
    }
}

/// Bytes of a device's memory that a tensor of so many takes.
pub fn taken_by(place: &Place, bytes: u64) -> u64 {
    match place {
        Place::Gpu(_) => gpu::taken_by(bytes),
        Place::Candle(_) => bytes,
    }
}

/// Whether what lies there can still be worked with. A card whose driver gave up holds nothing any more.
pub fn is_sound(place: &Place) -> bool {
    match place {
        Place::Gpu(card) => card.is_sound(),
        Place::Candle(_) => true,
    }
}

/// Has [`DeviceMemory::peak`] begin anew, with what is in use.
pub fn forget_peak(place: &Place) {
    match place {
        #[cfg(feature = "cuda")]
        Place::Candle(Device::Cuda(device)) => cuda::forget_peak(device),
        Place::Gpu(card) => card.forget_peak(),
        Place::Candle(_) => {}
    }
}

/// Gives back to the device what this process holds but does not use, when work has ended.
fn trim(device: &Device) {
    match device {
        #[cfg(feature = "cuda")]
        Device::Cuda(device) => cuda::trim(device),
        _ => {}
    }
}

/// The same for every device that the current thread has opened.
pub fn trim_all() {
    OPEN.with_borrow(|open| open.iter().for_each(|(_, device)| trim(device)));
    CARDS.lock().unwrap_or_else(PoisonError::into_inner).iter().for_each(|(_, card)| card.trim());
}

/// An accelerator, kept for this thread once it was opened.
fn accelerator(choice: DeviceChoice) -> Result<Device, String> {
    let known = OPEN.with_borrow(|open| {
        let of_choice = open.iter().find(|(known, _)| *known == choice);
        of_choice.map(|(_, device)| device.clone())
    });
    if let Some(device) = known {
        return Ok(device);
    }
    let device = match choice {
        DeviceChoice::Cuda(number) => open_cuda(number)?,
        _ => open_metal()?,
    };
    OPEN.with_borrow_mut(|open| open.push((choice, device.clone())));
    Ok(device)
}

fn card_name(number: usize, card: &CardInfo) -> String {
    format!("gpu:{number}, {}", card.in_words())
}

fn is_built_for(choice: DeviceChoice) -> bool {
    match choice {
        DeviceChoice::Cuda(_) => cfg!(feature = "cuda"),
        DeviceChoice::Metal => cfg!(feature = "metal"),
        DeviceChoice::Auto | DeviceChoice::Cpu | DeviceChoice::Gpu(_) => true,
    }
}

#[cfg(feature = "cuda")]
use cuda::open as open_cuda;

#[cfg(not(feature = "cuda"))]
fn open_cuda(number: usize) -> Result<Device, String> {
    Err(format!(
        "cuda:{number} was asked for, but this build has no CUDA; build with `cargo build --release --features cuda`, or choose \"auto\" or \"cpu\""
    ))
}

#[cfg(feature = "metal")]
fn open_metal() -> Result<Device, String> {
    Device::new_metal(0).map_err(|error| format!("Metal does not answer ({error}); choose \"auto\" or \"cpu\""))
}

#[cfg(not(feature = "metal"))]
fn open_metal() -> Result<Device, String> {
    Err("Metal was asked for, but this build has no Metal; build on a Mac with `cargo build --release --features metal`, or choose \"auto\" or \"cpu\"".to_owned())
}

/// Whether a device is there, without taking it into use.
fn present(choice: DeviceChoice) -> Option<Present> {
    let name = match choice {
        DeviceChoice::Cpu => "the processor".to_owned(),
        #[cfg(feature = "cuda")]
        DeviceChoice::Cuda(number) => cuda::name(number)?,
        DeviceChoice::Metal if accelerator(choice).is_ok() => "the graphics processor".to_owned(),
        _ => return None,
    };
    Some(Present { choice, name })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_for_devices_go_both_ways() {
        for text in ["auto", "cpu", "cuda:0", "cuda:7", "gpu:0", "gpu:2", "metal"] {
            assert_eq!(text.parse::<DeviceChoice>().unwrap().to_string(), text);
        }
        assert_eq!("cuda".parse(), Ok(DeviceChoice::Cuda(0)));
        assert_eq!("gpu".parse(), Ok(DeviceChoice::Gpu(0)));
        for text in ["", "gpu:", "cuda:", "cuda:x", "cuda:-1", "CPU"] {
            let error = text.parse::<DeviceChoice>().unwrap_err();
            assert!(error.contains("cuda:0"), "{error}");
        }
    }

    #[test]
    fn a_card_that_something_went_wrong_with_is_not_used_again() {
        const NUMBER: usize = 2000;
        let Some(one) = gpu::tests::card(CardOptions::default()) else { return };
        adopt(NUMBER, &one);
        let place = open(DeviceChoice::Gpu(NUMBER)).unwrap().place;
        assert!(is_sound(&place));
        one.lose();
        assert!(!is_sound(&place));
        // No machine has so many.
        let error = open(DeviceChoice::Gpu(NUMBER)).unwrap_err().to_string();
        assert!(error.contains("only"), "{error}");
    }

    #[test]
    fn auto_always_finds_a_device_and_says_why() {
        let opened = open(DeviceChoice::Auto).unwrap();
        assert!(opened.why.starts_with("Works on "), "{}", opened.why);
        let last = all_present().pop().map(|present| present.choice);
        assert_eq!(last, Some(DeviceChoice::Cpu));
        assert!(open(DeviceChoice::Cpu).unwrap().place.is_cpu());
        assert_eq!(memory(&Place::CPU), None);
    }

    #[test]
    #[cfg(not(any(feature = "cuda", feature = "metal")))]
    fn a_device_that_this_build_lacks_is_refused_with_what_to_do() {
        let sentence = |choice| open(choice).unwrap_err().to_string();
        let cuda = sentence(DeviceChoice::Cuda(1));
        assert!(cuda.contains("cuda:1") && cuda.contains("--features cuda"), "{cuda}");
        assert!(sentence(DeviceChoice::Metal).contains("--features metal"));
    }
}
