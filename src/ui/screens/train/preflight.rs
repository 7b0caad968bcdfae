//! The pre-flight sheet: everything that can be known before the first step.

use std::sync::Arc;

use data::{
    Flaw, PairId,
    config::{DataConfig, RunConfig},
    counted,
};
use egui::{RichText, Ui};
use engine::protocol::{EstimateBasis, Lengths, PairFinding, PreflightReport};
use state::{Command, Commands, launch::Launch, train::Preflight};

use crate::{
    parts, prompt,
    theme::{size, space},
};

/// The key of the launch sheet that accepts a doubled BOS.
const ALLOW_DOUBLED_BOS: &str = DataConfig::ALLOW_DOUBLED_BOS.key;

/// The key of the launch sheet that says where answers are cut.
const LONGEST_ANSWER: &str = DataConfig::MAX_ANSWER_TOKENS.key;

/// Pairs that each have a way to them.
const LINKS: usize = 5;

/// Golden values may differ by this share and still agree (f32 against f64).
const AGREES: f64 = 1e-3;

/// Above this share of sleeping pairs the cures are worth reading.
const SLEEPY: f64 = 0.25;

/// A run that takes longer than three days may be a slip of a finger.
const LONG_SECS: f64 = 3.0 * 24.0 * 3600.0;

/// Why the answer about exactly this config says that a start is of no use, if it does.
pub fn refusal(preflight: &Preflight, config: &RunConfig) -> Option<String> {
    preflight.config().filter(|asked| same(asked, config))?;
    match preflight {
        Preflight::NotAsked | Preflight::Waiting { .. } => None,
        Preflight::Refused { error, .. } => Some(error.clone()),
        Preflight::Ready { report, .. } if report.train_pairs == 0 => Some("No pair is left to train on".to_owned()),
        Preflight::Ready { report, .. } => {
            let missed = report.golden.iter().find(|golden| !agrees(golden));
            let missed = missed.map(|(name, measured, expected)| {
                format!("At step 0 {name} is {measured:.6} and has to be {expected:.6}: something computes wrong")
            });
            let doubled = report.findings.iter().find(|finding| finding.flaw == Flaw::DoubledBos);
            let doubled = doubled.filter(|_| !config.data.allow_doubled_bos);
            missed.or_else(|| doubled.map(|finding| finding.text.clone()))
        }
    }
}

/// To accept what was found is no reason to look again.
fn same(asked: &RunConfig, config: &RunConfig) -> bool {
    let mut asked = asked.clone();
    asked.data.allow_doubled_bos = config.data.allow_doubled_bos;
    asked == *config
}

fn agrees((_, measured, expected): &(String, f64, f64)) -> bool {
    (measured - expected).abs() <= AGREES * expected.abs().max(1.0)
}

pub fn ui(ui: &mut Ui, preflight: &Preflight, config: &RunConfig, launch: &mut Launch, commands: &Commands) {
    let palette = parts::palette(ui);
    parts::heading(ui, "Check");
    let stale = preflight.config().is_some_and(|asked| !same(asked, config));
    if stale {
        ui.label(RichText::new("The settings have changed since; check again").color(palette.warning));
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
        Preflight::Ready { report, .. } => ready(ui, report, launch, commands),
    }
}

fn ready(ui: &mut Ui, report: &PreflightReport, launch: &mut Launch, commands: &Commands) {
    let palette = parts::palette(ui);
    ui.spacing_mut().item_spacing.y = space::XS;
    for warning in &report.warnings {
        parts::strip(ui, palette.warning_soft, |ui| {
            ui.label(RichText::new(warning).color(palette.warning));
        });
    }
    for finding in &report.findings {
        pair_finding(ui, finding, &report.lengths, launch, commands);
    }
    fact(ui, "Reference", &report.reference);
    fact(
        ui,
        "Trained",
        &format!(
            "{} of {} parameters",
            data::grouped(report.trainable_parameters),
            data::grouped(report.total_parameters)
        ),
    );
    fact(ui, "Precision", &report.arithmetic.to_string());
    fact(
        ui,
        "Pairs",
        &format!(
            "{} to train, {} held out, {}",
            report.train_pairs,
            report.eval_pairs,
            counted(report.reference_answers, "reference answer", "reference answers")
        ),
    );
    set_aside(ui, report, commands);
    let fates = &report.fates;
    fact(
        ui,
        "Lengths",
        &format!(
            "{} fit, {} with a cut answer, {} with too long a prompt, {} unusable",
            fates.fit, fates.answer_cut, fates.prompt_too_long, fates.unusable
        ),
    );
    if let Some(text) = &report.rejected_answers {
        fact(ui, "Rejected answers", text);
    }
    lengths(ui, &report.lengths);
    fact(
        ui,
        "Tokens",
        &format!(
            "{}, longest pair {}, {} cut",
            data::grouped(report.tokens),
            report.longest_pair_tokens,
            counted(report.cut_answers, "answer", "answers")
        ),
    );
    asleep(ui, report.asleep);
    for golden in &report.golden {
        let (name, measured, expected) = golden;
        let (word, color) = if agrees(golden) { ("agrees", palette.good) } else { ("differs", palette.error) };
        let text =
            format!("{name} at step 0: {} measured, {} expected", data::number(*measured), data::number(*expected));
        ui.horizontal_wrapped(|ui| {
            ui.label(text);
            ui.label(RichText::new(word).color(color));
        });
    }
    memory(ui, report);
    time(ui, report);
}

