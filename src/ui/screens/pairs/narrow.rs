//! The second row of filters, filters kept by name, how many pairs were found, and their words marked.

use data::{Strength, counted};
use egui::{
    ComboBox, DragValue, Label, RichText, Role as WidgetRole, TextEdit, TextStyle, Ui, WidgetText, text::LayoutJob,
};
use state::{
    Command, Commands, Workspace,
    asking::AskFirst,
    filter::Filter,
    hits::{around, hits},
    pairs::{PairsCommand, PairsData, PairsView},
    table::TableCommand,
};
use store::{PairRow, PairSource, Revision};
use train::objective::{Number, NumberBounds};

use crate::{marked::searched, parts, prompt, theme::size};

fn table(command: TableCommand) -> Command {
    Command::Pairs(PairsCommand::Table(command))
}

/// Opens and closes the second row; says how many of its filters narrow.
pub fn toggle(ui: &mut Ui, view: &mut PairsView) {
    let word = match view.filter.more() {
        0 => "More".to_owned(),
        more => format!("More {more}"),
    };
    let button = egui::Button::new(word).selected(view.table.more);
    if ui
        .add(button)
        .on_hover_text("Strength, source, length, what changed, bounds of margin and push; which pair is asked about first; filters kept by name")
        .clicked()
    {
        view.table.more = !view.table.more;
    }
}

/// How many pairs the filter found, or how far it is; and the way back to all.
pub fn found(ui: &mut Ui, data: &PairsData, view: &mut PairsView) {
    let narrows = view.filter.narrows();
    let text = if let Some(done) = data.lists.done().filter(|_| data.listing) {
        format!("Looking: {:.0} %", 100.0 * done)
    } else if view.only.is_none() && narrows && !data.listing {
        format!("{} of {}", data.ids.len(), counted(data.counts.total(), "pair", "pairs"))
    } else {
        String::new()
    };
    if !text.is_empty() {
        let color = parts::palette(ui).strong;
        ui.add(Label::new(RichText::new(text).size(size::SMALL).color(color)).extend());
    }
    if narrows && parts::quiet(ui, true, "Clear").on_hover_text("Show all pairs").clicked() {
        view.filter.clear();
    }
}

/// The second row.
pub fn more(ui: &mut Ui, workspace: &Workspace, view: &mut PairsView, commands: &Commands) {
    if !view.table.more {
        return;
    }
    ui.horizontal_wrapped(|ui| {
        ui.spacing_mut().combo_width = 96.0;
        strength(ui, &mut view.filter);
        source(ui, &workspace.pairs, &mut view.filter, commands);
        changed(ui, workspace, &mut view.filter);
        length(ui, &mut view.filter);
        if view.scores.is_some() {
            range(ui, view);
        }
        ui.separator();
        ask_first(ui, &mut view.label.first);
        ui.separator();
        saved(ui, &workspace.pairs, view, commands);
    });
}

fn strength(ui: &mut Ui, filter: &mut Filter) {
    let word = |strength: Option<Strength>| match strength {
        None => "Any strength",
        Some(Strength::Slightly) => "Slightly better",
        Some(Strength::Clearly) => "Clearly better",
        Some(Strength::Strongly) => "Strongly better",
    };
    let combo = ComboBox::from_id_salt("strength").selected_text(word(filter.strength)).show_ui(ui, |ui| {
        for strength in [None, Some(Strength::Slightly), Some(Strength::Clearly), Some(Strength::Strongly)] {
            ui.selectable_value(&mut filter.strength, strength, word(strength));
        }
    });
    prompt::name(&combo.response, WidgetRole::ComboBox, "Filter by strength");
}

