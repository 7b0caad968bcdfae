//! Vulkan's validation layers as a judge: what they have to say ends the program, so that no test passes over it.

use std::sync::OnceLock;

/// The module of wgpu that hands on what the layers say.
const SPEAKER: &str = "wgpu_hal::vulkan::instance";

struct Judge;

impl log::Log for Judge {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        metadata.level() == log::Level::Error && metadata.target().starts_with(SPEAKER)
    }

    fn log(&self, record: &log::Record<'_>) {
        if self.enabled(record.metadata()) {
            eprintln!("a validation layer objects: {}", record.args());
            std::process::abort();
        }
    }

    fn flush(&self) {}
}

/// Has the layers' first objection end the program. Whether it will.
pub(super) fn judge() -> bool {
    static HEARD: OnceLock<bool> = OnceLock::new();
    *HEARD.get_or_init(|| {
        let is_heard = log::set_logger(&Judge).is_ok();
        if is_heard {
            log::set_max_level(log::LevelFilter::Error);
        }
        is_heard
    })
}
