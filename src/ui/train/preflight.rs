//! The pre-flight sheet: everything that can be known before the first step.

use egui::{RichText, Ui};

use crate::{
    engine::{config::RunConfig, protocol::PreflightReport},
    state::{metric, train::Preflight},
    ui::{
        parts,
        theme::{size, space},
    },
};

/// Golden values may differ by this share and still agree (f32 against f64).
const AGREES: f64 = 1e-3;

/// Above this share of sleeping pairs the cures are worth reading.
const SLEEPY: f64 = 0.25;

/// Whether the answer about exactly this config says that a start is of no use.
pub fn refuses(preflight: &Preflight, config: &RunConfig) -> bool {
    if preflight.config() != Some(config) {
        return false;
    }
    match preflight {
        Preflight::NotAsked | Preflight::Waiting { .. } => false,
        Preflight::Refused { .. } => true,
        Preflight::Ready { report, .. } => {
            report.train_pairs == 0 || report.golden.iter().any(|golden| !agrees(golden))
        }
    }
}

fn agrees((_, measured, expected): &(String, f64, f64)) -> bool {
    (measured - expected).abs() <= AGREES * expected.abs().max(1.0)
}

pub fn ui(ui: &mut Ui, preflight: &Preflight, config: &RunConfig) {
    let palette = parts::palette(ui);
    parts::heading(ui, "Check");
    let stale = preflight.config().is_some_and(|asked| asked != config);
    if stale {
        ui.label(
            RichText::new("The settings have changed since; check again").color(palette.warning),
        );
    }
    match preflight {
        Preflight::NotAsked => {}
        Preflight::Waiting { .. } => {
            ui.label("Loading the model and measuring one step…");
        }
        Preflight::Refused { error, .. } => {
            parts::strip(ui, palette.error_soft, |ui| {
                ui.label(RichText::new(error).color(palette.error));
            });
        }
        Preflight::Ready { report, .. } => ready(ui, report),
    }
}

fn ready(ui: &mut Ui, report: &PreflightReport) {
    let palette = parts::palette(ui);
    ui.spacing_mut().item_spacing.y = space::XS;
    for warning in &report.warnings {
        parts::strip(ui, palette.warning_soft, |ui| {
            ui.label(RichText::new(warning).color(palette.warning));
        });
    }
    fact(ui, "Reference", &report.reference);
    fact(
        ui,
        "Trained",
        &format!(
            "{} of {} parameters",
            metric::count(report.trainable_parameters),
            metric::count(report.total_parameters)
        ),
    );
    fact(
        ui,
        "Pairs",
        &format!(
            "{} to train, {} held out, {} reference answers",
            report.train_pairs, report.eval_pairs, report.reference_answers
        ),
    );
    set_aside(ui, report);
    fact(
        ui,
        "Tokens",
        &format!(
            "{}, longest pair {}, {} answers cut",
            metric::count(report.tokens),
            report.longest_pair_tokens,
            report.cut_answers
        ),
    );
    asleep(ui, report.asleep);
    for golden in &report.golden {
        let (name, measured, expected) = golden;
        let (word, color) = if agrees(golden) {
            ("agrees", palette.good)
        } else {
            ("differs", palette.error)
        };
        let text = format!(
            "{name} at step 0: {} measured, {} expected",
            metric::number(*measured),
            metric::number(*expected)
        );
        ui.horizontal_wrapped(|ui| {
            ui.label(text);
            ui.label(RichText::new(word).color(color));
        });
    }
    memory(ui, report);
    fact(
        ui,
        "Time",
        &format!(
            "{} for {} steps",
            metric::duration(report.estimated_secs),
            report.total_steps
        ),
    );
}

fn fact(ui: &mut Ui, name: &str, text: &str) {
    let palette = parts::palette(ui);
    ui.horizontal_wrapped(|ui| {
        ui.label(RichText::new(name).size(size::SMALL).color(palette.weak));
        ui.label(text);
    });
}

fn set_aside(ui: &mut Ui, report: &PreflightReport) {
    if report.set_aside.is_empty() {
        return;
    }
    egui::CollapsingHeader::new(format!("{} pairs set aside", report.set_aside.len()))
        .id_salt("set aside")
        .show(ui, |ui| {
            const SHOWN: usize = 50;
            for (pair, reason) in report.set_aside.iter().take(SHOWN) {
                parts::caption(ui, format!("Pair {}: {reason}", pair.0));
            }
            if report.set_aside.len() > SHOWN {
                parts::caption(ui, format!("and {} more", report.set_aside.len() - SHOWN));
            }
        });
}

fn asleep(ui: &mut Ui, share: f64) {
    let palette = parts::palette(ui);
    let text = format!("{} % asleep at the start", metric::number(share * 100.0));
    if share > SLEEPY {
        parts::strip(ui, palette.warning_soft, |ui| {
            ui.label(RichText::new(text).color(palette.warning));
            ui.label(
                "They get almost no push. Cures: a smaller β, a mean margin, or an anchored margin",
            );
        });
    } else {
        fact(ui, "Sleeping pairs", &text);
    }
}

fn memory(ui: &mut Ui, report: &PreflightReport) {
    let palette = parts::palette(ui);
    let text = format!(
        "peak {} of {} free",
        metric::bytes(report.peak_memory_bytes),
        metric::bytes(report.free_memory_bytes)
    );
    fact(ui, "Memory", &text);
    fact(ui, "Device", &report.device);
    if report.devices.len() > 1 {
        fact(ui, "Devices here", &report.devices.join(", "));
    }
    if report.free_memory_bytes > 0 && report.peak_memory_bytes > report.free_memory_bytes {
        ui.label(
            RichText::new(
                "More than is free: use fewer pairs a step, shorter answers or a smaller rank",
            )
            .color(palette.error),
        );
    }
}