/// How long it takes; a time that nobody waits for deserves a look.
fn time(ui: &mut Ui, report: &PreflightReport) {
    let palette = parts::palette(ui);
    let steps = data::grouped(report.total_steps);
    let word = if report.total_steps == 1 { "step" } else { "steps" };
    fact(ui, "Time", &format!("{} for {steps} {word}{}", report.time(), report.parts()));
    let text = format!("{} for {steps} {word}", data::duration(report.estimated_secs));
    if report.estimated_secs > LONG_SECS {
        parts::strip(ui, palette.warning_soft, |ui| {
            ui.label(RichText::new(format!("{text} at the speed measured here")).color(palette.warning));
            ui.label("Look at the steps, the epochs and the pairs a step: is one of them larger than you meant?");
        });
    }
}

fn fact(ui: &mut Ui, name: &str, text: &str) {
    let palette = parts::palette(ui);
    ui.horizontal_wrapped(|ui| {
        ui.label(RichText::new(name).size(size::SMALL).color(palette.weak));
        ui.label(text);
    });
}

/// What is wrong with the tokens of some pairs, with a way to each of the first.
fn pair_finding(ui: &mut Ui, finding: &PairFinding, lengths: &Lengths, launch: &mut Launch, commands: &Commands) {
    let palette = parts::palette(ui);
    let (ground, color) = if finding.flaw.is_grave() {
        (palette.error_soft, palette.error)
    } else {
        (palette.warning_soft, palette.warning)
    };
    parts::strip(ui, ground, |ui| {
        let pairs = counted(finding.pairs.len(), "pair", "pairs");
        let title = format!("{pairs}: {}", finding.text);
        let text = RichText::new(&title).color(color);
        ui.add(egui::Label::new(text).wrap());
        parts::quiet_row(ui, |ui| {
            for pair in finding.pairs.iter().take(LINKS) {
                link(ui, *pair, commands);
            }
            let all = "Shows them alone in Pairs, where all of them can be chosen, tagged, held out or deleted";
            if finding.pairs.len() > 1 && parts::quiet(ui, true, "Show them all").on_hover_text(all).clicked() {
                commands.push(Command::ShowPairs(title, Arc::new(finding.pairs.clone())));
            }
            let longest = counted(lengths.longest, "token", "tokens");
            let whole = format!("Keep answers of up to {longest} whole");
            let about =
                "Sets the longest answer to that of the longest one that was looked at; it takes memory and time";
            if finding.flaw == Flaw::Cut && parts::quiet(ui, true, &whole).on_hover_text(about).clicked() {
                launch.set(LONGEST_ANSWER, lengths.longest.to_string());
            }
        });
        if finding.flaw == Flaw::DoubledBos {
            let mut accepted = launch.is_on(ALLOW_DOUBLED_BOS);
            if ui.checkbox(&mut accepted, "Train although BOS is doubled").changed() {
                launch.set(ALLOW_DOUBLED_BOS, accepted.to_string());
            }
        }
    });
}

/// A pair that can be looked at.
fn link(ui: &mut Ui, pair: PairId, commands: &Commands) {
    if parts::quiet(ui, true, &format!("Pair {}", pair.0)).on_hover_text("Show it in Pairs, with its tokens").clicked()
    {
        commands.push(Command::ShowPair(pair));
    }
}

