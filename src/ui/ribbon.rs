//! The token ribbon: tokens coloured by what a model makes of them, and the controls that choose which model.

use std::sync::Arc;

use egui::{Color32, ComboBox, Painter, Rect, RichText, Role, Sense, Stroke, Ui, vec2};
use engine::protocol::TokenLogProbs;
use state::{
    Command, Commands, Workspace,
    ribbon::{Read, RibbonView, Tint},
    tokens::TokensOf,
};

use super::{
    parts, prompt,
    theme::{self, Palette, size, space},
};

/// Nats at which a colour is at its strongest.
const UNEXPECTED: f32 = 8.0;
const CHANGED: f32 = 2.0;

/// A weight so far from 1 has the strongest colour where no token of the pair is further.
const HEAVY: f32 = 0.3;

/// One answer's tokens as a model reads them.
#[derive(Clone, Copy)]
pub struct Tinted<'a> {
    tint: Tint,
    now: &'a [f32],
    start: &'a [f32],
    /// What each counts, where the run weighs tokens.
    weights: Option<&'a [f32]>,
    /// How far from 1 the weights of the pair go.
    furthest: f32,
}

/// One token of it.
#[derive(Clone, Copy)]
pub struct TokenRead {
    now: f32,
    start: f32,
    weight: Option<f32>,
}

impl<'a> Tinted<'a> {
    /// Of the answer in this place; nothing where its text is to be coloured by its parts.
    pub fn of(tint: Tint, log_probs: Option<&'a TokenLogProbs>, answer: usize) -> Option<Self> {
        let log_probs = log_probs.filter(|_| tint != Tint::Part)?;
        let weights = log_probs.weights.as_ref().ok();
        let all = weights.into_iter().flatten().flatten();
        Some(Self {
            tint,
            now: log_probs.now.get(answer)?,
            start: log_probs.start.get(answer)?,
            weights: weights.and_then(|weights| weights.get(answer)).map(Vec::as_slice),
            furthest: all.map(|weight| (weight - 1.0).abs()).fold(HEAVY, f32::max),
        })
    }

    /// The token in this place among those that are scored.
    pub fn read(&self, scored: usize) -> Option<TokenRead> {
        let weight = self.weights.and_then(|weights| weights.get(scored)).copied();
        Some(TokenRead { now: *self.now.get(scored)?, start: *self.start.get(scored)?, weight })
    }

    /// "Σ −34.12 over 12 tokens, −36.00 at the start: changed by 1.88", and with weights "weighted by 2.05".
    pub fn sums(&self, name: &str) -> String {
        let (now, start) = (sum(self.now), sum(self.start));
        let tokens = data::counted(self.now.len(), "token", "tokens");
        let (number, changed) = (data::number, data::number(now - start));
        let sums =
            format!("Σ log-prob {} over {tokens}, {} at the start: changed by {changed}", number(now), number(start));
        let Some(weights) = self.weights.filter(|_| self.tint == Tint::Weight) else { return sums };
        let changes = self.now.iter().zip(self.start).map(|(now, start)| f64::from(now - start));
        let weighed: f64 = weights.iter().zip(changes).map(|(weight, change)| f64::from(*weight) * change).sum();
        let mean = sum(weights) / weights.len().max(1) as f64;
        // Without a label nobody has said so.
        let side = if ["Chosen", "Rejected"].contains(&name) { "" } else { ", as if the first were the chosen answer" };
        format!("{sums}, by {} with its weights, which are {} in the mean{side}", number(weighed), number(mean))
    }

    pub fn ground(&self, read: TokenRead, palette: &Palette) -> Color32 {
        ground(self.tint, read, self.furthest, palette)
    }

    /// The same without colours: a line under a token as long as it is unexpected; one under a token that has become
    /// likelier and one over a token that has become unlikelier.
    pub fn bar(&self, painter: &Painter, rect: Rect, read: TokenRead, palette: &Palette) {
        let (share, below, color) = match self.tint {
            Tint::Part => return,
            Tint::LogProb => (strength(-read.now, UNEXPECTED), true, palette.accent),
            Tint::Change | Tint::Weight => {
                let change = read.change();
                let up = change >= 0.0;
                (strength(change.abs(), CHANGED), up, if up { palette.chosen } else { palette.rejected })
            }
        };
        let y = if below { rect.bottom() + 1.0 } else { rect.top() - 1.0 };
        let x = rect.left()..=rect.left() + rect.width() * share;
        painter.hline(x, y, Stroke::new(2.0, color));
    }
}

impl TokenRead {
    fn change(self) -> f32 {
        self.now - self.start
    }

    pub fn words(self) -> String {
        let percent = |log_prob: f32| data::number(f64::from(log_prob.exp()) * 100.0);
        let number = |value: f32| data::number(f64::from(value));
        let weight = self.weight.map_or_else(String::new, |weight| format!("weight {}, ", number(weight)));
        format!(
            "{weight}log-prob {} ({} %), at the start {} ({} %): changed by {}",
            number(self.now),
            percent(self.now),
            number(self.start),
            percent(self.start),
            number(self.change())
        )
    }
}

fn sum(values: &[f32]) -> f64 {
    values.iter().map(|&value| f64::from(value)).sum()
}

/// From nothing to full, as a share.
fn strength(nats: f32, full: f32) -> f32 {
    if nats.is_nan() { 1.0 } else { (nats / full).clamp(0.0, 1.0) }
}