/// Which places there are is read when the list is opened.
fn source(ui: &mut Ui, data: &PairsData, filter: &mut Filter, commands: &Commands) {
    let word = |source: &PairSource| match source {
        PairSource::File(file) => file.clone(),
        PairSource::Model => "Answers of a model".to_owned(),
        PairSource::Hand => "Written here".to_owned(),
    };
    let selected = filter.source.as_ref().map_or_else(|| "Any source".to_owned(), word);
    let combo = ComboBox::from_id_salt("source").selected_text(selected).width(130.0).truncate().show_ui(ui, |ui| {
        let known = data.table.sources.as_ref();
        if known.is_none_or(|(revision, _)| *revision != data.revision) {
            commands.push(table(TableCommand::ReadSources));
        }
        ui.selectable_value(&mut filter.source, None, "Any source");
        for (source, count) in known.map_or(&[][..], |(_, sources)| sources) {
            let text = format!("{}  {count}", word(source));
            ui.selectable_value(&mut filter.source, Some(source.clone()), text);
        }
    });
    prompt::name(&combo.response, WidgetRole::ComboBox, "Filter by source");
}

/// What was changed since a run began has not been seen by it.
fn changed(ui: &mut Ui, workspace: &Workspace, filter: &mut Filter) {
    let runs = &workspace.runs.records;
    let word = |revision: Option<Revision>| match revision {
        None => "Changed at any time".to_owned(),
        Some(revision) => match runs.iter().rev().find(|run| run.revision == revision) {
            Some(run) => format!("Changed since {}", workspace.runs.name(run.id)),
            None => format!("Changed since revision {}", revision.0),
        },
    };
    let combo = ComboBox::from_id_salt("changed")
        .selected_text(word(filter.changed_since))
        .width(150.0)
        .truncate()
        .show_ui(ui, |ui| {
            ui.selectable_value(&mut filter.changed_since, None, word(None));
            let now = workspace.pairs.revision;
            ui.selectable_value(&mut filter.changed_since, Some(now), format!("From now on (revision {})", now.0));
            let mut known: Vec<Revision> = Vec::new();
            for run in runs.iter().rev().take(20) {
                if !known.contains(&run.revision) {
                    known.push(run.revision);
                    ui.selectable_value(&mut filter.changed_since, Some(run.revision), word(Some(run.revision)));
                }
            }
        });
    prompt::name(&combo.response, WidgetRole::ComboBox, "Filter by what changed");
}

fn length(ui: &mut Ui, filter: &mut Filter) {
    for (name, least, bound) in [("Shortest", true, &mut filter.shortest), ("Longest", false, &mut filter.longest)] {
        let shown = move |bytes: f64, _: std::ops::RangeInclusive<usize>| match bytes as usize {
            0 if least => "any length".to_owned(),
            0 => "any".to_owned(),
            bytes => format!("{bytes} bytes"),
        };
        let value = DragValue::new(bound).range(0..=usize::MAX >> 12).speed(4.0).custom_formatter(shown);
        let value = ui.add(value.prefix(if least { "from " } else { "to " }));
        prompt::name(&value, WidgetRole::SpinButton, &format!("{name} pair in bytes"));
        value.on_hover_text("Bytes of prompt and answers; 0 is no bound");
    }
}

/// Bounds of one of the numbers that are made of scores.
fn range(ui: &mut Ui, view: &mut PairsView) {
    let number = &mut view.table.number;
    let combo = ComboBox::from_id_salt("number").selected_text(number.title()).width(70.0).show_ui(ui, |ui| {
        for one in Number::ALL {
            ui.selectable_value(number, one, one.title()).on_hover_text(one.about());
        }
    });
    prompt::name(&combo.response, WidgetRole::ComboBox, "Number with bounds");
    let mut range = NumberBounds { number: *number, ..view.filter.range.unwrap_or_default() };
    let title = range.number.title().to_lowercase();
    for (name, prefix, bound) in [("Least", "from ", &mut range.least), ("Most", "to ", &mut range.most)] {
        let is_any = bound.is_none();
        let value = DragValue::from_get_set(|set| {
            *bound = set.or(*bound);
            bound.unwrap_or(0.0)
        });
        let shown = move |value: f64, _: std::ops::RangeInclusive<usize>| {
            if is_any { "any".to_owned() } else { data::number(value) }
        };
        let value = ui.add(value.speed(0.05).prefix(prefix).custom_formatter(shown));
        prompt::name(&value, WidgetRole::SpinButton, &format!("{name} {title}"));
        value.on_hover_text("Type it or drag; pairs without scores are left out");
    }
    let is_bounded = range.least.is_some() || range.most.is_some();
    view.filter.range = is_bounded.then_some(range);
    if is_bounded && parts::quiet(ui, true, "Any value").clicked() {
        view.filter.range = None;
    }
}