/// Answers by tokens, with the line where they are cut.
fn lengths(ui: &mut Ui, lengths: &Lengths) {
    let palette = parts::palette(ui);
    let Some(most) = lengths.answers.iter().copied().max().filter(|most| *most > 0) else {
        return;
    };
    let size = egui::vec2(ui.available_width(), 48.0);
    let (rect, response) = ui.allocate_exact_size(size, egui::Sense::hover());
    let cut = lengths.cut_at <= lengths.longest;
    let line = if cut {
        format!("cut at {}", lengths.cut_at)
    } else {
        format!("none reaches the limit of {}", lengths.cut_at)
    };
    let text = format!("Answers of up to {}, {line}", counted(lengths.longest, "token", "tokens"));
    prompt::name(&response, egui::Role::Image, &format!("Lengths of answers: {text}"));
    let end = (lengths.answers.len() * lengths.bin) as f32;
    let x = |tokens: usize| rect.left() + rect.width() * (tokens as f32 / end).min(1.0);
    let painter = ui.painter();
    for (index, count) in lengths.answers.iter().enumerate() {
        let height = rect.height() * *count as f32 / most as f32;
        let start = index * lengths.bin;
        let bar = egui::Rect::from_min_max(
            egui::pos2(x(start), rect.bottom() - height),
            egui::pos2((x(start + lengths.bin) - 1.0).max(x(start) + 1.0), rect.bottom()),
        );
        let color = if start >= lengths.cut_at { palette.error } else { palette.accent };
        painter.rect_filled(bar, 0.0, color);
    }
    painter.hline(rect.x_range(), rect.bottom(), egui::Stroke::new(1.0, palette.hairline));
    if cut {
        let stroke = egui::Stroke::new(2.0, palette.error);
        painter.vline(x(lengths.cut_at), rect.y_range(), stroke);
    }
    parts::caption(ui, text);
}

fn set_aside(ui: &mut Ui, report: &PreflightReport, commands: &Commands) {
    if report.set_aside.is_empty() {
        return;
    }
    egui::CollapsingHeader::new(format!("{} set aside", counted(report.set_aside.len(), "pair", "pairs")))
        .id_salt("set aside")
        .show(ui, |ui| {
            const SHOWN: usize = 50;
            for (pair, reason) in report.set_aside.iter().take(SHOWN) {
                ui.horizontal_wrapped(|ui| {
                    link(ui, *pair, commands);
                    parts::caption(ui, reason);
                });
            }
            if report.set_aside.len() > SHOWN {
                parts::caption(ui, format!("and {} more", report.set_aside.len() - SHOWN));
            }
        });
}

fn asleep(ui: &mut Ui, share: f64) {
    let palette = parts::palette(ui);
    let text = format!("{} % asleep at the start", data::number(share * 100.0));
    if share > SLEEPY {
        parts::strip(ui, palette.warning_soft, |ui| {
            ui.label(RichText::new(text).color(palette.warning));
            ui.label("They get almost no push. Cures: a smaller β, a mean margin, or an anchored margin");
        });
    } else {
        fact(ui, "Sleeping pairs", &text);
    }
}

fn memory(ui: &mut Ui, report: &PreflightReport) {
    let palette = parts::palette(ui);
    let memory = &report.memory;
    let basis = match memory.peak_memory_is {
        EstimateBasis::Measured => "measured",
        EstimateBasis::FromMeasured => "estimated from a measured row",
        EstimateBasis::Estimated => "estimated",
    };
    let text = format!(
        "peak {} ({basis}) of {} that may be taken",
        data::size(memory.peak_memory_bytes),
        data::size(memory.memory_limit_bytes)
    );
    fact(ui, "Memory", &text);
    let again = match memory.recomputed_blocks {
        0 => "no block runs its forward again".to_owned(),
        1 => format!("1 of {} runs its forward again", counted(memory.blocks, "block", "blocks")),
        blocks => format!("{blocks} of {} blocks run their forward again", memory.blocks),
    };
    let rows = format!("up to {} tokens; {again}", memory.largest_row_tokens);
    fact(ui, "Rows", &rows);
    fact(ui, "Device", &report.device);
    if report.devices.len() > 1 {
        fact(ui, "Devices here", &report.devices.join(", "));
    }
    if !memory.fits() {
        ui.label(
            RichText::new(
                "More than may be taken: recompute, use fewer tokens a row or shorter answers, or raise the memory limit (All settings, Machine)",
            )
            .color(palette.error),
        );
    }
}