fn ground(tint: Tint, read: TokenRead, furthest: f32, palette: &Palette) -> Color32 {
    let (color, share) = match tint {
        Tint::Part => return palette.field,
        Tint::LogProb => (palette.accent, strength(-read.now, UNEXPECTED)),
        Tint::Change if read.change() >= 0.0 => (palette.chosen, strength(read.change(), CHANGED)),
        Tint::Change => (palette.rejected, strength(-read.change(), CHANGED)),
        Tint::Weight => {
            let beyond = read.weight.map_or(0.0, |weight| weight - 1.0);
            (if beyond > 0.0 { palette.accent } else { palette.warning }, strength(beyond.abs(), furthest))
        }
    };
    // Letters stay readable on the strongest.
    theme::mix(palette.field, color, 0.6 * share)
}

/// What tokens are coloured by and under which weights; gives what is known of these answers, and asks for what is not.
pub fn controls(
    ui: &mut Ui,
    workspace: &Workspace,
    view: &mut RibbonView,
    subject: &TokensOf,
    commands: &Commands,
) -> Option<Arc<TokenLogProbs>> {
    let stops = view.stops(&workspace.runs);
    if !stops.contains(&view.whose) {
        // Its checkpoint is gone.
        view.whose = state::scores::Whose::Start;
    }
    ui.horizontal_wrapped(|ui| {
        let tints: Vec<_> = Tint::all(&workspace.runs).iter().map(|tint| (*tint, tint.word(), tint.about())).collect();
        if parts::segmented(ui, &mut view.tint, &tints) {
            view.find_weights(&workspace.runs);
        }
        if view.tint == Tint::Part {
            return;
        }
        for (word, name, about, forward) in [
            ("◀", "Earlier step", "The checkpoint before, and at last the start model ([)", false),
            ("▶", "Later step", "The next checkpoint of the run (])", true),
        ] {
            let button = ui.button(word).on_hover_text(about);
            prompt::name(&button, Role::Button, name);
            if button.clicked() {
                view.scrub(&workspace.runs, forward);
            }
        }
        let combo = ComboBox::from_id_salt("ribbon of")
            .selected_text(view.whose.describe(&workspace.runs))
            .width(170.0)
            .truncate()
            .show_ui(ui, |ui| {
                for whose in state::scores::Whose::all(&workspace.runs) {
                    ui.selectable_value(&mut view.whose, whose, whose.describe(&workspace.runs));
                }
            });
        prompt::name(&combo.response, Role::ComboBox, "Tokens read by");
    });
    if view.tint == Tint::Part {
        return None;
    }
    match workspace.ribbon.get(subject, view.whose) {
        None => {
            // Steps that are only passed on the way are not read.
            if !workspace.ribbon.is_waiting() {
                commands.push(Command::ReadTokens(subject.clone(), view.whose));
            }
            None
        }
        Some(Read::Waiting(_)) => {
            parts::caption(ui, format!("{} is reading…", view.whose.describe(&workspace.runs)));
            None
        }
        Some(Read::Failed(error)) => {
            let palette = parts::palette(ui);
            parts::strip(ui, palette.error_soft, |ui| {
                ui.add(egui::Label::new(RichText::new(error).color(palette.error)).wrap());
            });
            None
        }
        Some(Read::Ready(log_probs)) => {
            if let ([chosen, rejected], [chosen_before, rejected_before]) = (&log_probs.now[..], &log_probs.start[..]) {
                let (now, before) = (sum(chosen) - sum(rejected), sum(chosen_before) - sum(rejected_before));
                let words = format!("Margin {}, {} at the start", data::number(now), data::number(before));
                parts::caption(ui, words);
            }
            if let (Tint::Weight, Err(why)) = (view.tint, &log_probs.weights) {
                parts::caption(ui, why);
            }
            Some(Arc::clone(log_probs))
        }
    }
}

pub fn legend(ui: &mut Ui, tint: Tint) {
    let palette = parts::palette(ui);
    let read = |now: f32, start: f32| TokenRead { now, start, weight: None };
    let weight = |weight: f32| TokenRead { weight: Some(weight), ..read(0.0, 0.0) };
    let entries: &[(&str, TokenRead)] = match tint {
        Tint::Part => &[],
        Tint::LogProb => {
            &[("certain", read(0.0, 0.0)), ("one in 50", read(-4.0, 0.0)), ("one in 3000 or less", read(-8.0, 0.0))]
        }
        Tint::Change => &[
            ("unlikelier by 2 nats or more", read(-2.0, 0.0)),
            ("as at the start", read(0.0, 0.0)),
            ("likelier by 2 nats or more", read(2.0, 0.0)),
        ],
        Tint::Weight => &[
            ("counts least", weight(1.0 - HEAVY)),
            ("counts 1", weight(1.0)),
            ("counts most; line below: likelier since the start, above: unlikelier", weight(1.0 + HEAVY)),
        ],
    };
    ui.horizontal_wrapped(|ui| {
        ui.spacing_mut().item_spacing.x = space::XS;
        for (word, read) in entries {
            let (rect, _) = ui.allocate_exact_size(vec2(14.0, 12.0), Sense::hover());
            let stroke = Stroke::new(1.0, palette.hairline);
            ui.painter().rect(rect, 2.0, ground(tint, *read, HEAVY, palette), stroke, egui::StrokeKind::Inside);
            ui.label(RichText::new(*word).size(size::SMALL).color(palette.weak));
            ui.add_space(space::S);
        }
    });
}