/// Which pair a labelling session asks about first.
fn ask_first(ui: &mut Ui, first: &mut AskFirst) {
    let combo =
        ComboBox::from_id_salt("ask first").selected_text(first.word()).width(150.0).truncate().show_ui(ui, |ui| {
            for one in AskFirst::ALL {
                ui.selectable_value(first, one, one.word()).on_hover_text(one.about());
            }
        });
    prompt::name(
        &combo.response.on_hover_text(first.about()),
        WidgetRole::ComboBox,
        "Which pair labelling asks about first",
    );
}

/// Filters by name.
fn saved(ui: &mut Ui, data: &PairsData, view: &mut PairsView, commands: &Commands) {
    let Some(saved) = &data.table.saved else {
        commands.push(table(TableCommand::ReadFilters));
        return;
    };
    let name = saved.0.iter().find(|(_, filter)| **filter == view.filter).map(|(name, _)| name.clone());
    let selected = name.clone().unwrap_or_else(|| "Kept filters".to_owned());
    let combo =
        ComboBox::from_id_salt("kept filters").selected_text(selected).width(110.0).truncate().show_ui(ui, |ui| {
            if saved.0.is_empty() {
                parts::caption(ui, "None yet: give the filter a name and keep it");
            }
            for (other, filter) in &saved.0 {
                if ui.selectable_label(name.as_ref() == Some(other), other).clicked() {
                    view.filter = filter.clone();
                }
            }
        });
    prompt::name(&combo.response, WidgetRole::ComboBox, "Kept filters");
    if let Some(name) = name {
        if ui.button("Forget").on_hover_text("The filter stays as it is, its name goes").clicked() {
            commands.push(table(TableCommand::SaveFilter(name, None)));
        }
        return;
    }
    let typed = TextEdit::singleline(&mut view.table.name).id_salt("filter name").hint_text("Name").desired_width(90.0);
    let field = ui.add(typed).accessible_name("Name of the filter");
    let typed = view.table.name.trim().to_owned();
    let may = view.filter.narrows() && !typed.is_empty();
    let enter = field.lost_focus() && ui.input(|input| input.key_pressed(egui::Key::Enter));
    let keep = ui.add_enabled(may, egui::Button::new("Keep"));
    let keep = keep.on_hover_text("Keeps the filter in the project under this name");
    if keep.on_disabled_hover_text("Filter by something and give it a name").clicked() || (enter && may) {
        view.table.name.clear();
        commands.push(table(TableCommand::SaveFilter(typed, Some(Box::new(view.filter.clone())))));
    }
}

/// The prompt of a row with the words of the search marked; where only an answer has them, what stands around them.
pub fn marked(ui: &Ui, row: &PairRow, search: &str) -> WidgetText {
    if search.trim().is_empty() {
        return WidgetText::from(row.prompt.as_str());
    }
    let palette = parts::palette(ui);
    let font = TextStyle::Body.resolve(ui.style());
    let simple = |text: String, color| LayoutJob::simple_singleline(text, font.clone(), color);
    if !hits(&row.prompt, search).is_empty() {
        return searched(ui, simple(row.prompt.clone(), palette.text), search).into();
    }
    match around(&row.chosen, search).or_else(|| around(&row.rejected, search)) {
        Some(text) => searched(ui, simple(format!("… {text}"), palette.weak), search).into(),
        None => RichText::new(&row.prompt).into(),
    }
}
